/** Applications: read by everybody who may, kept by the city file and the API. */
import { defineCommand } from "citty";
import type { Application } from "../../contract/applications.ts";
import { json } from "../arguments.ts";
import { clientFromEnvironment } from "../client.ts";
import { showOne } from "../output.ts";
import { listCommand } from "./list.ts";
import { showCommand } from "./show.ts";
import { transferCommand } from "./transfer.ts";

export const applications = defineCommand({
  meta: { name: "applications", description: "Business systems (业务系统)" },
  subCommands: {
    list: listCommand<Application>({
      noun: "applications",
      path: "/api/v1/applications",
      filters: { department: "Id or code of a department" },
      columns: [
        { title: "code", value: (row) => row.code },
        { title: "name", value: (row) => row.name },
        { title: "level", value: (row) => row.protectionLevel },
        { title: "zone", value: (row) => row.zone },
        { title: "department", value: (row) => row.department },
        { title: "id", value: (row) => row.id },
      ],
    }),
    show: showCommand("applications", "/api/v1/applications"),
    transfer: transferCommand,
    change: defineCommand({
      meta: { name: "change", description: "Say whether an application's hosts must be on different members of a cluster" },
      args: {
        id: { type: "positional", required: true, description: "Id of the application" },
        "anti-affinity": { type: "string", required: true, description: "preferred: where they fit; required: nowhere else" },
        json,
      },
      async run({ args }) {
        const client = clientFromEnvironment();
        const path = `/api/v1/applications/${encodeURIComponent(args.id)}`;
        const { revision } = await client.get<Application>(path);
        showOne(await client.patch<Application>(path, { antiAffinity: args["anti-affinity"] }, revision), args.json);
      },
    }),
  },
});
