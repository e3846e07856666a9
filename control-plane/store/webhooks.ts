/** Webhooks: who outside is told what, and what their deliveries are signed with. */
import { randomBytes } from "node:crypto";
import type { Selectable } from "kysely";
import type { NoticeData, NoticeKind } from "../contract/notices.ts";
import { audiences } from "../domain/notifying.ts";
import { notFound } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { holdersOf } from "./audience.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { type DeliveryRow, queueTo, recordResult, type Result } from "./deliveries.ts";
import { newId } from "./ids.ts";
import { notify } from "./notices.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import type { Webhooks } from "./schema.ts";

export type WebhookRow = Selectable<Webhooks>;
type Seal = (context: string, text: string) => string;

/** What its sealed secrets are bound to. */
export const webhookContext = (id: string): string => `webhook/${id}`;
/** After a rotation deliveries are signed with the old secret too for so long. */
export const rotationHours = 24;

/** 32 random bytes, as Standard Webhooks writes them. */
const makeSecret = (): string => `whsec_${randomBytes(32).toString("base64")}`;

export interface WebhookAsk {
  name: string;
  url: string;
  kinds: readonly NoticeKind[];
  departmentId: string | null;
}

/** @returns the secret, which nobody can read again */
export async function createWebhook(tx: Tx, act: Act, ask: WebhookAsk, seal: Seal): Promise<{ webhook: WebhookRow; secret: string }> {
  const id = newId("whk", act.now);
  const secret = makeSecret();
  const webhook = await tx
    .insertInto("webhooks")
    .values({
      id,
      name: ask.name,
      url: ask.url,
      kinds: JSON.stringify(ask.kinds),
      department_id: ask.departmentId,
      secret_sealed: seal(webhookContext(id), secret),
      state: "active",
      created_by: act.actor,
      created_at: act.now,
      updated_at: act.now,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendAudit(tx, act, { ...audited(webhook), action: "webhook.create", after: told(webhook) });
  return { webhook, secret };
}

const audited = (row: WebhookRow) => ({ subjectKind: "webhook", subjectId: row.id, departmentId: row.department_id });
const told = (row: WebhookRow) => ({ name: row.name, url: row.url, kinds: row.kinds, state: row.state });

export function listWebhooks(db: Db, ask: PageAsk): Promise<Page<WebhookRow>> {
  return page(db.selectFrom("webhooks").selectAll(), { ...ask, by: "id" });
}

export const webhookOf = (db: Db, id: string): Promise<WebhookRow | undefined> => db.selectFrom("webhooks").selectAll().where("id", "=", id).executeTakeFirst();

/** @throws Refusal not-found */
export async function getWebhook(db: Db, id: string): Promise<WebhookRow> {
  const row = await webhookOf(db, id);
  if (!row) throw notFound("webhook", id);
  return row;
}

/** Against changes; who tells it of something meanwhile needn't wait. */
const held = (tx: Tx, id: string): Promise<WebhookRow | undefined> =>
  tx.selectFrom("webhooks").selectAll().where("id", "=", id).forNoKeyUpdate().executeTakeFirst();

async function lockWebhook(tx: Tx, id: string): Promise<WebhookRow> {
  const row = await held(tx, id);
  if (!row) throw notFound("webhook", id);
  return row;
}

/** Made active again, it gets what has waited meanwhile. @param match refuses a revision that is not the one that was seen */
export async function changeWebhook(
  tx: Tx,
  act: Act,
  id: string,
  change: { name?: string | undefined; url?: string | undefined; kinds?: readonly NoticeKind[] | undefined; state?: WebhookRow["state"] | undefined },
  match: (revision: number) => void,
): Promise<WebhookRow> {
  const before = await lockWebhook(tx, id);
  match(before.revision);
  const after = await tx
    .updateTable("webhooks")
    .set({
      name: change.name ?? before.name,
      url: change.url ?? before.url,
      kinds: JSON.stringify(change.kinds ?? before.kinds),
      state: change.state ?? before.state,
      paused_reason: change.state === "active" ? null : change.state === "paused" && before.state === "active" ? "by hand" : before.paused_reason,
      revision: before.revision + 1,
      updated_at: act.now,
    })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendAudit(tx, act, { ...audited(after), action: "webhook.change", before: told(before), after: told(after) });
  return after;
}

/** With its deliveries. */
export async function removeWebhook(tx: Tx, act: Act, id: string): Promise<void> {
  const before = await lockWebhook(tx, id);
  await tx.deleteFrom("webhooks").where("id", "=", id).execute();
  await appendAudit(tx, act, { ...audited(before), action: "webhook.remove", before: told(before) });
}

/** A new secret; for a day deliveries are signed with the old one too, so that the receiver may change over when it likes. @returns the new one */
export async function rotateSecret(tx: Tx, act: Act, id: string, seal: Seal): Promise<{ webhook: WebhookRow; secret: string }> {
  const before = await lockWebhook(tx, id);
  const secret = makeSecret();
  const webhook = await tx
    .updateTable("webhooks")
    .set({
      secret_sealed: seal(webhookContext(id), secret),
      old_secret_sealed: before.secret_sealed,
      old_secret_until: new Date(act.now.getTime() + rotationHours * 3_600_000),
      revision: before.revision + 1,
      updated_at: act.now,
    })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendAudit(tx, act, { ...audited(webhook), action: "webhook.rotate-secret", after: { oldUntil: webhook.old_secret_until } });
  return { webhook, secret };
}

/** A delivery that says nothing but that it is a test. */
export async function testWebhook(tx: Tx, act: Act, id: string): Promise<DeliveryRow> {
  const webhook = await lockWebhook(tx, id);
  const happening = { kind: "webhook.test", departmentId: null, requestId: null, subjectId: id, data: { name: webhook.name } };
  const [delivery] = await queueTo(tx, act, [id], happening);
  await appendAudit(tx, act, { ...audited(webhook), action: "webhook.test", after: { delivery } });
  return tx.selectFrom("deliveries").selectAll().where("id", "=", delivery!).executeTakeFirstOrThrow();
}

/** Writes down what came of an attempt, and of its webhook. @returns what the delivery is now; undefined: another has it, or it is gone */
export async function settleAttempt(tx: Tx, act: Act, row: DeliveryRow, result: Result, random: number): Promise<DeliveryRow | undefined> {
  // The webhook before its delivery, as whoever removes it does.
  if (row.webhook_id !== null) await held(tx, row.webhook_id);
  const recorded = await recordResult(tx, act.now, row, result, random);
  if (recorded) await noteOutcome(tx, act, recorded, result);
  return recorded;
}

/** A success is remembered; whose deliveries only fail is paused, and its administrators are told so. */
async function noteOutcome(tx: Tx, act: Act, row: DeliveryRow, { status, error }: Result): Promise<void> {
  if (row.webhook_id === null || row.state === "waiting") return;
  if (row.state === "delivered") {
    await tx.updateTable("webhooks").set({ last_success_at: act.now }).where("id", "=", row.webhook_id).execute();
    return;
  }
  const webhook = await lockWebhook(tx, row.webhook_id);
  const succeeds = webhook.last_success_at !== null && webhook.last_success_at >= row.created_at;
  if (webhook.state === "paused" || (succeeds && status !== 410)) return;
  const reason = error ?? "";
  await tx
    .updateTable("webhooks")
    .set({ state: "paused", paused_reason: reason.slice(0, 500), revision: webhook.revision + 1, updated_at: act.now })
    .where("id", "=", webhook.id)
    .execute();
  await appendAudit(tx, act, { ...audited(webhook), action: "webhook.pause", after: { reason } });
  await notify(tx, act, {
    kind: "webhook.paused",
    to: await holdersOf(tx, audiences["webhook.paused"], null, act.now),
    departmentId: null,
    requestId: null,
    subjectId: webhook.id,
    data: { name: webhook.name, error: reason },
  });
}

/** What a mail is made of; undefined: the account has no address any more, or is disabled. */
export async function letterOf(db: Db, row: DeliveryRow) {
  const found = await db
    .selectFrom("notices as n")
    .innerJoin("accounts as a", "a.id", "n.person_id")
    .select(["a.email", "a.language", "n.data"])
    .where("n.id", "=", row.notice_id)
    .where("a.disabled_at", "is", null)
    .executeTakeFirst();
  if (!found || found.email === null) return undefined;
  return { id: row.id, to: found.email, language: found.language, kind: row.kind, data: found.data as NoticeData, at: row.created_at };
}
