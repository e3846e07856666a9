/** Sessions: opened by signing in to an account, or by a one-time link. A session acts as its account or token does and ends with it. */
import type { Selectable } from "kysely";
import { notFound, Refusal } from "../domain/refusal.ts";
import { findHoldingAccount, type HoldingAccount } from "./accounts.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { newId } from "./ids.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import { heldBy } from "./role-bindings.ts";
import type { Sessions } from "./schema.ts";
import { hashSecret, type HoldingToken, isUsable, newSecret } from "./tokens.ts";

const linkSeconds = 15 * 60;
/** How long a browser stays signed in. */
export const sessionSeconds = 12 * 3600;
/** How long an account's session may rest. */
export const idleSeconds = 30 * 60;
const touchSeconds = 60;
/** What a session's secret begins with. */
export const sessionPrefix = "zys";

const after = (now: Date, seconds: number) => new Date(now.getTime() + seconds * 1000);

/** Whom a session acts as. */
export type SessionOwner = { token_id: string } | { account_id: string };
/** A session that has been opened; nobody can read the secret again. */
export interface Opened {
  id: string;
  secret: string;
  expiresAt: Date;
}

export async function openAccountSession(tx: Tx, accountId: string, { source, agent, now }: { source: string; agent: string; now: Date }): Promise<Opened> {
  const secret = newSecret(sessionPrefix);
  const id = newId("ses", now);
  const expiresAt = after(now, sessionSeconds);
  const known = { last_seen_at: now, source, agent: agent.slice(0, 200) };
  await tx
    .insertInto("sessions")
    .values({ id, secret_hash: hashSecret(secret), account_id: accountId, link_hash: null, expires_at: expiresAt, created_at: now, ...known })
    .execute();
  return { id, secret, expiresAt };
}

/** @returns a code that opens one session within a quarter of an hour */
export async function makeLink(tx: Tx, act: Act, owner: SessionOwner): Promise<{ code: string; expiresAt: Date }> {
  const code = newSecret("zyl");
  const expiresAt = after(act.now, linkSeconds);
  const id = newId("ses", act.now);
  await tx
    .insertInto("sessions")
    .values({
      id,
      secret_hash: hashSecret(newSecret("unused")),
      ...owner,
      last_seen_at: "account_id" in owner ? act.now : null,
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
  const secret = newSecret(sessionPrefix);
  const expiresAt = after(now, sessionSeconds);
  const opened = await tx
    .updateTable("sessions")
    .set({ secret_hash: hashSecret(secret), link_hash: null, link_expires_at: null, expires_at: expiresAt, last_seen_at: now })
    .where("link_hash", "=", hashSecret(code))
    .where("link_expires_at", ">", now)
    .returning(["id", "token_id", "account_id"])
    .executeTakeFirst();
  if (!opened)
    throw new Refusal("unauthenticated", "This sign-in link was used already, or is too old.", { remedy: "Ask for a new one: zhengyun session link" });
  const act = { actor: opened.account_id ?? opened.token_id!, role: "self", ...from };
  await appendAudit(tx, act, { action: "session.open", subjectKind: "session", subjectId: opened.id, departmentId: null });
  return { secret, expiresAt };
}

export interface FoundSession {
  id: string;
  expiresAt: Date;
  token: HoldingToken | undefined;
  account: HoldingAccount | undefined;
}

/** A session that holds now, and whom it acts as. */
export async function findSession(db: Db, secret: string, now: Date): Promise<FoundSession | undefined> {
  const session = await db
    .selectFrom("sessions")
    .selectAll()
    .where("secret_hash", "=", hashSecret(secret))
    .where("expires_at", ">", now)
    .where("link_hash", "is", null)
    .executeTakeFirst();
  if (!session) return undefined;
  const { id, expires_at: expiresAt } = session;
  if (session.account_id === null) {
    const token = await db.selectFrom("tokens").selectAll().select(heldBy("tokens.id").as("held")).where("id", "=", session.token_id).executeTakeFirst();
    return token && isUsable(token, now) ? { id, expiresAt, token, account: undefined } : undefined;
  }
  const rested = now.getTime() - (session.last_seen_at ?? session.created_at).getTime();
  if (rested > idleSeconds * 1000) return undefined;
  const account = await findHoldingAccount(db, session.account_id);
  if (!account || account.disabled_at) return undefined;
  if (rested > touchSeconds * 1000) await db.updateTable("sessions").set({ last_seen_at: now }).where("id", "=", id).execute();
  return { id, expiresAt, token: undefined, account };
}

/** Whether a session still holds, for answers that go on for long; looking is no use of it. */
export async function sessionHolds(db: Db, id: string, now: Date): Promise<boolean> {
  const idle = after(now, -idleSeconds);
  const found = await db
    .selectFrom("sessions")
    .select("id")
    .where("id", "=", id)
    .where("expires_at", ">", now)
    .where((of) => of.or([of("account_id", "is", null), of("last_seen_at", ">", idle)]))
    .executeTakeFirst();
  return found !== undefined;
}

export type SessionRow = Selectable<Sessions>;

/** One's own sessions that hold now. */
export async function listSessions(db: Db, owner: SessionOwner, now: Date, ask: PageAsk): Promise<Page<SessionRow>> {
  let query = db.selectFrom("sessions").selectAll().where("expires_at", ">", now).where("link_hash", "is", null);
  query =
    "token_id" in owner
      ? query.where("token_id", "=", owner.token_id)
      : query.where("account_id", "=", owner.account_id).where("last_seen_at", ">", after(now, -idleSeconds));
  return page(query, { ...ask, by: "id" });
}

/** Ends one of one's own. @throws Refusal("not-found") for anybody else's */
export async function endOwnSession(tx: Tx, act: Act, owner: SessionOwner, id: string): Promise<void> {
  let query = tx.deleteFrom("sessions").where("id", "=", id);
  query = "token_id" in owner ? query.where("token_id", "=", owner.token_id) : query.where("account_id", "=", owner.account_id);
  if (!(await query.returning("id").executeTakeFirst())) throw notFound("session", id);
  await appendAudit(tx, act, { action: "session.end", subjectKind: "session", subjectId: id, departmentId: null });
}

export async function endSession(tx: Tx, act: Act, secret: string): Promise<void> {
  const ended = await tx.deleteFrom("sessions").where("secret_hash", "=", hashSecret(secret)).returning("id").executeTakeFirst();
  if (ended) await appendAudit(tx, act, { action: "session.end", subjectKind: "session", subjectId: ended.id, departmentId: null });
}
