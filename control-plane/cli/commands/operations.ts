/** Members of clusters and operation plans (运维方案): asked for, looked at, confirmed by somebody else. */
import { type ArgsDef, defineCommand } from "citty";
import type { Member, MemberThing } from "../../contract/members.ts";
import type { NewOperationPlan, OperationPlan, OperationPlanSummary, OperationStep } from "../../contract/operation-plans.ts";
import { json } from "../arguments.ts";
import { clientFromEnvironment } from "../client.ts";
import { bytes, type Column, localTime, show } from "../output.ts";
import { waitFor } from "../wait.ts";
import { listCommand } from "./list.ts";

const path = "/api/v1/operation-plans";
const reason = { type: "string", required: true, description: "Why: owners of hosts that restart are told" } as const;
const pool = { type: "string", required: true, description: "Id or code of a pool behind which it is" } as const;
const member = { type: "positional", required: true, description: "Name of the member" } as const;
const id = { type: "positional", required: true, description: "Id of the plan" } as const;
type Asked = { [Kind in NewOperationPlan["kind"]]: Partial<Extract<NewOperationPlan, { kind: Kind }>> & { kind: Kind } }[NewOperationPlan["kind"]];

const columns: Column<OperationStep>[] = [
  { title: "step", value: (row) => row.action },
  { title: "name", value: (row) => row.name },
  { title: "application", value: (row) => row.applicationName },
  { title: "department", value: (row) => row.departmentName?.zh },
  { title: "from", value: (row) => [row.from, row.fromPool === row.toPool ? null : row.fromPool].filter(Boolean).join(" ") || null },
  { title: "to", value: (row) => [row.to, row.fromPool === row.toPool ? null : row.toPool].filter(Boolean).join(" ") || null },
  { title: "restarts", value: (row) => ((row.restarted ?? row.restarts) ? "yes" : "no") },
  { title: "at most", value: (row) => bytes(row.bytes) },
  { title: "state", value: (row) => (row.blocked === null ? row.state : "blocked") },
  { title: "why", value: (row) => row.error?.message ?? row.blocked ?? row.reason },
];

/** The plan with its steps, and what is to be done next. */
function print(plan: OperationPlan, asJson: boolean): void {
  if (asJson) return console.log(JSON.stringify(plan, null, 2));
  console.log(`${plan.id}  ${plan.kind} ${plan.subject}  ${plan.state}${plan.error === null ? "" : `: ${plan.error}`}`);
  for (const line of plan.difference) console.log(`  changed since it was confirmed: ${line}`);
  if (plan.steps.length > 0) show(plan.steps, columns, false);
  if (plan.state !== "draft") return;
  if (plan.counts.blocked > 0) console.log(`${plan.counts.blocked} blocked: nothing can begin. Then: zhengyun operations recompute ${plan.id}`);
  else if (plan.steps.length === 0) console.log("There is nothing to do.");
  else console.log(`Nothing has moved. Another person of operations confirms it: zhengyun operations confirm ${plan.id}`);
}

const ended = (plan: Pick<OperationPlan, "state">) => plan.state === "done" || plan.state === "failed" || plan.state === "cancelled";
const read = (one: string) => clientFromEnvironment().get<OperationPlan>(`${path}/${encodeURIComponent(one)}`);
const computed = (one: string) =>
  waitFor(
    () => read(one),
    (plan) => plan.state !== "planning",
  );

/** Has a plan drawn up and shows it. */
async function drawUp(ask: Asked, asJson: boolean): Promise<void> {
  const made = await clientFromEnvironment().post<OperationPlan>(path, ask);
  const plan = await computed(made.id);
  print(plan, asJson);
  if (plan.state === "failed") process.exitCode = 1;
}

const planCommand = <const T extends ArgsDef>(name: string, description: string, args: T, ask: (given: Record<string, string>) => Asked) =>
  defineCommand({
    meta: { name, description },
    args: { ...args, reason, json },
    run: ({ args: given }) => drawUp({ ...ask(given as Record<string, string>), reason: given["reason"] }, given["json"] === true),
  });

