/** Builds the `show` command of a noun. */
import { defineCommand } from "citty";
import { json } from "../arguments.ts";
import { clientFromEnvironment } from "../client.ts";
import { showOne } from "../output.ts";

/** Shows one thing by id (or code, where the API takes one). */
export function showCommand(noun: string, path: string) {
  return defineCommand({
    meta: { name: "show", description: `Show one of the ${noun}` },
    args: { id: { type: "positional", description: "Id or code", required: true }, json },
    async run({ args }) {
      showOne(await clientFromEnvironment().get<Record<string, unknown>>(`${path}/${encodeURIComponent(args.id)}`), args.json);
    },
  });
}
