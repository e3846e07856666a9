/** Handing out the master key takes two people: one asks and names a public key, another approves within a day. */
import type { Selectable } from "kysely";
import { notFound, Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { newId } from "./ids.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import type { KeyEscrows } from "./schema.ts";

export type KeyEscrowRow = Selectable<KeyEscrows>;

const hoursToApprove = 24;

export async function requestKeyEscrow(tx: Tx, act: Act, ask: { publicKey: string; reason: string; fingerprint: string }): Promise<KeyEscrowRow> {
  const row = await tx
    .insertInto("key_escrows")
    .values({
      id: newId("esc", act.now),
      public_key: ask.publicKey,
      reason: ask.reason,
      fingerprint: ask.fingerprint,
      requested_by: act.actor,
      created_at: act.now,
      expires_at: new Date(act.now.getTime() + hoursToApprove * 3_600_000),
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendAudit(tx, act, {
    action: "key-escrow.request",
    subjectKind: "key-escrow",
    subjectId: row.id,
    departmentId: null,
    after: { publicKey: row.public_key, reason: row.reason, fingerprint: row.fingerprint },
  });
  return row;
}

/**
 * Approves once.
 * @param fingerprint of the master key that is in use now
 * @throws Refusal self-approval, or conflict when it is approved, expired or for a key that was rotated since
 */
export async function approveKeyEscrow(tx: Tx, act: Act, id: string, fingerprint: string): Promise<KeyEscrowRow> {
  const row = await tx.selectFrom("key_escrows").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (!row) throw notFound("key escrow", id);
  if (row.requested_by === act.actor) throw new Refusal("self-approval", "The master key takes two people: another operator must approve.");
  if (row.approved_at) throw new Refusal("conflict", "It was approved already.", { remedy: "Ask anew." });
  if (row.expires_at <= act.now) throw new Refusal("conflict", `It had to be approved within ${hoursToApprove} hours.`, { remedy: "Ask anew." });
  if (row.fingerprint !== fingerprint) throw new Refusal("conflict", "The master key was rotated since.", { remedy: "Ask anew." });
  const approved = await tx
    .updateTable("key_escrows")
    .set({ approved_by: act.actor, approved_at: act.now })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendAudit(tx, act, {
    action: "key-escrow.approve",
    subjectKind: "key-escrow",
    subjectId: id,
    departmentId: null,
    after: { publicKey: row.public_key, requestedBy: row.requested_by, fingerprint },
  });
  return approved;
}

/** Newest first. */
export const listKeyEscrows = (db: Db, ask: PageAsk): Promise<Page<KeyEscrowRow>> =>
  page(db.selectFrom("key_escrows").selectAll(), { ...ask, by: "id", descending: true });
