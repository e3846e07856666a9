/** Browsers' sessions, opened by one-time links. A session acts as its token does and ends with it. */
import { Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { newId } from "./ids.ts";
import { heldBy } from "./role-bindings.ts";
import { hashSecret, type HoldingToken, isUsable, newSecret } from "./tokens.ts";

const linkSeconds = 15 * 60;
/** How long a browser stays signed in. */
export const sessionSeconds = 12 * 3600;

const after = (now: Date, seconds: number) => new Date(now.getTime() + seconds * 1000);

/** @returns a code that opens one session within a quarter of an hour */
export async function makeLink(tx: Tx, act: Act, tokenId: string): Promise<{ code: string; expiresAt: Date }> {
  const code = newSecret("zyl");
  const expiresAt = after(act.now, linkSeconds);
  const id = newId("ses", act.now);
  await tx
    .insertInto("sessions")
    .values({
      id,
      secret_hash: hashSecret(newSecret("unused")),
      token_id: tokenId,
      link_hash: hashSecret(code),
      link_expires_at: expiresAt,
      expires_at: expiresAt,
      created_at: act.now,
    })
    .execute();
  await appendAudit(tx, act, { action: "session.link", subjectKind: "session", subjectId: id, departmentId: null });
  return { code, expiresAt };
}

/**
 * Uses a link up.
 * @throws Refusal("unauthenticated") when it was used, is too old, or never was
 */
export async function openSession(tx: Tx, code: string, from: Pick<Act, "source" | "correlationId" | "now">): Promise<{ secret: string; expiresAt: Date }> {
  const { now } = from;
  const secret = newSecret("zys");
  const expiresAt = after(now, sessionSeconds);
  const opened = await tx
    .updateTable("sessions")
    .set({ secret_hash: hashSecret(secret), link_hash: null, link_expires_at: null, expires_at: expiresAt })
    .where("link_hash", "=", hashSecret(code))
    .where("link_expires_at", ">", now)
    .returning(["id", "token_id"])
    .executeTakeFirst();
  if (!opened)
    throw new Refusal("unauthenticated", "This sign-in link was used already, or is too old.", { remedy: "Ask for a new one: zhengyun session link" });
  const act = { actor: opened.token_id, role: "self", ...from };
  await appendAudit(tx, act, { action: "session.open", subjectKind: "session", subjectId: opened.id, departmentId: null });
  return { secret, expiresAt };
}

/** The token that a session acts as, and the session's own id and end. */
export async function findSession(db: Db, secret: string, now: Date): Promise<{ id: string; expiresAt: Date; token: HoldingToken } | undefined> {
  const session = await db
    .selectFrom("sessions")
    .selectAll()
    .where("secret_hash", "=", hashSecret(secret))
    .where("expires_at", ">", now)
    .where("link_hash", "is", null)
    .executeTakeFirst();
  if (!session) return undefined;
  const token = await db.selectFrom("tokens").selectAll().select(heldBy("tokens.id").as("held")).where("id", "=", session.token_id).executeTakeFirst();
  return token && isUsable(token, now) ? { id: session.id, expiresAt: session.expires_at, token } : undefined;
}

export async function endSession(tx: Tx, act: Act, secret: string): Promise<void> {
  const ended = await tx.deleteFrom("sessions").where("secret_hash", "=", hashSecret(secret)).returning("id").executeTakeFirst();
  if (ended) await appendAudit(tx, act, { action: "session.end", subjectKind: "session", subjectId: ended.id, departmentId: null });
}

/** Housekeeping: removes what can be used no more. */
export async function removeEndedSessions(tx: Tx, now: Date): Promise<void> {
  await tx.deleteFrom("sessions").where("expires_at", "<=", now).execute();
}
