/** What an apply begins with: the wanted state, its fence, what is approved and paid for; and the engine that works on it. */
import { sql } from "kysely";
import type { Approval } from "../../infra/approval.ts";
import type { DepartmentSpec } from "../../infra/spec.ts";
import { digestOf } from "../domain/digest.ts";
import { Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { approvedEstate } from "./approvals.ts";
import type { Db, Tx } from "./database.ts";
import { type PutBack, puttingBack } from "./drift-decisions.ts";
import { wantedSpec } from "./estates.ts";
import { failItem, tellFailed } from "./finishing.ts";
import { requireFunds } from "./fund-charges.ts";
import { moveCapacity, type Take } from "./proposing.ts";
import { lockAccounts } from "./quotas.ts";
import { growing, move, type Seal } from "./requests.ts";
import { restartsAgreed } from "./restarts.ts";
import { settle } from "./settling.ts";

export type Begun =
  | { unchanged: false; spec: DepartmentSpec; approved: Approval[]; putBack: PutBack[]; restarts: string[]; hash: string; fence: number; requests: string[] }
  | { unchanged: true; requests: string[] };

/** Begins an apply: approved requests become applying, the fence goes up. Unchanged: the estate is what was applied last, nothing is to be run. */
export async function beginApply(tx: Tx, act: Act, departmentId: string, unseal: Seal): Promise<Begun> {
  await tx
    .insertInto("estates")
    .values({ department_id: departmentId })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const estate = await tx.selectFrom("estates").selectAll().where("department_id", "=", departmentId).forUpdate().executeTakeFirstOrThrow();
  const requests = await tx
    .selectFrom("requests")
    .selectAll()
    .where("department_id", "=", departmentId)
    .where("state", "in", ["approved", "applying"])
    .orderBy("id")
    .execute();
  for (const request of requests.filter((one) => one.state === "approved")) await move(tx, act, request, "apply", {});
  if (requests.length > 0)
    await tx
      .updateTable("request_items")
      .set({ state: "applying" })
      .where(
        "request_id",
        "in",
        requests.map((one) => one.id),
      )
      .where("state", "=", "pending")
      .execute();
  await failUnfunded(
    tx,
    act,
    departmentId,
    requests.filter((one) => one.state === "approved"),
  );
  const spec = await wantedSpec(tx, departmentId, unseal);
  const hash = digestOf(spec);
  const ids = requests.map((one) => one.id);
  const putBack = await puttingBack(tx, departmentId);
  if (hash === estate.applied_hash && putBack.length === 0) {
    await settle(tx, act, departmentId, new Map(), () => true);
    return { unchanged: true, requests: ids };
  }
  const { fence } = await tx
    .updateTable("estates")
    .set({ fence: sql<number>`fence + 1` })
    .where("department_id", "=", departmentId)
    .returning("fence")
    .executeTakeFirstOrThrow();
  return {
    unchanged: false,
    spec,
    approved: await approvedEstate(tx, departmentId, putBack),
    putBack,
    restarts: await restartsAgreed(tx, act.now, ids),
    hash,
    fence,
    requests: ids,
  };
}

/** What would grow and no longer fits the project's stage or fund is not begun: it fails here, and the rest of its request goes on. */
async function failUnfunded(tx: Tx, act: Act, departmentId: string, requests: readonly { id: string; project_id: string }[]): Promise<void> {
  if (requests.length === 0) return;
  // The accounts before the projects, as everywhere.
  await lockAccounts(tx, departmentId);
  const given: Take[] = [];
  for (const request of requests) {
    // A transfer is looked at where it is done (handing-over.ts).
    const items = (
      await tx.selectFrom("request_items").selectAll().where("request_id", "=", request.id).where("action", "<>", "transfer").orderBy("position").execute()
    ).filter(growing);
    if (items.length === 0) continue;
    const refusal = await requireFunds(tx, act, request, false).catch((error: unknown) => {
      if (error instanceof Refusal) return error;
      throw error;
    });
    if (!(refusal instanceof Refusal)) continue;
    const error = { code: refusal.code, message: refusal.detail };
    const resources = await tx
      .selectFrom("resources")
      .selectAll()
      .where(
        "id",
        "in",
        items.map((item) => item.resource_id),
      )
      .execute();
    const of = items.map((item) => ({ item, resource: resources.find((one) => one.id === item.resource_id)! }));
    for (const one of of) given.push(...(await failItem(tx, act, one, error)));
    await tellFailed(tx, act, departmentId, of, () => error);
  }
  await moveCapacity(tx, given);
}

/** A new fencing token without an apply: for backups and restores. */
export async function currentFence(db: Db, departmentId: string): Promise<number> {
  return (await db.selectFrom("estates").select("fence").where("department_id", "=", departmentId).executeTakeFirst())?.fence ?? 0;
}

/** The engine that works on a department now, to be ended after a restart; null: none. */
export async function recordEngine(tx: Tx, departmentId: string, engine: { operationId: string; pid: number; started: string } | null): Promise<void> {
  await tx
    .updateTable("estates")
    .set({ operation_id: engine?.operationId ?? null, engine_pid: engine?.pid ?? null, engine_started: engine?.started ?? null })
    .where("department_id", "=", departmentId)
    .execute();
}
