/** Builds the `list` command of a noun. */
import { type ArgsDef, defineCommand } from "citty";
import { json } from "../arguments.ts";
import { clientFromEnvironment } from "../client.ts";
import { type Column, show } from "../output.ts";

export interface ListOptions<T> {
  noun: string;
  path: string;
  columns: Column<T>[];
  /** String options that are passed on as query parameters of the same name. */
  filters?: Record<string, string>;
}

/** Lists every item of a path, with its filters as options and `--json`. */
export function listCommand<T>({ noun, path, columns, filters = {} }: ListOptions<T>) {
  const options = Object.fromEntries(Object.entries(filters).map(([name, description]) => [name, { type: "string", description }])) as ArgsDef;
  return defineCommand({
    meta: { name: "list", description: `List ${noun}` },
    args: { ...options, json },
    async run({ args }) {
      const given = args as Record<string, unknown>;
      const query = Object.fromEntries(Object.keys(filters).map((name) => [name, given[name] as string | undefined]));
      const rows: T[] = [];
      for await (const row of clientFromEnvironment().all<T>(path, query)) rows.push(row);
      show(rows, columns, given["json"] === true);
    },
  });
}
