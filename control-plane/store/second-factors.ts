/** The second factor: codes of an authenticator app, each taken once, and recovery codes for the day when the telephone is gone. */
import { createHash, randomBytes } from "node:crypto";
import { Refusal } from "../domain/refusal.ts";
import { base32, fromBase32, stepOf } from "../domain/totp.ts";
import type { AccountRow } from "./accounts.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";

const recoveryCodes = 10;
/** What a sealed secret is bound to. */
export const totpContext = (accountId: string): string => `totp/${accountId}`;

export interface Sealing {
  seal(context: string, text: string): string;
  unseal(context: string, sealed: string): string;
}

/** A new secret, that counts once a code of it was seen. @returns base32 */
export async function beginTotp(tx: Tx, act: Act, account: AccountRow, { seal }: Sealing): Promise<string> {
  if (account.totp_confirmed_at) throw new Refusal("conflict", "There is a second factor already.", { remedy: "Remove it first, by a code of it." });
  const secret = base32(randomBytes(20));
  await tx
    .updateTable("accounts")
    .set({ totp_sealed: seal(totpContext(account.id), secret), totp_last_step: null, updated_at: act.now })
    .where("id", "=", account.id)
    .where("totp_confirmed_at", "is", null)
    .execute();
  await appendAudit(tx, act, { action: "account.second-factor-begun", subjectKind: "account", subjectId: account.id, departmentId: null });
  return secret;
}

/** @returns the recovery codes, which nobody can read again */
export async function confirmTotp(tx: Tx, act: Act, account: AccountRow, code: string, sealing: Sealing): Promise<string[]> {
  if (account.totp_confirmed_at || !account.totp_sealed) throw new Refusal("conflict", "There is no second factor that waits for its first code.");
  if (!(await takeTotp(tx, account, code, act.now, sealing)))
    throw new Refusal("rule-broken", "The code is not that of the secret. Is the telephone's clock right?", {
      errors: [{ pointer: "/code", detail: "does not fit" }],
    });
  await tx.updateTable("accounts").set({ totp_confirmed_at: act.now, updated_at: act.now }).where("id", "=", account.id).execute();
  await tx.deleteFrom("recovery_codes").where("account_id", "=", account.id).execute();
  const codes = Array.from({ length: recoveryCodes }, () => (base32(randomBytes(10)).match(/.{4}/g) ?? []).join("-"));
  await tx
    .insertInto("recovery_codes")
    .values(codes.map((one) => ({ account_id: account.id, code_hash: hashCode(account.id, one) })))
    .execute();
  await appendAudit(tx, act, { action: "account.second-factor", subjectKind: "account", subjectId: account.id, departmentId: null });
  return codes;
}

/** By a code of it, or a recovery code. @throws Refusal("rule-broken") */
export async function removeTotp(tx: Tx, act: Act, account: AccountRow, code: string, sealing: Sealing): Promise<void> {
  if (!account.totp_confirmed_at) throw new Refusal("conflict", "There is no second factor.");
  if (!(await takeCode(tx, account, code, act.now, sealing)))
    throw new Refusal("rule-broken", "The code is wrong, or was used already.", { errors: [{ pointer: "/code", detail: "does not fit" }] });
  await tx.updateTable("accounts").set({ totp_sealed: null, totp_confirmed_at: null, updated_at: act.now }).where("id", "=", account.id).execute();
  await tx.deleteFrom("recovery_codes").where("account_id", "=", account.id).execute();
  await appendAudit(tx, act, { action: "account.second-factor-removed", subjectKind: "account", subjectId: account.id, departmentId: null });
}

/** Uses a code up: of the app, or a recovery code. Of two requests with one code only one gets true. */
export async function takeCode(tx: Tx, account: AccountRow, code: string, now: Date, sealing: Pick<Sealing, "unseal">): Promise<boolean> {
  const typed = code.replaceAll(/\s/g, "");
  if (/^\d{6}$/.test(typed)) return takeTotp(tx, account, typed, now, sealing);
  const used = await tx
    .updateTable("recovery_codes")
    .set({ used_at: now })
    .where("account_id", "=", account.id)
    .where("code_hash", "=", hashCode(account.id, typed))
    .where("used_at", "is", null)
    .returning("code_hash")
    .executeTakeFirst();
  return used !== undefined;
}

async function takeTotp(tx: Tx, account: AccountRow, code: string, now: Date, { unseal }: Pick<Sealing, "unseal">): Promise<boolean> {
  const step = account.totp_sealed ? stepOf(fromBase32(unseal(totpContext(account.id), account.totp_sealed)), code, now) : undefined;
  if (step === undefined) return false;
  // The later of two at once waits for the row, and then finds the step taken.
  const taken = await tx
    .updateTable("accounts")
    .set({ totp_last_step: step })
    .where("id", "=", account.id)
    .where("totp_sealed", "=", account.totp_sealed)
    .where((of) => of.or([of("totp_last_step", "is", null), of("totp_last_step", "<", step)]))
    .returning("id")
    .executeTakeFirst();
  return taken !== undefined;
}

export async function recoveryCodesLeft(db: Db, accountId: string): Promise<number> {
  const left = await db.selectFrom("recovery_codes").select("code_hash").where("account_id", "=", accountId).where("used_at", "is", null).execute();
  return left.length;
}

/** 80 random bits need no slow hash. */
const hashCode = (accountId: string, code: string) =>
  createHash("sha256")
    .update(`${accountId}/${code.toUpperCase().replaceAll(/[^A-Z2-7]/g, "")}`)
    .digest("hex");
