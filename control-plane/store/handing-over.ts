/**
 * A transfer that all have approved is done (移交): in one transaction everything that the application has is the receiver's instead of the giver's, at one moment
 * for quota, funds, allocations, uptime and who may see it. The jobs move the two Pulumi stacks' states in the same transaction.
 */
import { sql } from "kysely";
import { Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { passAllocations } from "./allocations.ts";
import { appendAudits } from "./audit.ts";
import { lockApplication } from "./applications.ts";
import type { Db, Tx } from "./database.ts";
import { appendEvents } from "./events.ts";
import { lockPayers, passToFund, requireFunds, settleCosts } from "./fund-charges.ts";
import { lockLedger, passCharges } from "./quotas.ts";
import { giveBack, lockRequest, move, type RequestRow } from "./requests.ts";
import { lapseRevertsOf } from "./snapshot-reverts.ts";
import { followResources } from "./terms.ts";
import { keptOf, movedSince } from "./transferring.ts";
import { passUptime } from "./uptime.ts";

/** A transfer under way, as the jobs need it. */
export interface Handing {
  id: string;
  application: string;
  giver: string;
  receiver: string;
  /** Names of all that passes, backups included. */
  names: string[];
  /** Of the hosts, volumes, attachments and policies: what the stacks have. */
  resources: string[];
  /** Where it lies. */
  endpoints: { driver: string; endpoint: string }[];
}

/** Something is being done to it that ends by itself. */
export class NotYet extends Error {}

/** Transfers of a department's applications that all have approved. */
export async function handingsOf(db: Db, departmentId: string): Promise<Handing[]> {
  const rows = await db
    .selectFrom("requests")
    .select(["id", "application_id", "department_id", "to_department_id"])
    .where("department_id", "=", departmentId)
    .where("to_department_id", "is not", null)
    .where("state", "in", ["approved", "applying"])
    .orderBy("id")
    .execute();
  return Promise.all(
    rows.map(async (row) => {
      const held = await db
        .selectFrom("resources as r")
        .leftJoin("pools as p", "p.id", "r.pool_id")
        .select(["r.id", "p.driver", "p.endpoint"])
        .where("r.application_id", "=", row.application_id)
        .where("r.phase", "in", ["wanted", "live", "retiring"])
        .orderBy("r.id")
        .execute();
      const backups = await backupsOf(db, row.application_id);
      const endpoints = [...held, ...backups].flatMap(({ driver, endpoint }) => (driver === null || endpoint === null ? [] : [{ driver, endpoint }]));
      return {
        id: row.id,
        application: row.application_id,
        giver: row.department_id,
        receiver: row.to_department_id!,
        names: [...held.map((one) => one.id), ...backups.map((one) => one.id)],
        resources: held.map((one) => one.id),
        endpoints: [...new Map(endpoints.map((one) => [`${one.driver} ${one.endpoint}`, one])).values()],
      };
    }),
  );
}

/** Of all its volumes, also of those that are no more; kept by the driver that has, or had, the volume. */
const backupsOf = (db: Db, applicationId: string) =>
  db
    .selectFrom("backups as b")
    .innerJoin("resources as v", "v.id", "b.volume_id")
    .leftJoin("pools as p", "p.id", "v.pool_id")
    .select(["b.id", "b.state", "p.driver", "p.endpoint"])
    .where("v.application_id", "=", applicationId)
    .orderBy("b.id")
    .execute();

/** Nobody begins an apply of either department until the transaction ends. */
export async function lockEstates(tx: Tx, departmentIds: readonly string[]): Promise<void> {
  for (const department_id of departmentIds.toSorted()) {
    await tx
      .insertInto("estates")
      .values({ department_id })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    await tx.selectFrom("estates").select("fence").where("department_id", "=", department_id).forUpdate().executeTakeFirstOrThrow();
  }
}

/** The request is being applied from now on. @returns false: it isn't any more, or is done */
export async function beginHandOver(tx: Tx, act: Act, id: string): Promise<boolean> {
  const row = await lockRequest(tx, id);
  if (row.state === "approved") await move(tx, act, row, "apply", {});
  else if (row.state !== "applying") return false;
  await tx.updateTable("request_items").set({ state: "applying" }).where("request_id", "=", id).where("state", "=", "pending").execute();
  return true;
}

/**
 * Everything passes. The estates of both departments are locked.
 * @returns false: somebody has done it already @throws NotYet @throws Refusal: it can't be had any more as it was approved
 */
export async function handOver(tx: Tx, act: Act, id: string): Promise<boolean> {
  const row = await lockRequest(tx, id);
  if (row.state !== "applying") return false;
  const item = await tx.selectFrom("request_items").selectAll().where("request_id", "=", id).executeTakeFirstOrThrow();
  const application = await lockApplication(tx, row.application_id);
  const [giver, receiver, project] = [row.department_id, row.to_department_id!, row.to_project_id!];
  const kept = keptOf(item);
  const ids = kept.held.map((one) => one.id);
  // Locked before backups are looked at: who asks for one waits, and then sees whose it is.
  const resources =
    ids.length === 0
      ? []
      : await tx.selectFrom("resources").selectAll().where("id", "in", ids).where("department_id", "=", giver).orderBy("id").forUpdate().execute();
  await requireQuiet(tx, row.application_id);
  await lockLedger(tx, [giver, receiver]);
  await lockPayers(tx, act, [...new Set([project, ...resources.map((one) => one.project_id)])]);
  const { passing, paths } = await movedSince(tx, act.now, row, item);
  const [refusal] = passing.refusals;
  if (refusal) throw refusal;
  if (paths.length > 0 || resources.length !== ids.length)
    throw new Refusal("plan-changed", `What would pass is not what was approved: ${paths.join("; ") || "some of it is gone"}.`);
  await requireFunds(tx, act, { id, project_id: project }, true);

  await passCharges(tx, act, item.id, ids);
  await settleCosts(tx, act, [item.id], "released");
  if (ids.length > 0) await passToFund(tx, act, project, ids);
  await tx
    .updateTable("applications")
    .set({ department_id: receiver, project_id: project, revision: application.revision + 1, updated_at: act.now })
    .where("id", "=", application.id)
    .execute();
  if (ids.length > 0)
    await tx
      .updateTable("resources")
      // Held by this request from now on: its term is the receiver's to look after.
      .set({ department_id: receiver, project_id: project, request_id: id, updated_at: act.now, revision: sql<number>`revision + 1` })
      .where("id", "in", ids)
      .execute();
  // What drifted is the receiver's to decide on, or to be put back by its next apply.
  if (ids.length > 0)
    await tx.updateTable("drift_findings").set({ department_id: receiver }).where("resource_id", "in", ids).where("closed_at", "is", null).execute();
  await passAllocations(tx, act, ids, { department_id: receiver, project_id: project });
  await passUptime(tx, act, ids, receiver);
  const backups = await backupsOf(tx, row.application_id);
  if (backups.length > 0) {
    const which = backups.map((one) => one.id);
    await tx.updateTable("backups").set({ department_id: receiver }).where("id", "in", which).execute();
    await tx.updateTable("restores").set({ department_id: receiver }).where("backup_id", "in", which).execute();
  }
  // They are on the volumes, and go where those go; a revert that the giver's people asked for is not the receiver's to agree to.
  if (ids.length > 0) {
    await lapseRevertsOf(tx, act, ids, "The application has passed to another department.");
    await tx.updateTable("snapshots").set({ department_id: receiver }).where("volume_id", "in", ids).execute();
    await tx.updateTable("snapshot_reverts").set({ department_id: receiver }).where("volume_id", "in", ids).execute();
  }
  await tx
    .updateTable("estates")
    // The engine looks at both once more, and finds nothing to do; what was begun before may not start any more.
    .set({ fence: sql<number>`fence + 1`, applied_hash: null })
    .where("department_id", "in", [giver, receiver])
    .execute();
  await tx.updateTable("request_items").set({ state: "active" }).where("id", "=", item.id).execute();
  await tellBoth(tx, act, row, application, kept, backups.length);
  const authors = JSON.stringify([...new Set([...row.authors, ...(await receivers(tx, id, receiver))])]);
  // Those who received it are told of its terms from now on.
  const own = await tx.updateTable("requests").set({ authors }).where("id", "=", id).returningAll().executeTakeFirstOrThrow();
  await move(tx, act, own, "finish", {});
  await followResources(tx, act, [...resources.map((one) => one.request_id), id]);
  return true;
}

/** @throws NotYet while a backup, a restore, a snapshot or a revert of it is under way */
async function requireQuiet(tx: Tx, applicationId: string): Promise<void> {
  const { rows } = await sql<{ id: string }>`
    select b.id from backups b join resources v on v.id = b.volume_id where v.application_id = ${applicationId} and b.state in ('pending', 'running')
    union all select s.id from restores s join resources v on v.id = s.volume_id where v.application_id = ${applicationId} and s.state in ('pending', 'running')
    union all select s.id from snapshots s join resources v on v.id = s.volume_id where v.application_id = ${applicationId} and s.state in ('pending', 'running', 'deleting')
    union all select s.id from snapshot_reverts s join resources v on v.id = s.volume_id where v.application_id = ${applicationId} and s.state in ('pending', 'running')`.execute(
    tx,
  );
  if (rows.length > 0) throw new NotYet(`${rows.map((row) => row.id).join(", ")} is under way`);
}

/** Who approved it for the receiver. */
async function receivers(tx: Tx, requestId: string, receiver: string): Promise<string[]> {
  const rows = await tx
    .selectFrom("approval_steps")
    .select(["decided_by"])
    .where("request_id", "=", requestId)
    .where("department_id", "=", receiver)
    .where("kind", "=", "department-approval")
    .where("state", "=", "approved")
    .where("invalidated_at", "is", null)
    .execute();
  return rows.flatMap((row) => row.decided_by ?? []);
}

async function tellBoth(
  tx: Tx,
  act: Act,
  row: RequestRow,
  application: { id: string; code: string; name: string; department_id: string; project_id: string },
  kept: ReturnType<typeof keptOf>,
  backups: number,
): Promise<void> {
  const before = { department: application.department_id, project: application.project_id };
  const after = { department: row.to_department_id, project: row.to_project_id, request: row.id };
  const sides = [
    { action: "application.give", departmentId: row.department_id },
    { action: "application.receive", departmentId: row.to_department_id! },
  ];
  await appendAudits(
    tx,
    act,
    sides.flatMap(({ action, departmentId }) => [
      {
        action,
        subjectKind: "application",
        subjectId: application.id,
        departmentId,
        before,
        after: { ...after, code: application.code, resources: kept.transfer.resources.length, backups },
      },
      ...kept.transfer.resources.map(({ id, kind, name }) => ({
        action: action.replace("application", kind),
        subjectKind: kind,
        subjectId: id,
        departmentId,
        before: { department: before.department },
        after: { department: after.department, name, request: row.id },
      })),
    ]),
  );
  await appendEvents(
    tx,
    sides.map(({ departmentId }) => ({
      at: act.now,
      departmentId,
      requestId: departmentId === row.department_id ? row.id : null,
      type: "application.transferred",
      subjectId: application.id,
      data: { number: row.number, name: application.name, from: row.department_id, to: row.to_department_id },
    })),
  );
}

/** It can't be had any more as it was approved: what was reserved is free again, and everything stays where it is. */
export async function failHandOver(tx: Tx, act: Act, id: string, { code, detail }: Refusal): Promise<void> {
  const row = await lockRequest(tx, id);
  if (row.state !== "applying") return;
  const error = JSON.stringify({ code, message: detail });
  await tx.updateTable("request_items").set({ state: "pending" }).where("request_id", "=", id).where("state", "=", "applying").execute();
  await giveBack(tx, act, id);
  await tx.updateTable("request_items").set({ state: "failed", error }).where("request_id", "=", id).execute();
  await move(tx, act, row, "fail", { error });
}
