import { writeFile } from "node:fs/promises";
import { defineCommand } from "citty";
import type { DepartmentUsage } from "../../contract/usage.ts";
import { department, json } from "../arguments.ts";
import { type Client, clientFromEnvironment } from "../client.ts";
import { bytes, type Column, percent, table } from "../output.ts";

interface Answer {
  from: string;
  to: string;
  items: DepartmentUsage[];
  next: string | null;
}

/** Every page of a usage answer as one. */
export async function readUsage(client: Client, query: Record<string, string | number | undefined>): Promise<Answer> {
  const first = await client.get<Answer>("/api/v1/usage", query);
  for (let next = first.next; next;) {
    const page = await client.get<Answer>("/api/v1/usage", { ...query, cursor: next });
    first.items.push(...page.items);
    next = page.next;
  }
  return first;
}

/** The fullest dimension's share: what a department runs out of first. */
export function quotaUsed(row: DepartmentUsage): number | null {
  const shares = row.quota.filter((one) => one.limit !== null && one.limit > 0).map((one) => (one.used + one.reserved) / (one.limit ?? 1));
  return shares.length === 0 ? null : Math.max(...shares);
}

const storage = (held: DepartmentUsage["tree"]) =>
  (held["storage_gib:performance"] ?? 0) + (held["storage_gib:standard"] ?? 0) + (held["storage_gib:capacity"] ?? 0);

/** Usage per department as people read it; each line holds the department and all below it. */
export const usageColumns: Column<DepartmentUsage>[] = [
  { title: "部门 department", value: (row) => `${row.nameZh} ${row.nameEn}` },
  { title: "hosts", value: (row) => row.tree.hosts ?? 0 },
  { title: "vCPU", value: (row) => row.tree.vcpu ?? 0 },
  { title: "memory", value: (row) => bytes((row.tree.memory_mib ?? 0) * 1_048_576) },
  { title: "storage", value: (row) => `${storage(row.tree)} GiB` },
  { title: "backups", value: (row) => (row.backups.count === 0 ? "0" : `${row.backups.count} (${bytes(row.backups.bytes)})`) },
  { title: "quota used", value: (row) => percent(quotaUsed(row)) },
  { title: "uptime", value: (row) => percent(row.uptimeRatio) },
  { title: "maintenance", value: (row) => (row.maintenanceSeconds === 0 ? "–" : `${(row.maintenanceSeconds / 3600).toFixed(1)} h`) },
];

export const usage = defineCommand({
  meta: { name: "usage", description: "What each department holds and used, against its quota" },
  args: {
    department,
    depth: { type: "string", description: "Levels below the department" },
    from: { type: "string", description: "RFC 3339; left out: start of the month" },
    to: { type: "string", description: "RFC 3339; left out: now" },
    json,
  },
  async run({ args }) {
    const answer = await readUsage(clientFromEnvironment(), { department: args.department, depth: args.depth, from: args.from, to: args.to });
    if (args.json) return console.log(JSON.stringify(answer, null, 2));
    console.log(table(answer.items, usageColumns));
  },
});

export const register = defineCommand({
  meta: { name: "register", description: "The resource register (资源台账) as CSV" },
  args: { department, output: { type: "string", description: "File; left out: standard output" } },
  async run({ args }) {
    const response = await clientFromEnvironment().send("GET", "/api/v1/register.csv", { query: { department: args.department } });
    const content = Buffer.from(await response.arrayBuffer());
    if (args.output) await writeFile(args.output, content);
    else process.stdout.write(content);
  },
});
