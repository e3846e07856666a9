import { defineCommand } from "citty";
import type { Quota } from "../../contract/quotas.ts";
import { json } from "../arguments.ts";
import { clientFromEnvironment } from "../client.ts";
import { percent, showOne } from "../output.ts";
import { listCommand } from "./list.ts";

export const quotas = defineCommand({
  meta: { name: "quotas", description: "Quota accounts (配额)" },
  subCommands: {
    list: listCommand<Quota>({
      noun: "quota accounts",
      path: "/api/v1/quotas",
      filters: { department: "Id or code of a department" },
      columns: [
        { title: "department", value: (row) => row.department },
        { title: "dimension", value: (row) => row.dimension },
        { title: "limit", value: (row) => row.limit },
        { title: "reserved", value: (row) => row.reserved },
        { title: "used", value: (row) => row.used },
        { title: "taken", value: (row) => (row.limit ? percent((row.used + row.reserved) / row.limit) : "–") },
      ],
    }),
    set: defineCommand({
      meta: { name: "set", description: "Set a limit; `none` lets the limits above govern" },
      args: {
        department: { type: "positional", required: true, description: "Id or code" },
        dimension: { type: "positional", required: true, description: "hosts, vcpu, memory_mib, storage_gib:standard …" },
        limit: { type: "positional", required: true, description: "A whole number, or none" },
        json,
      },
      async run({ args }) {
        if (args.limit !== "none" && !/^\d+$/.test(args.limit)) throw new Error(`A limit is a whole number or none, not ${args.limit}.`);
        const client = clientFromEnvironment();
        const path = `/api/v1/quotas/${encodeURIComponent(args.department)}/${encodeURIComponent(args.dimension)}`;
        const { revision } = await client.get<Quota>(path);
        showOne(await client.put<Quota>(path, { limit: args.limit === "none" ? null : Number(args.limit) }, revision), args.json);
      },
    }),
  },
});
