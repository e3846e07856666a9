/**
 * The outbox of webhooks and mail: a row a delivery, written with what happened, taken for a while by whoever sends it, and kept with its
 * result. Who is killed between sending and writing that down leaves a row that is sent again, under the same id.
 */
import { type Selectable, sql } from "kysely";
import type { NoticeData } from "../contract/notices.ts";
import { giveUpDays, retryAfter } from "../domain/delivering.ts";
import { Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { newId } from "./ids.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import { insertRows } from "./rows.ts";
import type { Deliveries } from "./schema.ts";

export type DeliveryRow = Selectable<Deliveries>;
export type Channel = DeliveryRow["channel"];

/** Mail to those who have an address and have chosen the kind. */
export async function queueMail(tx: Tx, act: Act, notices: readonly { id: string; person_id: string; kind: string }[]): Promise<void> {
  const first = notices[0];
  if (!first) return;
  const wanted = await tx
    .selectFrom("accounts")
    .select("id")
    .where(
      "id",
      "in",
      notices.map((one) => one.person_id),
    )
    .where("email", "is not", null)
    .where("disabled_at", "is", null)
    .where(sql<boolean>`mail_kinds @> ${JSON.stringify([first.kind])}::jsonb`)
    .execute();
  const ids = new Set(wanted.map((one) => one.id));
  const rows = notices.filter((one) => ids.has(one.person_id));
  await insertRows(
    tx,
    "deliveries",
    rows.map((one) => ({ ...fresh(act), channel: "mail" as const, notice_id: one.id, kind: one.kind })),
  );
}

const fresh = (act: Act) => ({ id: newId("dlv", act.now), state: "waiting" as const, attempts: 0, due_at: act.now, created_at: act.now });

/** What happened, as receivers outside see it. */
export interface Happening {
  kind: string;
  departmentId: string | null;
  requestId: string | null;
  subjectId: string | null;
  data: NoticeData;
}

/** One to each webhook that asks for the kind at the department or above it. Whom it concerns isn't said outside. */
export async function queueWebhooks(tx: Tx, act: Act, happening: Happening): Promise<void> {
  const webhooks = await tx
    .selectFrom("webhooks")
    .select("id")
    .where(sql<boolean>`kinds @> ${JSON.stringify([happening.kind])}::jsonb`)
    .where((where) =>
      where.or([
        where("department_id", "is", null),
        where(
          "department_id",
          "in",
          where
            .selectFrom("department_ancestors")
            .select("ancestor_id")
            .where("department_id", "=", happening.departmentId ?? ""),
        ),
      ]),
    )
    .orderBy("id")
    .execute();
  await queueTo(
    tx,
    act,
    webhooks.map((one) => one.id),
    happening,
  );
}

/** @returns the deliveries' ids */
export async function queueTo(tx: Tx, act: Act, webhooks: readonly string[], { kind, departmentId, requestId, subjectId, data }: Happening): Promise<string[]> {
  if (webhooks.length === 0) return [];
  const body = JSON.stringify({
    specversion: "1.0",
    id: newId("hap", act.now),
    source: "zhengyun",
    type: kind,
    time: act.now.toISOString(),
    subject: subjectId ?? requestId,
    datacontenttype: "application/json",
    data: { department: departmentId, request: requestId, ...data },
  });
  const rows = webhooks.map((id) => ({ ...fresh(act), channel: "webhook" as const, webhook_id: id, kind, body }));
  await insertRows(tx, "deliveries", rows);
  return rows.map((one) => one.id);
}

/** Of one webhook no more than this many at once: one that doesn't answer keeps nobody else waiting for long. */
const perReceiver = 4;

/**
 * Takes what is due for `leaseMs`; of several control planes one gets each. An attempt counts when it begins, so that what kills
 * its sender is not tried for ever. What a paused webhook would get waits.
 */
export async function takeDue(
  db: Db,
  now: Date,
  { limit, leaseMs, channels }: { limit: number; leaseMs: number; channels: readonly Channel[] },
): Promise<DeliveryRow[]> {
  const { rows } = await sql<DeliveryRow>`
    update deliveries set taken_until = ${new Date(now.getTime() + leaseMs)}::timestamptz, attempts = attempts + 1
    where id in (
      select d.id from deliveries d where d.id in (
        select id from (
          select d.id, d.due_at, row_number() over (partition by d.webhook_id order by d.due_at, d.id) as place
          from deliveries d left join webhooks w on w.id = d.webhook_id
          where d.state = 'waiting' and d.due_at <= ${now} and (d.taken_until is null or d.taken_until <= ${now})
            and d.channel = any(${sql.val([...channels])}::text[]) and (w.id is null or w.state = 'active' or d.kind = 'webhook.test')
        ) ready where place <= ${perReceiver} order by due_at limit ${limit})
      and d.state = 'waiting' and (d.taken_until is null or d.taken_until <= ${now})
      for update of d skip locked)
    returning *`.execute(db);
  return rows;
}

/** Where only one process can be, what is taken at its start has lost its sender. */
export async function releaseTaken(db: Db): Promise<void> {
  await db.updateTable("deliveries").set({ taken_until: null }).where("state", "=", "waiting").where("taken_until", "is not", null).execute();
}

/** What came of an attempt. */
export interface Result {
  outcome: "delivered" | "failed" | "refused";
  /** Of the answer, HTTP or SMTP. */
  status: number | null;
  error: string | null;
}

/**
 * Writes down what came of an attempt: `failed` is tried again later, `refused` is dead at once.
 * @param random between 0 and 1
 * @returns what it is now; undefined: another has taken it over meanwhile, and says
 */
export async function recordResult(tx: Tx, now: Date, row: DeliveryRow, { outcome, status, error }: Result, random: number): Promise<DeliveryRow | undefined> {
  const again = outcome === "failed" ? retryAfter(row.attempts, random) : undefined;
  const state = outcome === "delivered" ? "delivered" : again === undefined ? "dead" : "waiting";
  return tx
    .updateTable("deliveries")
    .set({
      state,
      taken_until: null,
      last_status: status,
      last_error: error === null ? null : error.slice(0, 500),
      ...(again === undefined ? {} : { due_at: new Date(now.getTime() + again) }),
      settled_at: state === "waiting" ? null : now,
    })
    .where("id", "=", row.id)
    .where("state", "=", "waiting")
    .where("attempts", "=", row.attempts)
    .returningAll()
    .executeTakeFirst();
}

export interface DeliveryFilter extends PageAsk {
  webhook?: string | undefined;
  channel?: Channel | undefined;
  state?: DeliveryRow["state"] | undefined;
}

/** Newest first. */
export async function listDeliveries(db: Db, { webhook, channel, state, ...ask }: DeliveryFilter): Promise<Page<DeliveryRow>> {
  let query = db.selectFrom("deliveries").selectAll();
  if (webhook !== undefined) query = query.where("webhook_id", "=", webhook);
  if (channel !== undefined) query = query.where("channel", "=", channel);
  if (state !== undefined) query = query.where("state", "=", state);
  return page(query, { ...ask, by: "id", descending: true });
}

/** Sends it once more, under the same id, with all its attempts. @throws Refusal not-found, conflict while it waits anyway */
export async function redeliver(tx: Tx, act: Act, id: string): Promise<DeliveryRow> {
  const before = await tx.selectFrom("deliveries").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (!before) throw new Refusal("not-found", `There is no delivery ${id}.`);
  if (before.state === "waiting") throw new Refusal("conflict", `It waits for ${before.due_at.toISOString()} already.`);
  const after = await tx
    .updateTable("deliveries")
    .set({ state: "waiting", attempts: 0, due_at: act.now, taken_until: null, settled_at: null })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendAudit(tx, act, {
    action: "delivery.redeliver",
    subjectKind: "delivery",
    subjectId: id,
    departmentId: null,
    before: { state: before.state, error: before.last_error },
    after: { channel: before.channel, webhook: before.webhook_id },
  });
  return after;
}

/** What waits for too long — its webhook is paused, no mail server is configured — is dead, and stays to be seen and sent by hand. */
export async function buryOld(tx: Tx, now: Date): Promise<void> {
  await tx
    .updateTable("deliveries")
    .set({
      state: "dead",
      settled_at: now,
      taken_until: null,
      last_error: sql<string>`coalesce(last_error, 'nothing could be sent for ${sql.raw(String(giveUpDays))} days')`,
    })
    .where("state", "=", "waiting")
    .where("created_at", "<", new Date(now.getTime() - giveUpDays * 86_400_000))
    .where("due_at", "<", now)
    .execute();
}

/** What was sent, or wasn't, long ago. */
export async function removeOldDeliveries(tx: Tx, before: Date): Promise<void> {
  await tx.deleteFrom("deliveries").where("created_at", "<", before).where("state", "<>", "waiting").execute();
}

/** For the metrics; ages in seconds. */
export async function deliveryFigures(db: Db, now: Date): Promise<{ channel: Channel; waiting: number; oldest: number; dead: number }[]> {
  const { rows } = await sql<{ channel: Channel; waiting: number; oldest: number; dead: number }>`
    select channel, count(*) filter (where state = 'waiting')::int as waiting, count(*) filter (where state = 'dead')::int as dead,
      greatest(0, coalesce(extract(epoch from ${now}::timestamptz - min(created_at) filter (where state = 'waiting')), 0))::float8 as oldest
    from deliveries where state in ('waiting', 'dead') group by 1`.execute(db);
  return rows;
}
