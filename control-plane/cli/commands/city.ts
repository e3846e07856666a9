import { defineCommand } from "citty";
import { Listr } from "listr2";
import type { z } from "zod";
import type { CityImport } from "../../contract/city.ts";
import { json } from "../arguments.ts";
import { CityFileInvalid, loadCity, type LoadedCity } from "../city-file.ts";
import { ApiProblem, clientFromEnvironment, type Client } from "../client.ts";
import { localTime, show, showOne } from "../output.ts";
import { appointCity, inviteCity } from "../people.ts";

export type Imported = z.infer<typeof CityImport>;

/**
 * Sends a loaded city, all or nothing.
 * @throws CityFileInvalid when the control plane finds errors in it: they come back with the lines of the file
 */
export async function importCity(client: Client, { city, locate }: LoadedCity): Promise<Imported> {
  try {
    return await client.post<Imported>("/api/v1/city-imports", city);
  } catch (error) {
    const found = error instanceof ApiProblem ? (error.problem.errors ?? []) : [];
    if (found.length === 0) throw error;
    throw new CityFileInvalid(found.map(({ pointer, detail }) => ({ ...locate(pointer), message: `${pointer.slice(1).replaceAll("/", ".")}: ${detail}` })));
  }
}

const file = { type: "positional", description: "YAML file", required: true } as const;
const total = (counts: Record<string, number>) => Object.values(counts).reduce((sum, count) => sum + count, 0);

export const city = defineCommand({
  meta: { name: "city", description: "A whole city as one file" },
  subCommands: {
    import: defineCommand({
      meta: { name: "import", description: "Import a city file, all or nothing; may be repeated (docs/city-file.md)" },
      args: { file, json },
      async run({ args }) {
        const client = clientFromEnvironment();
        let loaded: LoadedCity | undefined;
        let result: Imported | undefined;
        await new Listr(
          [
            { title: `Reading ${args.file}`, task: async () => void (loaded = await loadCity(args.file)) },
            { title: "Importing, all or nothing", task: async () => void (result = await importCity(client, loaded!)) },
          ],
          { renderer: args.json ? "silent" : "default", fallbackRenderer: "simple" },
        ).run();
        if (args.json) return showOne(result!, true);
        console.log(`Created ${total(result!.created)}, changed ${total(result!.changed)}, unchanged ${total(result!.unchanged)}.`);
        showOne({ created: result!.created, changed: result!.changed, unchanged: result!.unchanged }, false);
      },
    }),
    accounts: defineCommand({
      meta: { name: "accounts", description: "Make the accounts of the file's people, as system administrator; shows once where each sets the password" },
      args: { file, json },
      async run({ args }) {
        const invited = await inviteCity(clientFromEnvironment(), await loadCity(args.file));
        show(
          invited,
          [
            { title: "name", value: (row) => row.name },
            { title: "who", value: (row) => row.displayName },
            { title: "sets the password at", value: (row) => row.link },
            { title: "until", value: (row) => localTime(row.expiresAt) },
          ],
          args.json,
        );
      },
    }),
    roles: defineCommand({
      meta: { name: "roles", description: "Grant the roles of the file's people and set its approval policies, as security administrator" },
      args: { file, json },
      run: async ({ args }) => showOne(await appointCity(clientFromEnvironment(), await loadCity(args.file)), args.json),
    }),
  },
});
