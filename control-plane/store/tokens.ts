/** API tokens. Only a hash of a secret is kept; a lookup by hash takes the same time for every wrong secret. */
import { createHash, randomBytes } from "node:crypto";
import type { Selectable } from "kysely";
import { notFound, Refusal } from "../domain/refusal.ts";
import { type Act, systemAct } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { newId } from "./ids.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import { bind, heldBy } from "./role-bindings.ts";
import type { Tokens } from "./schema.ts";

export type TokenRow = Selectable<Tokens>;

export interface TokenAsk {
  name: string;
  expiresAt: Date | null;
  /** Of a personal token, or a service's: whom it acts as. */
  accountId?: string;
  readOnly?: boolean;
}

export const newSecret = (prefix: string): string => `${prefix}_${randomBytes(32).toString("base64url")}`;
export const hashSecret = (secret: string): string => createHash("sha256").update(secret).digest("hex");

/**
 * @returns the secret, which nobody can read again
 * @throws Refusal when it would expire in the past
 */
export async function makeToken(tx: Tx, act: Act, ask: TokenAsk): Promise<{ token: TokenRow; secret: string }> {
  if (ask.expiresAt && ask.expiresAt <= act.now)
    throw new Refusal("rule-broken", "The token would have expired already.", { errors: [{ pointer: "/expiresAt", detail: "is in the past" }] });
  const secret = newSecret("zy");
  const token = await tx
    .insertInto("tokens")
    .values({
      id: newId("tok", act.now),
      name: ask.name,
      secret_hash: hashSecret(secret),
      expires_at: ask.expiresAt,
      created_at: act.now,
      account_id: ask.accountId ?? null,
      read_only: ask.readOnly ?? false,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendAudit(tx, act, {
    action: "token.create",
    subjectKind: "token",
    subjectId: token.id,
    departmentId: null,
    after: { name: token.name, ...(token.account_id ? { account: token.account_id } : {}) },
  });
  return { token, secret };
}

/** Ends a token and the sessions that act as it does. Revoking twice is no error. @param accountId whose it must be */
export async function revokeToken(tx: Tx, act: Act, id: string, accountId?: string): Promise<void> {
  const token = await tx.selectFrom("tokens").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (!token || (accountId !== undefined && token.account_id !== accountId)) throw notFound("token", id);
  if (token.revoked_at) return;
  await tx.updateTable("tokens").set({ revoked_at: act.now }).where("id", "=", id).execute();
  await tx.deleteFrom("sessions").where("token_id", "=", id).execute();
  await appendAudit(tx, act, { action: "token.revoke", subjectKind: "token", subjectId: id, departmentId: null });
}

/** @param accountId only those of this account */
export async function listTokens(db: Db, ask: PageAsk, accountId?: string): Promise<Page<TokenRow>> {
  const all = db.selectFrom("tokens").selectAll();
  return page(accountId === undefined ? all : all.where("account_id", "=", accountId), { ...ask, by: "id" });
}

/** A token with all that it holds; `heldOf` opens it. */
export type HoldingToken = TokenRow & { held: string };

/** The tokens of secrets, ended ones too: callers ask isUsable. */
export async function findTokens(db: Db, secrets: readonly string[]): Promise<(HoldingToken | undefined)[]> {
  const hashes = secrets.map(hashSecret);
  const rows = await db
    .selectFrom("tokens")
    .selectAll()
    .select(heldBy("tokens.id").as("held"))
    .where("secret_hash", "in", [...new Set(hashes)])
    .execute();
  return hashes.map((hash) => rows.find((row) => row.secret_hash === hash));
}

export function isUsable(token: Pick<TokenRow, "revoked_at" | "expires_at">, now: Date): boolean {
  return !token.revoked_at && (!token.expires_at || token.expires_at > now);
}

const touchEverySeconds = 60;

/** Notes that a token was used, to the minute. */
export async function touchToken(db: Db, token: Pick<TokenRow, "id" | "last_used_at">, now: Date): Promise<void> {
  if (token.last_used_at && now.getTime() - token.last_used_at.getTime() < touchEverySeconds * 1000) return;
  await db.updateTable("tokens").set({ last_used_at: now }).where("id", "=", token.id).execute();
}

/** A token that runs the platform: operations staff and system administrator in one. Roles are granted by others. @returns its secret */
export async function makeOperator(tx: Tx, act: Act, name: string): Promise<string> {
  const { token, secret } = await makeToken(tx, act, { name, expiresAt: null });
  await bindOperator(tx, act, token.id);
  return secret;
}

/** Operations staff and system administrator in one. */
export async function bindOperator(tx: Tx, act: Act, subject: string): Promise<void> {
  for (const role of ["operations", "system-admin"] as const) {
    const held = { subject_id: subject, role, department_id: null, kind: "standing" as const, valid_from: act.now };
    await bind(tx, act, { ...held, valid_until: null, period_from: null, period_to: null, reason: "the platform's first operator" });
  }
}

/**
 * The first operator's token, made once.
 * @param keep puts the secret where the operator finds it, before it is valid: a kill in between leaves neither
 */
export async function bootstrapToken(db: Db, now: Date, keep: (secret: string) => void): Promise<void> {
  await db.transaction().execute(async (tx) => {
    // Of two control planes that start on one empty PostgreSQL only one makes it.
    const first = await tx
      .insertInto("settings")
      .values({ key: "bootstrap-token", value: JSON.stringify({ at: now.toISOString() }) })
      .onConflict((on) => on.doNothing())
      .returning("key")
      .executeTakeFirst();
    if (!first) return;
    keep(await makeOperator(tx, systemAct(now), "operator"));
  });
}
