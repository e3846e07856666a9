/**
 * Operation plans (运维方案): computed from what the machines say now, begun only when that is still what was confirmed, and then
 * carried on from wherever it stands. It keeps nothing of its own: run again after a kill, it goes on with what the steps say.
 */
import { fault } from "../../infra/drivers/fault.ts";
import { DriverError, type MemberReading, type PoolReading } from "../../infra/drivers/driver.ts";
import type { HostSpec, VolumeSpec } from "../../infra/spec.ts";
import { type Cluster, type ClusterPool, type Thing } from "../domain/cluster.ts";
import { type Ask, drawUp, hashOf, type PlannedStep } from "../domain/operation-plans.ts";
import { whyNotElsewhere } from "../domain/losses.ts";
import { Refusal } from "../domain/refusal.ts";
import { endpointsAt, type HeldThing, poolsAt, thingsIn } from "../store/cluster.ts";
import {
  beginRestarts,
  endOperation,
  lockOperation,
  type PlanRow,
  set,
  showOperation,
  startOperation,
  type StepRow,
  stepsOf,
} from "../store/operation-plans.ts";
import { claimSteps, departmentsMoving, settleMemberStep, skipRest, type StepError } from "../store/operation-steps.ts";
import { tellOwners } from "../store/operation-notices.ts";
import { change, type JobContext } from "./context.ts";

/** The named points between the steps, for the tests that kill there. */
export const operationSteps = ["operation.computed", "operation.started", "operation.member", "operation.claimed"] as const;

export async function runOperationPlan(context: JobContext, id: string): Promise<void> {
  const row = await context.db.selectFrom("operation_plans").selectAll().where("id", "=", id).executeTakeFirst();
  if (!row) return;
  if (row.state === "planning" || row.state === "confirmed") await compute(context, row);
  const now = await context.db.selectFrom("operation_plans").selectAll().where("id", "=", id).executeTakeFirstOrThrow();
  if (now.state === "running") await advance(context, now);
}

/** Shows a plan, or begins it when it is still the one that was confirmed. */
async function compute(context: JobContext, row: PlanRow): Promise<void> {
  let steps: PlannedStep[];
  try {
    steps = await planned(context, row);
  } catch (error) {
    const why = reasonOf(error);
    if (why === undefined) throw error;
    return change(context, async (tx, act) => {
      const locked = await lockOperation(tx, row.id);
      if (locked?.state === row.state) await set(tx, act, locked, { state: "failed", error: why, finished_at: act.now });
    });
  }
  fault("operation.computed");
  await change(context, async (tx, act) => {
    const locked = await lockOperation(tx, row.id);
    if (locked?.state !== row.state) return;
    if (locked.kind === "restart-lost") return beginRestarts(tx, act, locked, steps);
    if (locked.state === "confirmed" && locked.hash === hashOf(steps)) await startOperation(tx, act, locked);
    else await showOperation(tx, act, locked, steps);
  });
  fault("operation.started");
}

/** What is refused, or cannot be asked now, is told; anything else is an error of ours. */
function reasonOf(error: unknown): string | undefined {
  if (error instanceof Refusal) return `${error.detail}${error.remedy === undefined ? "" : ` ${error.remedy}`}`;
  return error instanceof DriverError ? error.message : undefined;
}

async function planned(context: JobContext, row: PlanRow): Promise<PlannedStep[]> {
  const { cluster, pools } = await readCluster(context, row);
  return drawUp(row.ask as Ask, cluster, pools);
}

/** @throws DriverError unreachable */
async function readCluster(
  context: JobContext,
  { driver, endpoint }: Pick<PlanRow, "driver" | "endpoint">,
): Promise<{ cluster: Cluster; pools: ClusterPool[] }> {
  const pools = await poolsAt(context.db, { driver, endpoint });
  // A pool may lie in a storage of its own: each endpoint shows its own volumes.
  const [members, ...readings] = await Promise.all([
    context.driver(driver, endpoint).members(),
    ...endpointsAt(pools).map((one) => context.driver(one.driver, one.endpoint).observe()),
  ]);
  const held = await thingsIn(
    context.db,
    pools.map((one) => one.id),
  );
  return { cluster: clusterOf(members, readings, held, pools), pools };
}

const ownerOf = (one: HeldThing): Thing["owner"] => ({
  application: one.application,
  departments: one.departments,
  protectionLevel: one.level,
  zone: one.zone,
});
const gib = 1_073_741_824;
const mib = 1_048_576;

