/** One-time links: by one the first administrator is made, by others people set their first or a new password. Nobody is given a password. */
import { Refusal } from "../domain/refusal.ts";
import { type AccountRow, createAccount, endSessionsOf, getAccount } from "./accounts.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { bindOperator, hashSecret, newSecret } from "./tokens.ts";

const linkHours = 24;
const end = (now: Date) => new Date(now.getTime() + linkHours * 3_600_000);

/** The address in the console. The code stands behind #: browsers send it to no server, so that it is in no log. */
export const linkPath = (code: string): string => `/set-up#${code}`;

/** A code by which the first administrator is made; undefined once there is an account. An earlier one holds no more. */
export async function makeBootstrapLink(db: Db, now: Date): Promise<string | undefined> {
  return db.transaction().execute(async (tx) => {
    if (await anyAccount(tx)) return undefined;
    const code = newSecret("zyb");
    const values = { code_hash: hashSecret(code), expires_at: end(now), created_at: now };
    await tx
      .insertInto("account_links")
      .values({ purpose: "bootstrap", account_id: null, ...values })
      .onConflict((on) => on.column("purpose").where("purpose", "=", "bootstrap").doUpdateSet(values))
      .execute();
    return code;
  });
}

/** A new link makes what the account had void: password, second factor, sessions, personal tokens. */
export async function resetAccount(tx: Tx, act: Act, id: string): Promise<{ code: string; expiresAt: Date }> {
  const account = await tx.selectFrom("accounts").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (!account) await getAccount(tx, id);
  if (account?.kind !== "person") throw new Refusal("rule-broken", "A service account has no password: make it a token.");
  await tx
    .updateTable("accounts")
    .set({
      password_hash: null,
      totp_sealed: null,
      totp_confirmed_at: null,
      failed_attempts: 0,
      locked_until: null,
      updated_at: act.now,
      revision: account.revision + 1,
    })
    .where("id", "=", id)
    .execute();
  await endSessionsOf(tx, id);
  await tx.updateTable("tokens").set({ revoked_at: act.now }).where("account_id", "=", id).where("revoked_at", "is", null).execute();
  await tx.deleteFrom("recovery_codes").where("account_id", "=", id).execute();
  await tx.deleteFrom("account_links").where("account_id", "=", id).execute();
  await appendAudit(tx, act, { action: "account.reset", subjectKind: "account", subjectId: id, departmentId: null });
  return makeSetUpLink(tx, act, id);
}

export async function makeSetUpLink(tx: Tx, act: Act, id: string): Promise<{ code: string; expiresAt: Date }> {
  const code = newSecret("zyi");
  const expiresAt = end(act.now);
  await tx
    .insertInto("account_links")
    .values({ code_hash: hashSecret(code), purpose: "set-up", account_id: id, expires_at: expiresAt, created_at: act.now })
    .execute();
  return { code, expiresAt };
}

const spent = () =>
  new Refusal("unauthenticated", "This link was used already, or is too old.", {
    remedy: "Ask for a new one: zhengyun accounts reset; for the first administrator restart the control plane.",
  });

/** Whom a link is for; null: for the first administrator. @throws Refusal("unauthenticated") */
export async function readLink(db: Db, code: string, now: Date): Promise<AccountRow | null> {
  const link = await db.selectFrom("account_links").selectAll().where("code_hash", "=", hashSecret(code)).where("expires_at", ">", now).executeTakeFirst();
  if (!link) throw spent();
  return link.account_id === null ? null : getAccount(db, link.account_id);
}

/**
 * Uses a link up: the account that it is for, or the first administrator, made now.
 * @throws Refusal("unauthenticated") when another was quicker
 */
export async function takeLink(tx: Tx, act: Act, code: string, first: { name: string; displayName: string }): Promise<AccountRow> {
  const link = await tx
    .deleteFrom("account_links")
    .where("code_hash", "=", hashSecret(code))
    .where("expires_at", ">", act.now)
    .returningAll()
    .executeTakeFirst();
  if (!link) throw spent();
  if (link.account_id !== null) {
    const account = await getAccount(tx, link.account_id);
    if (account.disabled_at) throw spent();
    return account;
  }
  if (await anyAccount(tx)) throw spent();
  const account = await createAccount(tx, act, { ...first, kind: "person" });
  await bindOperator(tx, { ...act, actor: "system", role: "system" }, account.id);
  return account;
}

async function anyAccount(db: Db): Promise<boolean> {
  return (await db.selectFrom("accounts").select("id").limit(1).executeTakeFirst()) !== undefined;
}
