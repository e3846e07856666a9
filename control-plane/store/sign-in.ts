/**
 * Signing in by name and password. Whoever fails learns nothing: an account that is unknown, locked, disabled or has another password
 * gives the same answer after the same time.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { lockRules, passwordExpired, passwordRules } from "../domain/password-rules.ts";
import { Refusal } from "../domain/refusal.ts";
import { hashNewPassword, keepPassword } from "./account-passwords.ts";
import { type AccountRow, returnAttempt, takeAttempt } from "./accounts.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { notify } from "./notices.ts";
import { verifyPassword } from "./password.ts";
import { countAttempt, signInLimits } from "./rate-limits.ts";
import { type Sealing, takeCode } from "./second-factors.ts";
import { type Opened, openAccountSession } from "./sessions.ts";

export interface SignInAsk {
  name: string;
  password: string;
  /** Of the second factor, or a recovery code. */
  code: string | null;
  /** In the place of one that has expired. */
  newPassword: string | null;
}

/** Who is at the door: nobody yet. */
export interface Visitor {
  source: string;
  /** The program, as it calls itself. */
  agent: string;
  correlationId: string;
  now: Date;
}

/** Longer than all the work for a wrong password takes on a small machine: what is left of it is waited for. */
const refusalMs = 250;

export const actOf = (account: AccountRow, { source, correlationId, now }: Visitor): Act => ({
  actor: account.id,
  role: "self",
  source,
  correlationId,
  now,
});
export const strangerAct = ({ source, correlationId, now }: Visitor): Act => ({ actor: "anonymous", role: "none", source, correlationId, now });

/** @throws Refusal sign-in-refused, second-factor-needed, password-expired, too-many-requests, or rule-broken for the new password */
export async function signIn(db: Db, sealing: Sealing, ask: SignInAsk, visitor: Visitor): Promise<Opened & { account: AccountRow }> {
  const { now } = visitor;
  await countAttempt(db, signInLimits.address, visitor.source, now);
  await countAttempt(db, signInLimits.account, ask.name, now);
  const begun = performance.now();
  const account = await db.selectFrom("accounts").selectAll().where("name", "=", ask.name).where("kind", "=", "person").executeTakeFirst();
  const attempt = await takeAttempt(db, account?.id, now);
  const right = await verifyPassword(account?.password_hash, ask.password);
  if (!account || !right || !attempt.allowed || account.disabled_at) return refuse(db, visitor, account, attempt.locked, begun);
  // From here on the password was right, and the caller knows it.
  const expired = passwordExpired(account.password_set_at ?? new Date(0), now);
  if (expired && ask.newPassword === null) {
    await returnAttempt(db, account.id);
    throw new Refusal("password-expired", `The password is older than ${passwordRules.maximumAgeDays} days.`, { remedy: "Choose a new one." });
  }
  if (account.totp_confirmed_at && ask.code === null) {
    await returnAttempt(db, account.id);
    throw new Refusal("second-factor-needed", "Type the code that your app shows, or a recovery code.");
  }
  let hash: string | undefined;
  if (expired) {
    try {
      hash = await hashNewPassword(db, account, ask.newPassword!, "/newPassword");
    } catch (error) {
      await returnAttempt(db, account.id);
      throw error;
    }
  }
  const opened = await db.transaction().execute(async (tx) => {
    if (account.totp_confirmed_at && !(await takeCode(tx, account, ask.code!, now, sealing))) return undefined;
    const act = actOf(account, visitor);
    if (hash !== undefined) await keepPassword(tx, act, account, hash);
    return admit(tx, act, account, visitor, "password");
  });
  return opened ? { ...opened, account } : refuse(db, visitor, account, attempt.locked, begun);
}

/** Opens the session of somebody who has proved who they are. @param by password, link, or the identity provider's id */
export async function admit(tx: Tx, act: Act, account: AccountRow, visitor: Visitor, by: string): Promise<Opened> {
  await tx.updateTable("accounts").set({ failed_attempts: 0, locked_until: null, last_sign_in_at: act.now }).where("id", "=", account.id).execute();
  const opened = await openAccountSession(tx, account.id, visitor);
  await appendAudit(tx, act, { action: "session.open", subjectKind: "session", subjectId: opened.id, departmentId: null, after: { by } });
  return opened;
}

async function refuse(db: Db, visitor: Visitor, account: AccountRow | undefined, locked: boolean, begun: number): Promise<never> {
  const act = strangerAct(visitor);
  await db.transaction().execute(async (tx) => {
    await appendAudit(tx, act, {
      action: "session.open",
      subjectKind: "account",
      subjectId: account?.id ?? "unknown",
      departmentId: null,
      result: "denied",
      after: { locked },
    });
    if (account && locked) await notifyOfLock(tx, act, account.id);
  });
  await sleep(Math.max(0, begun + refusalMs - performance.now()));
  throw new Refusal("sign-in-refused", "Name, password or code is wrong, or the account cannot be used now.", {
    remedy: "After five failures an account is locked for a quarter of an hour. An administrator unlocks or resets it.",
  });
}

/** Once for each time that it is locked. */
async function notifyOfLock(tx: Tx, act: Act, accountId: string): Promise<void> {
  const until = new Date(act.now.getTime() + lockRules.minutes * 60_000);
  const data = { until: until.toISOString() };
  await notify(tx, act, { kind: "account.locked", to: [accountId], departmentId: null, requestId: null, subjectId: accountId, data });
}