export const members = defineCommand({
  meta: { name: "members", description: "The machines behind pools" },
  subCommands: {
    list: listCommand<Member>({
      noun: "machines",
      path: "/api/v1/members",
      filters: { pool: "Id or code of a pool" },
      columns: [
        { title: "member", value: (row) => row.name },
        { title: "state", value: (row) => row.state },
        { title: "pools", value: (row) => row.pools.join(", ") },
        { title: "groups", value: (row) => row.groups.join(", ") },
        { title: "hosts", value: (row) => row.hosts },
        { title: "volumes", value: (row) => row.volumes },
        { title: "vCPU given/has", value: (row) => `${row.soldVcpu}/${row.vcpu ?? "?"}` },
        { title: "memory given/has", value: (row) => `${bytes(row.soldMemoryMib * 1_048_576)}/${bytes(row.memory?.totalBytes)}` },
        { title: "disk free", value: (row) => bytes(row.disk?.freeBytes) },
        { title: "says", value: (row) => row.message },
      ],
    }),
    show: defineCommand({
      meta: { name: "show", description: "Departments' hosts and volumes on a machine" },
      args: { member, pool, json },
      async run({ args }) {
        const rows: MemberThing[] = [];
        const from = `/api/v1/members/${encodeURIComponent(args.pool)}/${encodeURIComponent(args.member)}/things`;
        for await (const row of clientFromEnvironment().all<MemberThing>(from)) rows.push(row);
        show(
          rows,
          [
            { title: "kind", value: (row) => row.kind },
            { title: "name", value: (row) => row.name },
            { title: "state", value: (row) => row.state },
            { title: "application", value: (row) => row.applicationName },
            { title: "department", value: (row) => row.departmentName.zh },
            { title: "pool", value: (row) => row.pool },
            { title: "GiB", value: (row) => row.sizeGib },
            { title: "id", value: (row) => row.id },
          ],
          args.json,
        );
      },
    }),
    drain: planCommand("drain", "Plan to close a member to new hosts and move everything off it", { member, pool }, (given) => ({
      kind: "drain-member",
      member: given["member"]!,
      pool: given["pool"]!,
    })),
    restore: planCommand(
      "restore",
      "Plan to open a member again",
      { member, pool, "bring-back": { type: "boolean", default: false, description: "Move back what the last drain took away" } },
      (given) => ({ kind: "restore-member", member: given["member"]!, pool: given["pool"]!, bringBack: Boolean(given["bring-back"]) }),
    ),
    replace: planCommand(
      "replace",
      "Plan to move everything to a successor; afterwards the member can be taken out of the cluster",
      { member, pool, by: { type: "string", required: true, description: "The successor, in the cluster already" } },
      (given) => ({ kind: "replace-member", member: given["member"]!, successor: given["by"]!, pool: given["pool"]! }),
    ),
  },
});

export const operations = defineCommand({
  meta: { name: "operations", description: "Operation plans (运维方案)" },
  subCommands: {
    list: listCommand<OperationPlanSummary>({
      noun: "operation plans, newest first",
      path,
      filters: { state: "planning, draft, confirmed, running, done, failed or cancelled" },
      columns: [
        { title: "id", value: (row) => row.id },
        { title: "kind", value: (row) => row.kind },
        { title: "about", value: (row) => row.subject },
        { title: "state", value: (row) => row.state },
        { title: "done", value: (row) => `${row.counts.done}/${row.counts.steps}` },
        { title: "failed", value: (row) => row.counts.failed },
        { title: "by", value: (row) => row.createdByName },
        { title: "confirmed by", value: (row) => row.confirmedByName },
        { title: "drawn up", value: (row) => localTime(row.createdAt) },
      ],
    }),
    show: defineCommand({
      meta: { name: "show", description: "A plan and its steps" },
      args: { id, json },
      run: async ({ args }) => print(await read(args.id), args.json),
    }),
    confirm: defineCommand({
      meta: { name: "confirm", description: "Begin what is shown; by somebody else than who drew it up" },
      args: {
        id,
        hash: { type: "string", description: "Of the plan as you saw it; left out: as it is now" },
        wait: { type: "boolean", default: false, description: "Wait until it has ended" },
        json,
      },
      async run({ args }) {
        const plan = await read(args.id);
        await clientFromEnvironment().post(`${path}/${plan.id}/confirm`, { hash: args.hash ?? plan.hash ?? "" }, { ifMatch: plan.revision });
        const last = await waitFor(
          () => read(plan.id),
          (one) => (args.wait ? ended(one) || one.state === "draft" : one.state !== "confirmed"),
          { timeoutMs: 86_400_000 },
        );
        print(last, args.json);
        if (last.state === "failed" || last.state === "draft") process.exitCode = 1;
      },
    }),
    cancel: defineCommand({
      meta: { name: "cancel", description: "Do no more of it; what runs is brought to its end" },
      args: { id, json },
      async run({ args }) {
        const plan = await read(args.id);
        print(await clientFromEnvironment().post<OperationPlan>(`${path}/${plan.id}/cancel`, {}, { ifMatch: plan.revision }), args.json);
      },
    }),
    recompute: defineCommand({
      meta: { name: "recompute", description: "Compute a draft again, as the machines are now" },
      args: { id, json },
      async run({ args }) {
        const plan = await read(args.id);
        await clientFromEnvironment().post(`${path}/${plan.id}/recompute`, {}, { ifMatch: plan.revision });
        print(await computed(plan.id), args.json);
      },
    }),
  },
});

const target = {
  to: { type: "string", description: "Member; left out: the best one" },
  pool: { type: "string", description: "Id or code of another pool of the same kind, tier and endpoint" },
} as const satisfies ArgsDef;
const to = (given: Record<string, string>) => ({ toMember: given["to"] ?? null, toPool: given["pool"] ?? null });
export const moveHost = planCommand(
  "move",
  "Plan to move a host to another member or pool",
  { id: { ...id, description: "Id of the host" }, ...target },
  (given) => ({
    kind: "move-host",
    host: given["id"]!,
    ...to(given),
  }),
);
export const moveVolume = planCommand(
  "move",
  "Plan to move a volume that is attached to nothing",
  { id: { ...id, description: "Id of the volume" }, ...target },
  (given) => ({
    kind: "move-volume",
    volume: given["id"]!,
    ...to(given),
  }),
);
export const rebalancePool = planCommand(
  "rebalance",
  "Plan moves that even out the members of a pool",
  {
    pool: { type: "positional", required: true, description: "Id or code of the pool" },
    "max-moves": { type: "string", default: "20", description: "At most so many" },
  },
  (given) => ({ kind: "rebalance", pool: given["pool"]!, maxMoves: Number(given["max-moves"]) }),
);
