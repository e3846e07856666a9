/** Pools (资源池): what there is, what is given out, how it grows and shrinks, for whom it is. */
import { type ArgsDef, defineCommand } from "citty";
import { Dimension } from "../../contract/common.ts";
import { MemberLossAction, type Pool, type PoolChange, type PoolMember } from "../../contract/pools.ts";
import { json } from "../arguments.ts";
import { clientFromEnvironment } from "../client.ts";
import { bytes, type Column, localTime, show, showOne } from "../output.ts";
import { listCommand } from "./list.ts";
import { rebalancePool } from "./operations.ts";
import { showCommand } from "./show.ts";

const path = "/api/v1/pools";
const pathOf = (pool: string) => `${path}/${encodeURIComponent(pool)}`;
const pool = { type: "positional", required: true, description: "Id or code of a pool" } as const;

const shares = ({ offered, taken, queued }: Pool) =>
  Object.entries(offered)
    .map(([name, amount]) => {
      const dimension = name as Dimension;
      const waiting = queued[dimension] ? ` (+${queued[dimension]} waiting)` : "";
      return `${name} ${taken[dimension] ?? 0}/${amount}${waiting}`;
    })
    .join(", ");
const owner = ({ dedicatedTo }: Pool) => (dedicatedTo === null ? "" : (dedicatedTo.applicationName ?? dedicatedTo.departmentName));
const machines = ({ members: { online, evacuated, offline } }: Pool) =>
  [`${online}`, ...(evacuated > 0 ? [`${evacuated} evacuated`] : []), ...(offline > 0 ? [`${offline} offline`] : [])].join(", ");

/** `vcpu=64,memory_mib=262144` @throws Error */
export function amounts(text: string): Record<string, number> {
  return Object.fromEntries(
    text.split(",").map((one) => {
      const [name, amount, ...rest] = one.split("=").map((part) => part.trim());
      if (!Dimension.safeParse(name).success || rest.length > 0 || !/^\d+$/.test(amount ?? ""))
        throw new Error(`--capacity is written like vcpu=64,memory_mib=262144; there are ${Dimension.options.join(", ")}. Not: ${one}`);
      return [name!, Number(amount)];
    }),
  );
}
/** `110108`, `110108/portal`, or `none`. */
const dedication = (text: string) => {
  if (text === "none") return null;
  const [department, application] = text.split("/");
  return { department: department!, ...(application ? { application } : {}) };
};
const whole = (name: string, text: string) => {
  if (!/^\d+$/.test(text)) throw new Error(`${name} is a whole number, not ${text}.`);
  return Number(text);
};

const memberColumns: Column<PoolMember>[] = [
  { title: "name", value: (row) => row.name },
  { title: "state", value: (row) => `${row.state}${row.message === "" ? "" : `: ${row.message}`}` },
  { title: "since", value: (row) => localTime(row.since) },
  { title: "takes its hosts", value: (row) => (row.inGroup ? "yes" : "no") },
  { title: "hosts", value: (row) => row.hosts },
  { title: "vCPU", value: (row) => `${row.taken.vcpu}/${row.vcpu ?? "?"}` },
  { title: "memory", value: (row) => `${bytes(row.taken.memoryMib * 2 ** 20)} of ${bytes(row.memory?.totalBytes)}` },
  { title: "disk free", value: (row) => bytes(row.disk?.freeBytes) },
];

const common = {
  capacity: { type: "string", description: "What there is, such as vcpu=64,memory_mib=262144; what isn't named stays" },
  overcommit: { type: "string", description: "vCPU given out for 100 that there are: 100 to 1600" },
  strategy: { type: "string", description: "How hosts go to its members: spread or pack" },
  "dedicated-to": { type: "string", description: "DEPARTMENT, or DEPARTMENT/APPLICATION, whose it is alone; none: everybody's" },
  "on-member-loss": {
    type: "string",
    description:
      "What becomes of its hosts when their member does not answer: wait, propose or restart, and after how many seconds, such as restart:900 (left out: 600)",
  },
  fenced: {
    type: "boolean",
    description: "For restart: you have made sure that a machine that lost its cluster is off by then (a watchdog, or its power is cut)",
  },
} satisfies ArgsDef;
interface Common {
  capacity?: string | undefined;
  overcommit?: string | undefined;
  strategy?: string | undefined;
  "dedicated-to"?: string | undefined;
  "on-member-loss"?: string | undefined;
  fenced?: boolean | undefined;
}
/** `restart:900` */
const lossPolicy = (text: string, fenced: boolean) => {
  const [action, seconds] = text.split(":");
  if (!MemberLossAction.safeParse(action).success) throw new Error(`--on-member-loss is ${MemberLossAction.options.join(", ")}, not ${action}.`);
  return { action: action as MemberLossAction, fenced, ...(seconds === undefined ? {} : { afterSeconds: whole("The seconds of --on-member-loss", seconds) }) };
};
const given = (args: Common) => ({
  ...(args.capacity === undefined ? {} : { capacity: amounts(args.capacity) }),
  ...(args.overcommit === undefined ? {} : { overcommitPercent: whole("--overcommit", args.overcommit) }),
  ...(args.strategy === undefined ? {} : { strategy: args.strategy }),
  ...(args["dedicated-to"] === undefined ? {} : { dedicatedTo: dedication(args["dedicated-to"]) }),
  ...(args["on-member-loss"] === undefined ? {} : { onMemberLoss: lossPolicy(args["on-member-loss"], args.fenced === true) }),
});

