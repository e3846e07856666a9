/** An account's password: its rules, its history, its change. Hashes are made before the transaction that keeps them: they take time. */
import { passwordFaults, passwordRules } from "../domain/password-rules.ts";
import { Refusal } from "../domain/refusal.ts";
import { type AccountRow, endSessionsOf, returnAttempt, takeAttempt } from "./accounts.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { hashPassword, verifyPassword } from "./password.ts";
import { countAttempt, signInLimits } from "./rate-limits.ts";

/**
 * The hash of a password that the rules allow.
 * @param pointer where in the body it stands
 * @throws Refusal("rule-broken") that says what is wrong with it
 */
export async function hashNewPassword(db: Db, who: { id: string | null; name: string }, password: string, pointer = "/password"): Promise<string> {
  const refuse = (faults: string[]) =>
    new Refusal("rule-broken", `The new password ${faults.join("; ")}.`, { errors: faults.map((detail) => ({ pointer, detail })) });
  const faults = passwordFaults(password, who.name);
  if (faults.length > 0) throw refuse(faults);
  const earlier = await db
    .selectFrom("password_history")
    .select("password_hash")
    .where("account_id", "=", who.id ?? "none")
    .orderBy("set_at", "desc")
    .limit(passwordRules.remembered)
    .execute();
  for (const { password_hash } of earlier) if (await verifyPassword(password_hash, password)) throw refuse([`is one of the last ${passwordRules.remembered}`]);
  return hashPassword(password);
}

/** Sets it and ends the account's other sessions: whoever had one by the old password has it no more. */
export async function keepPassword(tx: Tx, act: Act, account: AccountRow, hash: string, keepSession?: string): Promise<void> {
  await tx
    .updateTable("accounts")
    .set({ password_hash: hash, password_set_at: act.now, failed_attempts: 0, locked_until: null, updated_at: act.now, revision: account.revision + 1 })
    .where("id", "=", account.id)
    .execute();
  await tx.insertInto("password_history").values({ account_id: account.id, password_hash: hash, set_at: act.now }).execute();
  await endSessionsOf(tx, account.id, keepSession);
  await appendAudit(tx, act, { action: "account.password", subjectKind: "account", subjectId: account.id, departmentId: null });
}

/**
 * The password once more, by somebody who has a session.
 * @throws Refusal("rule-broken") when it is wrong, after five failures whatever it is
 */
export async function proveAgain(db: Db, account: AccountRow, password: string, now: Date): Promise<void> {
  await countAttempt(db, signInLimits.account, account.name, now);
  const { allowed } = await takeAttempt(db, account.id, now);
  if (!(await verifyPassword(account.password_hash, password)) || !allowed)
    throw new Refusal("rule-broken", "The present password is wrong, or the account is locked for a while.", {
      errors: [{ pointer: "/password", detail: "is wrong" }],
    });
  await returnAttempt(db, account.id);
}
