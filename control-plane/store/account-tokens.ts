/** Tokens that act as an account does: a person's for their programs, a service's as its only way in. */
import { Refusal } from "../domain/refusal.ts";
import type { AccountRow } from "./accounts.ts";
import type { Act } from "./act.ts";
import type { Tx } from "./database.ts";
import { makeToken, type TokenRow } from "./tokens.ts";

const longestDays = 366;

/** @throws Refusal when it would never end, or has ended already */
export async function makeAccountToken(
  tx: Tx,
  act: Act,
  account: AccountRow,
  ask: { name: string; scope: "read" | "all"; expiresAt: Date },
): Promise<{ token: TokenRow; secret: string }> {
  if (ask.expiresAt.getTime() - act.now.getTime() > longestDays * 86_400_000)
    throw new Refusal("rule-broken", "An account's token ends within a year.", {
      errors: [{ pointer: "/expiresAt", detail: `is more than ${longestDays} days ahead` }],
    });
  return makeToken(tx, act, { name: ask.name, expiresAt: ask.expiresAt, accountId: account.id, readOnly: ask.scope === "read" });
}