export const pools = defineCommand({
  meta: { name: "pools", description: "Capacity (资源池)" },
  subCommands: {
    list: listCommand<Pool>({
      noun: "pools",
      path,
      columns: [
        { title: "code", value: (row) => row.code },
        { title: "kind", value: (row) => row.kind },
        { title: "tier", value: (row) => row.tier },
        { title: "level", value: (row) => row.securityLevel },
        { title: "zone", value: (row) => row.zone },
        { title: "only for", value: owner },
        { title: "driver", value: (row) => row.driver },
        { title: "state", value: (row) => row.state },
        { title: "reached", value: (row) => (row.circuit.state === "closed" ? "yes" : `no: ${row.circuit.error ?? ""}`) },
        { title: "members", value: machines },
        { title: "on member loss", value: ({ onMemberLoss: { action, afterSeconds } }) => (action === "wait" ? "" : `${action} after ${afterSeconds} s`) },
        { title: "taken/offered", value: shares },
      ],
    }),
    show: showCommand("pools", path),
    rebalance: rebalancePool,
    members: defineCommand({
      meta: { name: "members", description: "The machines behind a pool, and what is on each" },
      args: { pool, json },
      async run({ args }) {
        const rows: PoolMember[] = [];
        for await (const row of clientFromEnvironment().all<PoolMember>(`${pathOf(args.pool)}/members`, {})) rows.push(row);
        show(rows, memberColumns, args.json);
      },
    }),
    create: defineCommand({
      meta: { name: "create", description: "Add a pool" },
      args: {
        code: { type: "positional", required: true, description: "Its code" },
        name: { type: "string", required: true, description: "What people call it" },
        kind: { type: "string", required: true, description: "compute, storage or backup" },
        site: { type: "string", required: true, description: "Where it is" },
        tier: { type: "string", description: "performance, standard (left out) or capacity" },
        level: { type: "string", description: "Protection level (等级保护), 2 to 4; left out: 3" },
        zone: { type: "string", description: "extranet (政务外网; left out) or internet" },
        driver: { type: "string", description: "embedded (left out) or lxd" },
        endpoint: { type: "string", description: "Such as unix:/var/lib/lxd/unix.socket?storage=default&backups=/srv/backups&group=gold" },
        ...common,
        json,
      },
      async run({ args }) {
        const { code, name, kind, site, tier, level, zone, driver, endpoint } = args;
        const fixed = Object.fromEntries(Object.entries({ code, name, kind, site, tier, zone, driver, endpoint }).filter(([, value]) => value !== undefined));
        const body = { capacity: {}, ...fixed, ...(level === undefined ? {} : { securityLevel: whole("--level", level) }), ...given(args) };
        showOne(await clientFromEnvironment().post<Pool>(path, body), args.json);
      },
    }),
    change: defineCommand({
      meta: { name: "change", description: "Grow, shrink, close or open a pool, or say for whom it is" },
      args: {
        pool,
        ...common,
        name: { type: "string", description: "What people call it" },
        state: { type: "string", description: "open; maintenance or closed: takes nothing new, what is there stays" },
        json,
      },
      async run({ args }) {
        const client = clientFromEnvironment();
        const { id, revision } = await client.get<Pool>(pathOf(args.pool));
        const change = { ...given(args), ...(args.name === undefined ? {} : { name: args.name }), ...(args.state === undefined ? {} : { state: args.state }) };
        showOne(await client.patch<Pool>(pathOf(id), change as PoolChange, revision), args.json);
      },
    }),
  },
});
