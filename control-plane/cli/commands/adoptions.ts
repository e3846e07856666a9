import { defineCommand } from "citty";
import type { AdoptionScan, FoundInstance } from "../../contract/adoptions.ts";
import { json } from "../arguments.ts";
import { type Client, clientFromEnvironment } from "../client.ts";
import { show, showOne } from "../output.ts";
import { waitFor } from "../wait.ts";

const path = "/api/v1/adoptions";
const limit = (value: number | null) => value ?? "none";
const columns = [
  { title: "project", value: (row: FoundInstance) => row.project },
  { title: "instance", value: (row: FoundInstance) => row.instance },
  { title: "member", value: (row: FoundInstance) => row.member ?? "" },
  { title: "type", value: (row: FoundInstance) => row.type },
  { title: "vCPU", value: (row: FoundInstance) => limit(row.vcpu) },
  { title: "MiB", value: (row: FoundInstance) => limit(row.memoryMib) },
  { title: "GiB", value: (row: FoundInstance) => limit(row.diskGib) },
  { title: "image", value: (row: FoundInstance) => row.image },
  { title: "state", value: (row: FoundInstance) => row.state },
  { title: "addresses", value: (row: FoundInstance) => row.addresses.join(" ") },
  { title: "volumes", value: (row: FoundInstance) => row.volumes.join(" ") },
  { title: "weaker isolation", value: (row: FoundInstance) => row.weaknesses.join(", ") },
  { title: "host", value: (row: FoundInstance) => row.host ?? "" },
  { title: "id", value: (row: FoundInstance) => row.id },
];
const pool = { type: "string", required: true, description: "Code of a pool at the endpoint" } as const;

async function found(client: Client, code: string): Promise<FoundInstance[]> {
  const rows: FoundInstance[] = [];
  for await (const row of client.all<FoundInstance>(path, { pool: code })) rows.push(row);
  return rows;
}
function whole(name: string, typed: string | undefined): number | undefined {
  if (typed === undefined) return undefined;
  if (!/^\d+$/.test(typed)) throw new Error(`--${name} is a whole number, not ${typed}.`);
  return Number(typed);
}

export const adoptions = defineCommand({
  meta: { name: "adoptions", description: "Adoption (纳管): existing instances become hosts as they are" },
  subCommands: {
    scan: defineCommand({
      meta: { name: "scan", description: "Look for instances that belong to nobody of ours, and list them" },
      args: { pool, json },
      async run({ args }) {
        const client = clientFromEnvironment();
        const asked = await client.post<AdoptionScan>("/api/v1/adoption-scans", { pool: args.pool });
        const done = await waitFor(
          () => client.get<AdoptionScan>(`/api/v1/adoption-scans/${encodeURIComponent(args.pool)}`),
          (one) => one.endedAt !== null && one.askedAt >= asked.askedAt,
        );
        if (done.error !== null) throw new Error(done.error);
        show(await found(client, args.pool), columns, args.json);
      },
    }),
    list: defineCommand({
      meta: { name: "list", description: "What the last look found, and what is being or was taken over" },
      args: { pool, json },
      run: async ({ args }) => show(await found(clientFromEnvironment(), args.pool), columns, args.json),
    }),
    propose: defineCommand({
      meta: { name: "propose", description: "Ask that one becomes a host, under quota, budget and approvals" },
      args: {
        instance: { type: "positional", required: true, description: "Id, as the list has it" },
        application: { type: "string", required: true, description: "Id or code" },
        project: { type: "string", required: true, description: "Id or code of the project that pays" },
        department: { type: "string", description: "Where several have an application of that code" },
        pool: { type: "string", description: "Another pool at the same endpoint" },
        name: { type: "string", description: "What it is called here; left out: as it is" },
        vcpu: { type: "string", description: "Where it has no limit, or another one" },
        memory: { type: "string", description: "MiB" },
        disk: { type: "string", description: "GiB" },
        reason: { type: "string", required: true, description: "Why" },
        json,
      },
      async run({ args }) {
        const { instance, application, project, department, name, reason } = args;
        const sizes = { vcpu: whole("vcpu", args.vcpu), memoryMib: whole("memory", args.memory), diskGib: whole("disk", args.disk) };
        const body = { instance, application, project, department, pool: args.pool, name, reason, ...sizes };
        showOne(await clientFromEnvironment().post<Record<string, unknown>>(path, body), args.json);
      },
    }),
  },
});
