/** What becomes of a request that all have approved: what it asks for is wanted from now on, exactly as it was approved. */
import { sql } from "kysely";
import type { ChangePlan } from "../contract/requests.ts";
import { digestOf } from "../domain/digest.ts";
import { claim } from "../domain/capacity-queue.ts";
import { memberPool, type PoolView } from "../domain/placement.ts";
import { Refusal } from "../domain/refusal.ts";
import type { HostSpec } from "../../infra/spec.ts";
import type { Act } from "./act.ts";
import { bindApproval, specificationsOf } from "./approvals.ts";
import type { Tx } from "./database.ts";
import { requireFunds } from "./fund-charges.ts";
import { readMembers } from "./members.ts";
import { scheduleRestarts } from "./restarts.ts";
import { extendedMeanwhile, followResources } from "./terms.ts";
import { freeIn, isBefore, lockPools, moveCapacity, needsOf, queuedNeeds } from "./proposing.ts";
import { growing, type Kept, move, type RequestRow } from "./requests.ts";
import { payerOf } from "./transferring.ts";

/** @throws Refusal plan-changed, project-not-approved, budget-exceeded: what is asked for is no longer what was planned, or no longer under an approved project with money for it */
export async function requireAsPlanned(tx: Tx, act: Act, row: RequestRow): Promise<{ resource: string; digest: string }[]> {
  const all = await tx.selectFrom("request_items").selectAll().where("request_id", "=", row.id).orderBy("position").execute();
  const specifications = specificationsOf(all);
  if (digestOf(specifications) !== digestOf((row.plan as ChangePlan | null)?.specifications ?? []))
    throw new Refusal("plan-changed", "What the request asks for is not what was planned.", { remedy: "Reject it, and look into the audit." });
  // Less may be had of whatever project, at any time.
  if (all.some(growing)) {
    // The application before the project, as everywhere: a retirement beside it locks it too.
    await tx.selectFrom("applications").select("id").where("id", "=", row.application_id).forNoKeyUpdate().execute();
    await requireFunds(tx, act, { id: row.id, project_id: payerOf(row) }, false);
  }
  return specifications;
}

/**
 * All have approved. What there was no room for when it was placed takes its capacity now, or gets its place in the queue.
 * @throws Refusal plan-changed, project-not-approved, budget-exceeded, conflict
 */
export async function finalise(tx: Tx, act: Act, row: RequestRow, { by, reason }: { by: string; reason: string }): Promise<RequestRow> {
  const extended = await extendedMeanwhile(tx, row, act.now);
  if (extended.length > 0)
    throw new Refusal("conflict", `Extended meanwhile: ${extended.join(", ")}.`, {
      remedy: "It will be withdrawn by itself; what is over still is proposed anew.",
    });
  const specifications = await requireAsPlanned(tx, act, row);
  await bindApproval(tx, row.id, specifications);
  const approved = await move(tx, act, row, "approve", { decided_by: by, decided_at: act.now, decision_reason: reason });
  if (row.waits && !(await capacityTaken(tx, approved))) {
    const message = ((row.plan as ChangePlan).waits ?? []).join("; ") || "There is no room for it now.";
    return move(tx, act, approved, "shortage", { error: JSON.stringify({ code: "capacity", message }) });
  }
  await enact(tx, act, approved);
  return row.waits ? tx.updateTable("requests").set({ waits: false, error: null }).where("id", "=", row.id).returningAll().executeTakeFirstOrThrow() : approved;
}

/** Takes what it needs of its pools, and of their members, if that is there for it: whoever was approved before is served before. @returns whether it was */
export async function capacityTaken(tx: Tx, row: Pick<RequestRow, "id" | "decided_at" | "application_id">): Promise<boolean> {
  const pools = await lockPools(tx);
  const free = freeIn(pools);
  const own = await needsOf(tx, row.id);
  const ahead = (await queuedNeeds(tx)).filter((need) => isBefore(need, row));
  claim(ahead, free);
  if (claim(own, free).length > 0 || !(await placedOnMembers(tx, row, pools))) return false;
  await moveCapacity(tx, own);
  return true;
}

