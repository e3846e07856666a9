/** Draws up operation plans: the steps, in order, of what was asked for, and what stands in their way. Pure. */
import type { OperationAction } from "../contract/operation-plans.ts";
import { Bench, type Cluster, type ClusterPool, percent, type Thing, whyNotInPool } from "./cluster.ts";
import { digestOf } from "./digest.ts";
import { Refusal } from "./refusal.ts";

/** What was asked for, with its references resolved. */
export type Ask =
  | { kind: "drain-member"; member: string }
  | { kind: "restore-member"; member: string; /** Ids of what is to come back. */ bringBack: string[] }
  | { kind: "replace-member"; member: string; successor: string }
  | { kind: "rebalance"; pool: string; maxMoves: number }
  | { kind: "move-host" | "move-volume"; resource: string; toMember: string | null; toPool: string | null }
  /** By a pool's policy: these of its hosts are started elsewhere, since their member doesn't answer. */
  | { kind: "restart-lost"; member: string; hosts: string[] };

export interface PlannedStep {
  action: OperationAction;
  /** The member, or the id of what moves. */
  subject: string;
  name: string;
  department: string | null;
  application: string | null;
  from: string | null;
  to: string | null;
  fromPool: string | null;
  toPool: string | null;
  restarts: boolean;
  bytes: number | null;
  reason: string;
  blocked: string | null;
}

/** @throws Refusal for what cannot be meant; what stands in the way of one step is said there */
export function drawUp(ask: Ask, cluster: Cluster, pools: readonly ClusterPool[]): PlannedStep[] {
  if (cluster.members.length < 2 && (ask.kind === "drain-member" || ask.kind === "restore-member" || ask.kind === "replace-member"))
    throw new Refusal("rule-broken", "There is one machine only behind this pool: nothing can be moved off it.", {
      remedy: "Draining needs a cluster. Stop its hosts in a maintenance window instead.",
    });
  switch (ask.kind) {
    case "drain-member":
      return drain(ask.member, cluster);
    case "restore-member":
      return restore(ask.member, ask.bringBack, cluster);
    case "replace-member":
      return replace(ask.member, ask.successor, cluster);
    case "rebalance":
      return rebalance(ask.pool, ask.maxMoves, cluster);
    case "restart-lost":
      return restartLost(ask, cluster);
    default:
      return [moveOne(ask, cluster, pools)];
  }
}

/** What a confirmation is bound to: what goes where and what restarts; not how full the members were at that moment. */
export const hashOf = (steps: readonly PlannedStep[]): string =>
  digestOf(steps.map(({ bytes: _bytes, reason: _reason, blocked, ...step }) => ({ ...step, blocked: blocked !== null })));

/** Lines such as `host web: n1 → n2, was n1 → n3`; empty when nothing that is confirmed differs. */
export function stepDifferences(before: readonly PlannedStep[], after: readonly PlannedStep[]): string[] {
  const keyOf = (step: PlannedStep) => `${step.action} ${step.name}`;
  const [had, has] = [new Map(before.map((one) => [`${one.action} ${one.subject}`, one])), new Map(after.map((one) => [`${one.action} ${one.subject}`, one]))];
  const way = (step: PlannedStep) =>
    [
      step.from === step.to ? "" : `${step.from ?? "?"} → ${step.to ?? "?"}`,
      step.fromPool === step.toPool ? "" : "to another pool",
      step.restarts ? "restarts" : "",
      step.blocked === null ? "" : `blocked: ${step.blocked}`,
    ]
      .filter(Boolean)
      .join(", ") || "nothing moves";
  const lines = [...new Set([...had.keys(), ...has.keys()])].flatMap((key) => {
    const [was, is] = [had.get(key), has.get(key)];
    if (!is) return [`${keyOf(was!)}: no more`];
    if (!was) return [`${keyOf(is)}: new, ${way(is)}`];
    return hashOf([was]) === hashOf([is]) ? [] : [`${keyOf(is)}: ${way(is)}, was ${way(was)}`];
  });
  return lines.length > 0 || hashOf(before) === hashOf(after) ? lines : ["the steps are in another order"];
}

function drain(member: string, cluster: Cluster, successor?: string): PlannedStep[] {
  const there = memberOf(member, cluster);
  const bench = new Bench({
    ...cluster,
    members: cluster.members.map((one) => (one.name === successor && one.state === "evacuated" ? { ...one, state: "online" } : one)),
  });
  const away = there.state === "offline" ? `${member} does not answer: what is on it cannot be moved` : null;
  const close = { ...memberStep("close-member", member, "takes no new hosts from here on"), blocked: away };
  // The largest first, while there is most room.
  const moves = things(member, cluster)
    .toSorted((a, b) => b.memoryMib - a.memoryMib || b.bytes - a.bytes || (a.id < b.id ? -1 : 1))
    .map((thing) => {
      const choice = bench.choose(thing, { but: member, first: successor });
      if (choice.member !== undefined && away === null) bench.move(thing, choice.member);
      return { ...moveStep(thing, choice.member ?? null, choice.reason), blocked: away ?? (choice.member === undefined ? choice.reason : null) };
    });
  const strangers = cluster.strangers
    .filter((one) => one.member === member)
    .map((one) => ({
      ...moveStep({ id: one.name, name: one.name, kind: "host", member }, null, ""),
      blocked: "it belongs to no department that is known: adopt it, or move it by hand",
    }));
  return [close, ...moves, ...strangers];
}

