/** Members of clusters that don't answer: noticed, and, where two people decide so, given up, so that what was on them is asked for anew elsewhere. */
import { type Selectable, sql } from "kysely";
import type { LossState, LostHost } from "../contract/losses.ts";
import type { OperationState } from "../contract/operation-plans.ts";
import type { NoticeKind } from "../contract/notices.ts";
import { audiences } from "../domain/notifying.ts";
import { prospectOf } from "../domain/losses.ts";
import type { MemberLossAction } from "../contract/pools.ts";
import { notFound, Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import { holdersOf } from "./audience.ts";
import type { Db, Tx } from "./database.ts";
import { appendEvent, appendEvents } from "./events.ts";
import { newId } from "./ids.ts";
import { maintenancePolicy } from "./maintenance-policy.ts";
import { nameOf } from "./names.ts";
import { notify } from "./notices.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import type { MemberLosses } from "./schema.ts";
import { turnUptime, uptimeOf } from "./uptime.ts";

export type LossRow = Selectable<MemberLosses>;
export interface Endpoint {
  driver: string;
  endpoint: string;
}
/** A member as its endpoint was read. */
export interface MemberState {
  name: string;
  state: "online" | "evacuated" | "offline";
}
/** Who asks where a policy files it: nobody. */
export const policyActor = "system";
const openStates: LossState[] = ["lost", "asked", "confirmed"];

/** Endpoints of one server differ after the question mark only: they share its members. */
const sameServer = (column: string, endpoint: string) => sql<boolean>`split_part(${sql.ref(column)}, '?', 1) = split_part(${endpoint}, '?', 1)`;

const openOf = (db: Db, { driver, endpoint }: Endpoint) =>
  db.selectFrom("member_losses").selectAll().where("driver", "=", driver).where(sameServer("endpoint", endpoint)).where("state", "in", openStates);

/** What a reading says of members against what is written. One select: the usual case ends here. */
async function lossesMoved(db: Db, of: Endpoint, members: readonly MemberState[]): Promise<{ lost: string[]; ended: LossRow[] }> {
  if (members.length < 2) return { lost: [], ended: [] };
  const open = await openOf(db, of).execute();
  const states = new Map(members.map((one) => [one.name, one.state]));
  return {
    lost: members.flatMap((one) => (one.state === "offline" && !open.some((row) => row.member === one.name) ? [one.name] : [])),
    // One that is no member any more was removed by whatever way.
    ended: open.filter((row) => states.get(row.member) !== "offline"),
  };
}
export const hasLosses = async (db: Db, of: Endpoint, members: readonly MemberState[]): Promise<boolean> => {
  const { lost, ended } = await lossesMoved(db, of, members);
  return lost.length + ended.length > 0;
};

/** Writes which members don't answer since now, and which do again. */
export async function recordLosses(tx: Tx, act: Act, of: Endpoint, members: readonly MemberState[]): Promise<void> {
  const { lost, ended } = await lossesMoved(tx, of, members);
  for (const member of lost) {
    const id = newId("mls", act.now);
    await tx
      .insertInto("member_losses")
      .values({ id, ...of, member, since: act.now, state: "lost", asked_by: null, reason: null, confirmed_by: null, error: null, updated_at: act.now })
      .execute();
    await tellOperations(tx, act, { id, member, since: act.now }, "member.lost");
  }
  for (const { id, member } of ended) {
    const there = members.some((one) => one.name === member);
    // Under the lock of readings; a removal that is under way holds its row.
    const row = await tx.selectFrom("member_losses").selectAll().where("id", "=", id).forUpdate().executeTakeFirstOrThrow();
    if (!openStates.includes(row.state)) continue;
    await end(tx, act, row, there ? "returned" : "removed");
  }
}

async function end(tx: Tx, act: Act, row: LossRow, state: "returned" | "removed"): Promise<void> {
  await tx
    .updateTable("member_losses")
    // What somebody took out by hand is not asked for anew by itself.
    .set({
      state,
      ended_at: act.now,
      proposed_at: state === "removed" && row.state === "confirmed" ? null : act.now,
      revision: row.revision + 1,
      updated_at: act.now,
    })
    .where("id", "=", row.id)
    .execute();
  await tellOperations(tx, act, row, `member.${state}`);
}

export async function tellOperations(
  tx: Tx,
  act: Act,
  row: Pick<LossRow, "id" | "member" | "since">,
  kind: Extract<NoticeKind, `member.${string}`>,
  data: Record<string, string | number> = {},
): Promise<void> {
  await appendEvent(tx, { at: act.now, departmentId: null, requestId: null, type: kind, subjectId: row.id, data: { member: row.member, ...data } });
  const to = await holdersOf(tx, audiences[kind], null, act.now);
  await notify(tx, act, {
    kind,
    to,
    departmentId: null,
    requestId: null,
    subjectId: row.id,
    data: { member: row.member, since: row.since.toISOString(), ...data },
  });
}

/**
 * Hosts on members that don't answer count as down from the policy's time on, exactly, however late it is looked at.
 * @param only of these hosts; undefined: all @returns how many
 */
export async function settleUnreachable(tx: Tx, act: Act, only?: readonly string[]): Promise<number> {
  const { downAfterSeconds } = await maintenancePolicy(tx);
  const since = new Date(act.now.getTime() - downAfterSeconds * 1000);
  let query = tx
    .selectFrom("resources")
    .select(["id", "department_id", "name", "unreachable_since", "member", sql<"running" | "stopped">`wanted->>'power'`.as("power")])
    .where("kind", "=", "host")
    .where("phase", "in", ["live", "retiring"])
    .where("observed_state", "=", "unknown")
    .where("unreachable_since", "<=", since);
  if (only) query = query.where("id", "in", only.length > 0 ? [...only] : [""]);
  const due = await query.orderBy("id").forUpdate().execute();
  const dueAt = (row: (typeof due)[number]) => row.unreachable_since!.getTime() + downAfterSeconds * 1000;
  for (const [time, rows] of Map.groupBy(due, dueAt)) {
    const at = new Date(time);
    await tx
      .updateTable("resources")
      .set({ observed_state: "down", observed_at: at })
      .where(
        "id",
        "in",
        rows.map((row) => row.id),
      )
      .execute();
    await turnUptime(
      tx,
      { ...act, now: at },
      rows.map((row) => ({ id: row.id, department_id: row.department_id, state: uptimeOf("down", row.power) })),
    );
    await appendEvents(
      tx,
      rows.map((row) => ({
        at: act.now,
        departmentId: row.department_id,
        requestId: null,
        type: "host.down",
        subjectId: row.id,
        data: { name: row.name, since: at.toISOString() },
      })),
    );
  }
  for (const [department, rows] of Map.groupBy(due, (row) => row.department_id)) {
    const { name_zh, name_en } = await tx.selectFrom("departments").select(["name_zh", "name_en"]).where("id", "=", department).executeTakeFirstOrThrow();
    await notify(tx, act, {
      kind: "hosts.down",
      to: await holdersOf(tx, audiences["hosts.down"], department, act.now),
      departmentId: department,
      requestId: null,
      subjectId: department,
      data: {
        departmentZh: name_zh,
        departmentEn: name_en,
        hosts: rows.length,
        names: rows
          .map((row) => row.name)
          .join(", ")
          .slice(0, 200),
        member: [...new Set(rows.map((row) => row.member))].join(", "),
        since: new Date(Math.min(...rows.map((row) => row.unreachable_since!.getTime()))).toISOString(),
      },
    });
  }
  return due.length;
}

export type ShownLoss = LossRow & {
  asked_by_name: string | null;
  confirmed_by_name: string | null;
  pools: string[];
  hosts: LostHost[];
  requests: { id: string; number: string; state: string }[];
  plans: { id: string; state: OperationState; setByName: string | null }[];
};
const shown = (db: Db) =>
  db
    .selectFrom("member_losses as l")
    .selectAll("l")
    .select([nameOf("l.asked_by").as("asked_by_name"), nameOf("l.confirmed_by").as("confirmed_by_name")]);

export async function listLosses(db: Db, { state, ...ask }: PageAsk & { state?: LossState | "open" | undefined }): Promise<Page<ShownLoss>> {
  let query = shown(db);
  if (state !== undefined) query = query.where("l.state", "in", state === "open" ? openStates : [state]);
  const { items, next } = await page(query, { ...ask, by: "l.id", descending: true });
  return { items: await Promise.all(items.map((row) => detailed(db, row))), next };
}
export async function getLoss(db: Db, id: string): Promise<ShownLoss> {
  const row = await shown(db).where("l.id", "=", id).executeTakeFirst();
  if (!row) throw notFound("loss of a member", id);
  return detailed(db, row);
}

async function detailed<T extends LossRow>(db: Db, row: T) {
  const pools = await db
    .selectFrom("pools")
    .select("code")
    .where("driver", "=", row.driver)
    .where(sameServer("endpoint", row.endpoint))
    .orderBy("code")
    .execute();
  const requests = await db.selectFrom("requests").select(["id", "number", "state"]).where("loss_id", "=", row.id).orderBy("id").execute();
  const plans = await db
    .selectFrom("operation_plans as o")
    .select(["o.id", "o.state", nameOf("o.confirmed_by").as("setByName")])
    .where("o.loss_id", "=", row.id)
    .orderBy("o.id")
    .execute();
  return { ...row, pools: pools.map((one) => one.code), hosts: row.state === "returned" ? [] : await lostHosts(db, row), requests, plans };
}

export interface LostThing extends LostHost {
  pool: string;
  application: string;
  project: string;
  about: string;
  number: string;
  lost: {
    id: string;
    name: string;
    tier: string;
    sizeGib: number;
    attachment: string;
    path: string;
    policies: string[];
    backup: { id: string; at: string } | null;
  }[];
}

/** Hosts that were seen on it last and are not seen now, with what of their volumes lay on its own storage. */
export async function lostHosts(
  db: Db,
  { id: loss, driver, endpoint, member, since }: Pick<LossRow, "id" | "driver" | "endpoint" | "member" | "since">,
): Promise<LostThing[]> {
  const { rows } = await sql<{
    id: string;
    name: string;
    department_id: string;
    department_name: string;
    observed_state: string;
    application_id: string;
    project_id: string;
    about: string;
    number: string;
    pool_id: string;
    pool: string;
    action: MemberLossAction;
    after: number;
    shared: boolean | null;
    adopted: boolean;
    tried: { plan: string; why: string | null } | null;
  }>`
    select h.id, h.name, h.department_id, d.name_zh as department_name, h.observed_state, h.application_id, h.project_id, h.request_id as about, q.number,
      h.pool_id, p.code as pool, p.loss_action as action, p.loss_after_seconds as after, p.shared_storage as shared, h.wanted ? 'adopted' as adopted,
      (select jsonb_build_object('plan', o.id, 'why', coalesce(s.blocked, s.error->>'message', o.error)) from operation_plans o
        left join operation_steps s on s.plan_id = o.id and s.subject = h.id
        where o.loss_id = ${loss} and (s.id is not null or o.ask->'hosts' @> to_jsonb(h.id)) order by o.id desc limit 1) as tried
    from resources h join pools p on p.id = h.pool_id join departments d on d.id = h.department_id join requests q on q.id = h.request_id
    where h.kind = 'host' and h.phase = 'live' and h.member = ${member} and p.driver = ${driver} and ${sameServer("p.endpoint", endpoint)} and h.observed_state in ('unknown', 'down', 'missing')
    order by h.id limit 500`.execute(db);
  if (rows.length === 0) return [];
  const ids = sql.val(rows.map((row) => row.id));
  const volumes = await sql<{
    id: string;
    name: string;
    host: string;
    tier: string;
    size: number;
    attachment: string;
    path: string;
    policies: string[];
    backup: { id: string; at: string } | null;
  }>`
    select v.id, v.name, a.wanted->>'host' as host, v.wanted->>'tier' as tier, (v.wanted->>'sizeGib')::int as size, a.id as attachment, a.wanted->>'path' as path,
      (select coalesce(jsonb_agg(b.id), '[]') from resources b where b.kind = 'backup-policy' and b.phase = 'live' and b.wanted->>'volume' = v.id) as policies,
      (select jsonb_build_object('id', b.id, 'at', to_char(b.completed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) from backups b
        where b.volume_id = v.id and b.state = 'complete' and b.sha256 is not null order by b.completed_at desc limit 1) as backup
    from resources a join resources v on v.id = a.wanted->>'volume'
    where a.kind = 'attachment' and a.phase = 'live' and a.wanted->>'host' = any(${ids}::text[]) and v.member = ${member} order by v.id`.execute(db);
  return rows.map((row) => {
    const own = volumes.rows.filter((one) => one.host === row.id);
    return {
      id: row.id,
      name: row.name,
      department: row.department_id,
      departmentName: row.department_name,
      observedState: row.observed_state,
      pool: row.pool_id,
      policy: policyOf(row, member, own, since),
      remedy: own.length === 0 ? "redeploy" : own.every((one) => one.backup) ? "redeploy-and-restore" : "none",
      volumes: own.map(({ id, name, backup }) => ({ id, name, backup })),
      application: row.application_id,
      project: row.project_id,
      about: row.about,
      number: row.number,
      lost: own.map(({ host: _, size, ...one }) => ({ ...one, sizeGib: size })),
    };
  });
}

function policyOf(
  row: { pool: string; action: MemberLossAction; after: number; shared: boolean | null; adopted: boolean; tried: { plan: string; why: string | null } | null },
  member: string,
  volumes: readonly { name: string }[],
  since: Date,
): LostHost["policy"] {
  const on = { pool: row.pool, member, sharedStorage: row.shared, adopted: row.adopted, volumes: volumes.map((one) => one.name) };
  const { at, why } = prospectOf({ action: row.action, afterSeconds: row.after }, on, since);
  return { action: row.action, at: at?.toISOString() ?? null, why: row.tried?.why ?? why, plan: row.tried?.plan ?? null };
}

async function lockLoss(tx: Tx, id: string, check: (revision: number) => void, states: readonly LossState[]): Promise<LossRow> {
  const row = await tx.selectFrom("member_losses").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (!row) throw notFound("loss of a member", id);
  check(row.revision);
  if (!states.includes(row.state)) throw new Refusal("conflict", `The loss of ${row.member} is ${row.state}: this is not to be done with it.`);
  return row;
}
export const changed = (tx: Tx, act: Act, row: LossRow, set: Partial<Omit<LossRow, "id">>) =>
  tx
    .updateTable("member_losses")
    .set({ ...set, revision: row.revision + 1, updated_at: act.now })
    .where("id", "=", row.id)
    .execute();
export const audit = (tx: Tx, act: Act, row: LossRow, action: string, after: object) =>
  appendAudit(tx, act, {
    action,
    subjectKind: "member-loss",
    subjectId: row.id,
    departmentId: null,
    before: { state: row.state },
    after: { member: row.member, ...after },
  });

/** Somebody of operations asks that it is given up: what lies on its own storage goes with it. Somebody else must agree. */
export async function askGiveUp(tx: Tx, act: Act, id: string, reason: string, check: (revision: number) => void): Promise<void> {
  const row = await lockLoss(tx, id, check, ["lost"]);
  await changed(tx, act, row, { state: "asked", asked_by: act.actor, asked_at: act.now, reason, error: null });
  await audit(tx, act, row, "member-loss.ask", { reason, poweredOff: true });
  await tellOperations(tx, act, row, "member.asked");
}

/** @throws Refusal self-approval for whoever asked */
export async function confirmGiveUp(tx: Tx, act: Act, id: string, member: string, check: (revision: number) => void): Promise<void> {
  const row = await lockLoss(tx, id, check, ["asked"]);
  const filed = row.asked_by === policyActor;
  if (row.asked_by === act.actor)
    throw new Refusal("self-approval", "Whoever asks that a member is given up does not agree to it: somebody else of operations does.");
  if (member !== row.member)
    throw new Refusal("invalid-body", `It is ${row.member} that would be given up.`, { errors: [{ pointer: "/member", detail: `is not ${row.member}` }] });
  if (filed) {
    // A policy is nobody who has seen that the machine is off: the first who says so asks, and somebody else agrees.
    await changed(tx, act, row, { asked_by: act.actor, asked_at: act.now });
    await audit(tx, act, row, "member-loss.second", { poweredOff: true });
    return tellOperations(tx, act, row, "member.asked");
  }
  await changed(tx, act, row, { state: "confirmed", confirmed_by: act.actor, confirmed_at: act.now });
  await audit(tx, act, row, "member-loss.confirm", { poweredOff: true });
}

/** Before it was confirmed: it stays lost, and its hosts wait for it. */
export async function withdrawGiveUp(tx: Tx, act: Act, id: string, check: (revision: number) => void): Promise<void> {
  const row = await lockLoss(tx, id, check, ["asked"]);
  await changed(tx, act, row, { state: "lost", asked_by: null, asked_at: null, reason: null });
  await audit(tx, act, row, "member-loss.withdraw", {});
}

export const lossesTo = (db: Db, what: "remove" | "propose"): Promise<LossRow[]> => {
  const all = db.selectFrom("member_losses").selectAll();
  // What is being brought elsewhere just now is not taken out of the records.
  const idle = sql<boolean>`not exists (select from operation_plans o where o.loss_id = member_losses.id and o.state in ('confirmed', 'running'))`;
  return (what === "remove" ? all.where("state", "=", "confirmed").where(idle) : all.where("state", "=", "removed").where("proposed_at", "is", null))
    .orderBy("id")
    .execute();
};

/** What came of the removal. Whoever came first has written it. */
export async function settleRemoval(tx: Tx, act: Act, id: string, outcome: "removed" | "returned" | { error: string }): Promise<void> {
  const row = await tx.selectFrom("member_losses").selectAll().where("id", "=", id).forUpdate().executeTakeFirstOrThrow();
  if (row.state !== "confirmed") return;
  if (typeof outcome === "object") {
    if (row.error !== outcome.error) await changed(tx, act, row, { error: outcome.error.slice(0, 500) });
    return;
  }
  await end(tx, act, row, outcome);
}
/** Whether this is still to be asked for, for this loss; its row is locked, so that of several control planes one asks. */
export async function toPropose(tx: Tx, id: string, of: { about: string; application: string; project: string }): Promise<boolean> {
  const row = await tx.selectFrom("member_losses").select("proposed_at").where("id", "=", id).forUpdate().executeTakeFirstOrThrow();
  if (row.proposed_at !== null) return false;
  const made = await tx
    .selectFrom("requests")
    .select("id")
    .where("loss_id", "=", id)
    .where("about_id", "=", of.about)
    .where("application_id", "=", of.application)
    .where("project_id", "=", of.project)
    .executeTakeFirst();
  return made === undefined;
}
export async function noteProposed(tx: Tx, act: Act, id: string, error: string | null): Promise<void> {
  await tx
    .updateTable("member_losses")
    .set({ proposed_at: act.now, error: error?.slice(0, 500) ?? null, updated_at: act.now })
    .where("id", "=", id)
    .where("proposed_at", "is", null)
    .execute();
}
