/** An application passes to another department (业务系统移交), by a request like any other. */
import { defineCommand } from "citty";
import type { Application } from "../../contract/applications.ts";
import { transferred } from "../../contract/changes.ts";
import { json, wait } from "../arguments.ts";
import { clientFromEnvironment } from "../client.ts";
import { type Given, send } from "./changes.ts";

export const transferCommand = defineCommand({
  meta: { name: "transfer", description: "Ask that an application passes to another department with all that it has" },
  args: {
    id: { type: "positional", required: true, description: "Id of the application" },
    to: { type: "string", required: true, description: "Id or code of the receiving department" },
    "to-project": { type: "string", required: true, description: "Id or code of the receiver's project that pays from then on" },
    title: { type: "string", description: "Subject" },
    reason: { type: "string", description: "Why" },
    "what-if": { type: "boolean", description: "Only say what it would do and what would be left", default: false },
    wait,
    json,
  },
  async run({ args }) {
    const client = clientFromEnvironment();
    const application = await client.get<Application>(`/api/v1/applications/${encodeURIComponent(args.id)}`);
    const title = args.title ?? `transfer ${application.name} to ${args.to}`.slice(0, 200);
    const body = transferred(application, { department: args.to, project: args["to-project"] }, { title, reason: args.reason ?? "" });
    await send(client, body, args as unknown as Given);
  },
});