function restore(member: string, bringBack: readonly string[], cluster: Cluster): PlannedStep[] {
  const there = memberOf(member, cluster);
  const bench = new Bench({ ...cluster, members: cluster.members.map((one) => (one === there ? { ...one, state: "online" } : one)) });
  const open = {
    ...memberStep("open-member", member, there.state === "online" ? "takes hosts already" : "takes hosts again"),
    blocked: there.state === "offline" ? `${member} does not answer` : null,
  };
  const back = cluster.things.filter((one) => bringBack.includes(one.id) && one.member !== member && one.attachedTo === undefined);
  return [
    open,
    ...back.map((thing) => {
      const why = bench.whyNot(thing, member) ?? null;
      if (why === null) bench.move(thing, member);
      return { ...moveStep(thing, member, "was there before the drain"), blocked: why };
    }),
  ];
}

function replace(member: string, successor: string, cluster: Cluster): PlannedStep[] {
  if (member === successor) throw new Refusal("rule-broken", "A member cannot take over from itself.");
  const next = memberOf(successor, cluster);
  const open = {
    ...memberStep("open-member", successor, `takes over from ${member}`),
    blocked: next.state === "offline" ? `${successor} does not answer` : null,
  };
  return [open, ...drain(member, cluster, successor)];
}

/** Each where placement would bring it; what cannot be had elsewhere says why and holds up no other. @throws Refusal when the member answers */
function restartLost({ member, hosts }: Extract<Ask, { kind: "restart-lost" }>, cluster: Cluster): PlannedStep[] {
  if (memberOf(member, cluster).state !== "offline") throw new Refusal("rule-broken", `${member} answers: what is on it runs there.`);
  const bench = new Bench(cluster);
  return cluster.things
    .filter((one) => one.kind === "host" && one.member === member && hosts.includes(one.id))
    .toSorted((a, b) => b.memoryMib - a.memoryMib || (a.id < b.id ? -1 : 1))
    .map((thing) => {
      // Nothing is copied.
      const choice = bench.choose({ ...thing, usedBytes: 0 }, { but: member });
      const blocked = thing.bound ?? (choice.member === undefined ? choice.reason : null);
      if (blocked === null) bench.move({ ...thing, usedBytes: 0 }, choice.member!);
      return { ...moveStep(thing, blocked === null ? choice.member! : null, choice.reason), action: "restart-host" as const, bytes: null, blocked };
    });
}

/** A difference that isn't worth a restart. */
const evenEnough = 0.1;

/**
 * Moves hosts of a pool from the members with most taken to those with least, each move the one that evens out most, each host once.
 * None worsens how the hosts of an application are spread.
 */
export function rebalance(poolId: string, maxMoves: number, cluster: Cluster): PlannedStep[] {
  const bench = new Bench(cluster);
  const hosts = cluster.things.filter((one) => one.kind === "host" && one.pool.id === poolId && one.member !== undefined);
  const pool = hosts[0]?.pool;
  const members = cluster.members.filter((one) => one.state === "online" && (pool?.group === undefined || one.groups.includes(pool.group)));
  const moved = new Set<string>();
  const steps: PlannedStep[] = [];
  while (steps.length < maxMoves) {
    const best = bestMove(
      bench,
      hosts.filter((one) => !moved.has(one.id)),
      members.map((one) => one.name),
    );
    if (!best) break;
    const { thing, from, to } = best;
    const [full, light] = [bench.share(from), bench.share(to)];
    bench.move(thing, to);
    moved.add(thing.id);
    steps.push(moveStep(thing, to, `${from} ${percent(full)} → ${percent(bench.share(from))} taken, ${to} ${percent(light)} → ${percent(bench.share(to))}`));
  }
  return steps;
}

