import { defineCommand } from "citty";
import type { DriftFinding, DriftScan } from "../../contract/drift.ts";
import { json } from "../arguments.ts";
import { clientFromEnvironment } from "../client.ts";
import { localTime, show, showOne } from "../output.ts";
import { listCommand } from "./list.ts";
import { showCommand } from "./show.ts";

const path = "/api/v1/drift";
const text = (value: unknown): string => (value === null ? "–" : typeof value === "string" ? value : JSON.stringify(value));
const columns = [
  { title: "kind", value: (row: DriftFinding) => row.kind },
  { title: "name", value: (row: DriftFinding) => row.name },
  { title: "property", value: (row: DriftFinding) => row.property },
  { title: "applied", value: (row: DriftFinding) => text(row.wanted) },
  { title: "really", value: (row: DriftFinding) => text(row.actual) },
  { title: "state", value: (row: DriftFinding) => (row.error ? `${row.state} (${row.error})` : row.state) },
  { title: "since", value: (row: DriftFinding) => localTime(row.firstSeenAt) },
  { title: "id", value: (row: DriftFinding) => row.id },
];
const id = { type: "positional", required: true, description: "Id of the finding" } as const;
const reason = { type: "string", required: true, description: "Why" } as const;

async function decide(args: { id: string; json?: boolean | undefined }, verb: "put-back" | "adopt" | "accept", body: object): Promise<void> {
  const client = clientFromEnvironment();
  const found = await client.get<DriftFinding>(`${path}/${args.id}`);
  const after = await client.post<DriftFinding>(`${path}/${args.id}/${verb}`, body, { ifMatch: found.revision });
  if (!args.json && after.state === "proposed") console.error(`A second person has to agree: ${after.lost ?? ""}`);
  showOne(after, args.json ?? false);
}

export const drift = defineCommand({
  meta: { name: "drift", description: "Drift (漂移): what somebody changed on the cloud behind our back" },
  subCommands: {
    list: listCommand<DriftFinding>({
      noun: "findings, property by property",
      path,
      filters: { department: "Id or code", resource: "Id of a host, volume …", state: "open, closed or all" },
      columns,
    }),
    show: showCommand("finding", path),
    scan: defineCommand({
      meta: { name: "scan", description: "Look at a department now; the findings come by `drift list`" },
      args: { department: { type: "positional", required: true, description: "Id or code" }, json },
      async run({ args }) {
        const asked = await clientFromEnvironment().post<DriftScan>("/api/v1/drift-scans", { department: args.department });
        if (args.json) show([asked], [{ title: "department", value: (row) => row.department }], true);
        else console.log("It is looked at as soon as nothing is being applied to it: zhengyun drift list.");
      },
    }),
    "put-back": defineCommand({
      meta: { name: "put-back", description: "Put the finding's thing back as it was applied, as a whole" },
      args: {
        id,
        reason,
        "accept-loss": { type: "boolean", default: false, description: "What is gone is made anew, without what it held; a second person has to say so too" },
        json,
      },
      run: ({ args }) => decide(args, "put-back", { reason: args.reason, acceptLoss: args["accept-loss"] }),
    }),
    adopt: defineCommand({
      meta: { name: "adopt", description: "Propose by a request that what is there becomes what is wanted" },
      args: { id, reason, json },
      run: ({ args }) => decide(args, "adopt", { reason: args.reason }),
    }),
    accept: defineCommand({
      meta: { name: "accept", description: "Leave it as it is, with a reason" },
      args: { id, reason, json },
      run: ({ args }) => decide(args, "accept", { reason: args.reason }),
    }),
  },
});