/** What the machines say and what the database knows, together. */
export function clusterOf(
  members: readonly MemberReading[],
  readings: readonly PoolReading[],
  held: readonly HeldThing[],
  pools: readonly ClusterPool[],
): Cluster {
  const poolOf = new Map(pools.map((one) => [one.id, one]));
  const hosts = new Map(readings.flatMap((reading) => reading.hosts).map((one) => [one.name, one]));
  const volumes = new Map(readings.flatMap((reading) => reading.volumes).map((one) => [one.name, one]));
  const bytesOf = (one: HeldThing) => volumes.get(one.id)?.usedBytes ?? (one.wanted as VolumeSpec).sizeGib * gib;
  const attached = Map.groupBy(
    held.filter((one) => one.kind === "volume"),
    (one) => one.attachedTo,
  );
  const unreachable = new Set(readings.flatMap((reading) => reading.unreachable ?? []));
  const things = held.flatMap((one): Thing[] => {
    const pool = poolOf.get(one.poolId);
    // Of a host on a member that doesn't answer its cluster tells the name only: it is where it was seen last.
    const away = one.kind === "host" && unreachable.has(one.id);
    const seen = away ? { member: one.member ?? undefined } : one.kind === "host" ? hosts.get(one.id) : volumes.get(one.id);
    if (!pool || !seen) return [];
    const common = {
      id: one.id,
      name: one.name,
      department: one.department,
      application: one.application,
      owner: ownerOf(one),
      apart: one.apart,
      pool,
      member: seen.member,
    };
    if (one.kind === "volume")
      return [
        {
          ...common,
          kind: "volume",
          vm: false,
          runs: false,
          vcpu: 0,
          memoryMib: 0,
          bytes: bytesOf(one),
          usedBytes: bytesOf(one),
          attachedTo: one.attachedTo ?? undefined,
        },
      ];
    const { flavour, type, power, adopted } = one.wanted as HostSpec;
    const own = attached.get(one.id) ?? [];
    const carried = own.reduce((sum, volume) => sum + bytesOf(volume), 0);
    const runs = away ? power === "running" : hosts.get(one.id)!.state === "running";
    const boundTo = away
      ? whyNotElsewhere({
          pool: pool.code,
          member: one.member ?? "?",
          sharedStorage: pool.shared ?? null,
          adopted: adopted !== undefined,
          volumes: own.filter((volume) => poolOf.get(volume.poolId)?.shared !== true).map((volume) => volume.name),
        })
      : null;
    return [
      {
        ...common,
        kind: "host",
        vm: type === "vm",
        runs,
        vcpu: flavour.vcpu,
        memoryMib: flavour.memoryMib,
        bytes: flavour.diskGib * gib + carried,
        usedBytes: carried,
        ...(boundTo === null ? {} : { bound: boundTo }),
      },
    ];
  });
  const known = new Set(held.map((one) => one.id));
  return {
    members: members.map((one) => ({
      name: one.name,
      state: one.state,
      groups: one.groups,
      vcpu: one.vcpu,
      memoryMib: one.memory && Math.floor(one.memory.totalBytes / mib),
      freeDiskBytes: one.disk?.freeBytes,
    })),
    things,
    strangers: [...hosts.values(), ...volumes.values()].filter((one) => !known.has(one.name)).map(({ name, member }) => ({ name, member })),
  };
}

/** Does what may be done now. A move that ends calls it again; so does a tick. */
async function advance(context: JobContext, row: PlanRow): Promise<void> {
  // A member's step that a kill interrupted is done again: twice does once.
  for (const step of (await stepsOf(context.db, [row.id])).filter((one) => one.state === "running" && isMember(one))) await turnMember(context, row, step);
  for (;;) {
    const claimed = await change(context, async (tx, act) => {
      const locked = await lockOperation(tx, row.id);
      if (locked?.state !== "running") return [];
      const steps = locked.cancelled_at === null ? await claimSteps(tx, act, locked) : [];
      for (const departmentId of departmentsOf(steps)) await context.queue.apply(tx, departmentId);
      return steps;
    });
    fault("operation.claimed");
    const members = claimed.filter(isMember);
    for (const step of members) await turnMember(context, row, step);
    if (members.length === 0) break;
  }
  const steps = await stepsOf(context.db, [row.id]);
  if (steps.some((one) => one.state === "planned" || one.state === "running")) {
    // Jobs that a kill took from the queue: what waits there already is not doubled.
    const moving = await departmentsMoving(context.db, row.id);
    await change(context, async (tx) => {
      for (const departmentId of moving) await context.queue.apply(tx, departmentId);
    });
    return;
  }
  const left = await leftOn(context, row, steps);
  await change(context, async (tx, act) => {
    const locked = await lockOperation(tx, row.id);
    if (locked?.state !== "running") return;
    await endOperation(tx, act, locked, left);
    const ended = await stepsOf(tx, [row.id]);
    await tellOwners(
      tx,
      act,
      locked,
      ended.filter((one) => one.restarts && one.state !== "skipped"),
      "host.moved",
    );
  });
}

const isMember = (step: StepRow) => step.action === "close-member" || step.action === "open-member";
const departmentsOf = (steps: readonly StepRow[]) => new Set(steps.flatMap((one) => one.department_id ?? []));

async function turnMember(context: JobContext, row: PlanRow, step: StepRow): Promise<void> {
  let error: StepError | null = null;
  try {
    await context.driver(row.driver, row.endpoint).setMember(step.subject, step.action === "close-member" ? "evacuated" : "online");
    fault("operation.member");
  } catch (caught) {
    if (!(caught instanceof DriverError)) throw caught;
    error = { code: caught.code, message: caught.message };
  }
  await change(context, async (tx, act) => {
    const locked = await lockOperation(tx, row.id);
    const [now] = (await stepsOf(tx, [row.id])).filter((one) => one.id === step.id);
    if (!locked || now?.state !== "running") return;
    await settleMemberStep(tx, act, locked, now, error);
    if (error) await skipRest(tx, locked);
  });
}

/** Of a drain: what is on the member all the same. Something may have come there between the plan's computation and the member's closing. */
async function leftOn(context: JobContext, row: PlanRow, steps: readonly StepRow[]): Promise<string | null> {
  const ask = row.ask as Ask;
  if ((ask.kind !== "drain-member" && ask.kind !== "replace-member") || steps.some((one) => one.state !== "done")) return null;
  try {
    const { cluster } = await readCluster(context, row);
    const left = cluster.things.filter((one) => one.member === ask.member && one.attachedTo === undefined).map((one) => one.name);
    return left.length === 0 ? null : `${left.length} more came to ${ask.member} meanwhile: ${left.slice(0, 5).join(", ")}. Draw up another plan.`;
  } catch (error) {
    if (error instanceof DriverError) return `Whether ${ask.member} is empty could not be read: ${error.message}`;
    throw error;
  }
}