function bestMove(bench: Bench, hosts: readonly Thing[], members: readonly string[]): { thing: Thing; from: string; to: string } | undefined {
  const byShare = members.toSorted((a, b) => bench.share(b) - bench.share(a) || (a < b ? -1 : 1));
  for (const from of byShare) {
    let best: { thing: Thing; from: string; to: string; gain: number } | undefined;
    for (const thing of hosts) {
      if (bench.memberOf(thing) !== from) continue;
      for (const to of byShare.toReversed()) {
        if (bench.share(from) - bench.share(to) < evenEnough) break;
        // The sum of squares falls with every move: that is why it ends.
        const gain = bench.share(from) ** 2 + bench.share(to) ** 2 - bench.share(from, thing, -1) ** 2 - bench.share(to, thing) ** 2;
        if (gain <= 1e-9 || (best && gain <= best.gain)) continue;
        if (bench.companions(thing, to) > bench.companions(thing, from) || bench.whyNot(thing, to) !== undefined) continue;
        best = { thing, from, to, gain };
      }
    }
    if (best) return best;
  }
  return undefined;
}

function moveOne(ask: Extract<Ask, { resource: string }>, cluster: Cluster, pools: readonly ClusterPool[]): PlannedStep {
  const thing = cluster.things.find((one) => one.id === ask.resource);
  if (!thing) throw new Refusal("rule-broken", `${ask.resource} is not there: its endpoint does not show it.`);
  if (thing.attachedTo !== undefined)
    throw new Refusal(
      "rule-broken",
      `The volume is attached to ${cluster.things.find((one) => one.id === thing.attachedTo)?.name ?? "a host"}: it moves with it.`,
      {
        remedy: "Move the host, or have the volume detached first.",
      },
    );
  const pool = ask.toPool === null ? thing.pool : pools.find((one) => one.id === ask.toPool && one.storage === thing.pool.storage);
  if (!pool)
    throw new Refusal(
      "rule-broken",
      "That pool lies on another server, or in another storage of it: nothing is carried from one to the other while it is a department's.",
      {
        remedy: "Restore a backup to a new volume there, or have the host redeployed there: its department asks for that.",
      },
    );
  const wrong = pool.id === thing.pool.id ? null : whyNotToPool(thing, pool);
  const bench = new Bench(cluster);
  const stays =
    ask.toMember === null && pool.id !== thing.pool.id && (thing.member === undefined || pool.group === undefined || isOf(thing.member, pool.group, cluster));
  const choice = stays
    ? { member: thing.member, reason: "it stays where it is" }
    : ask.toMember === null
      ? bench.choose(thing, { but: thing.member, pool })
      : { member: memberOf(ask.toMember, cluster).name, reason: "as was asked for" };
  const why =
    wrong ??
    (stays
      ? null
      : choice.member === undefined
        ? choice.reason
        : choice.member === thing.member && pool.id === thing.pool.id
          ? "it is there already"
          : (bench.whyNot(thing, choice.member, pool) ?? null));
  return { ...moveStep(thing, choice.member ?? null, choice.reason), toPool: pool.id, blocked: why };
}

function whyNotToPool(thing: Thing, pool: ClusterPool): string | null {
  if (pool.kind !== thing.pool.kind) return `pool ${pool.code} is for ${pool.kind}`;
  if (pool.state !== "open") return `pool ${pool.code} is in ${pool.state}`;
  if (pool.tier !== thing.pool.tier)
    return `pool ${pool.code} is of the tier ${pool.tier}: quota and price differ, so its department has to ask for that in a request`;
  return whyNotInPool(thing, pool) ?? null;
}

const isOf = (member: string, group: string, cluster: Cluster) => cluster.members.find((one) => one.name === member)?.groups.includes(group) ?? false;

/** What moves by itself off a member: hosts, and volumes that are attached to none. */
const things = (member: string, cluster: Cluster) => cluster.things.filter((one) => one.member === member && one.attachedTo === undefined);

function memberOf(name: string, cluster: Cluster) {
  const found = cluster.members.find((one) => one.name === name);
  if (!found)
    throw new Refusal("rule-broken", `The cluster has no member ${name}.`, { remedy: `There are: ${cluster.members.map((one) => one.name).join(", ")}.` });
  return found;
}

const memberStep = (action: "close-member" | "open-member", member: string, reason: string): PlannedStep => ({
  action,
  subject: member,
  name: member,
  department: null,
  application: null,
  from: null,
  to: null,
  fromPool: null,
  toPool: null,
  restarts: false,
  bytes: null,
  reason,
  blocked: null,
});
const moveStep = (thing: Pick<Thing, "id" | "name" | "kind" | "member"> & Partial<Thing>, to: string | null, reason: string): PlannedStep => ({
  action: thing.kind === "host" ? "move-host" : "move-volume",
  subject: thing.id,
  name: thing.name,
  department: thing.department ?? null,
  application: thing.application ?? null,
  from: thing.member ?? null,
  to,
  fromPool: thing.pool?.id ?? null,
  toPool: thing.pool?.id ?? null,
  // Containers are stopped for it: what is moved while it runs is a gain that nobody counts on.
  restarts: thing.kind === "host" && (thing.runs ?? false) && to !== null && to !== thing.member,
  bytes: to === null || to === thing.member ? null : (thing.bytes ?? null),
  reason,
  blocked: null,
});