/** Hosts that had no room when they were placed get their members now. @returns whether there is one for each */
async function placedOnMembers(tx: Tx, row: Pick<RequestRow, "id" | "application_id">, pools: readonly PoolView[]): Promise<boolean> {
  const hosts = await tx
    .selectFrom("resources")
    .select(["id", "pool_id", "wanted"])
    .where("request_id", "=", row.id)
    .where("kind", "=", "host")
    .orderBy("id")
    .execute();
  if (hosts.length === 0) return true;
  const { anti_affinity } = await tx.selectFrom("applications").select("anti_affinity").where("id", "=", row.application_id).executeTakeFirstOrThrow();
  const members = await readMembers(tx, pools, [{ id: row.application_id, antiAffinity: anti_affinity }], row.id);
  const chosen: { id: string; member: string; reason: string }[] = [];
  for (const { id, pool_id, wanted } of hosts) {
    const pool = pools.find((one) => one.id === pool_id);
    if (!pool) continue;
    const need = { application: row.application_id, ...(wanted as HostSpec).flavour };
    const { member, reason } = members.choose(memberPool(pool), { ...need, apart: anti_affinity });
    if (member === null) return false;
    members.take(memberPool(pool), member ?? "", need);
    if (member !== undefined) chosen.push({ id, member, reason: reason ?? "" });
  }
  if (chosen.length === 0) return true;
  const rows = sql`unnest(${sql.val(chosen.map((one) => one.id))}::text[], ${sql.val(chosen.map((one) => one.member))}::text[], ${sql.val(chosen.map((one) => one.reason))}::text[]) as w(id, member, reason)`;
  await sql`update resources r set wanted = r.wanted || jsonb_build_object('member', w.member) from ${rows} where r.id = w.id`.execute(tx);
  await sql`update request_items i set spec = i.spec || jsonb_build_object('wanted', i.spec->'wanted' || jsonb_build_object('member', w.member), 'memberReason', w.reason)
    from ${rows} where i.resource_id = w.id and i.request_id = ${row.id}`.execute(tx);
  return true;
}

/** From now on what it asks for is wanted; what takes a restart that its owner wants later waits for that. @throws Refusal conflict when something of it has changed since */
export async function enact(tx: Tx, act: Act, row: RequestRow): Promise<void> {
  await tx.updateTable("resources").set({ phase: "wanted", updated_at: act.now }).where("request_id", "=", row.id).where("phase", "=", "proposed").execute();
  const items = await tx
    .selectFrom("request_items")
    .selectAll()
    .where("request_id", "=", row.id)
    .where("action", "not in", ["create", "transfer"])
    .where("state", "=", "pending")
    .execute();
  await requireUnused(
    tx,
    row.application_id,
    items.filter((item) => item.action === "retire").map((item) => item.resource_id),
  );
  const scheduled = await scheduleRestarts(tx, act, row, items);
  const longer: string[] = [];
  for (const item of items) {
    if (scheduled.has(item.id)) continue;
    const { wanted, expiresAt } = item.spec as Kept;
    const change =
      item.action === "retire"
        ? { phase: "retiring" as const }
        : item.action === "extend"
          ? { expires_at: new Date(expiresAt!) }
          : { wanted: JSON.stringify(wanted) };
    const changed = await tx
      .updateTable("resources")
      .set({ ...change, updated_at: act.now, revision: sql<number>`revision + 1` })
      .where("id", "=", item.resource_id)
      .$if(item.action === "extend", (query) => query.where("phase", "=", "live"))
      .returning("request_id")
      .executeTakeFirst();
    if (!changed) throw new Refusal("conflict", "What is to be extended is being retired by now.", { remedy: "Reject this request." });
    if (item.action === "extend") longer.push(changed.request_id);
  }
  await followResources(tx, act, longer);
}

/** @throws Refusal conflict when something was attached to, or is to be backed up from, what is to be retired since that was asked for */
async function requireUnused(tx: Tx, applicationId: string, retiring: readonly string[]): Promise<void> {
  if (retiring.length === 0) return;
  await tx.selectFrom("applications").select("id").where("id", "=", applicationId).forNoKeyUpdate().execute();
  const users = await tx
    .selectFrom("resources")
    .select(["id", "kind", "name"])
    .where("kind", "in", ["attachment", "backup-policy"])
    .where("phase", "in", ["proposed", "wanted", "live"])
    .where("id", "not in", [...retiring])
    .where((where) => where.or([where(sql<string>`wanted->>'volume'`, "in", [...retiring]), where(sql<string>`wanted->>'host'`, "in", [...retiring])]))
    .execute();
  if (users.length > 0)
    throw new Refusal("conflict", `Meanwhile used by ${users.map((one) => `${one.kind} ${one.name} (${one.id})`).join(", ")}.`, {
      remedy: "Reject this request; ask to retire these too.",
    });
}
