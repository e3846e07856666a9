/** Whoever can hold roles: an account, or a token that is no account's. */
import type { Binding } from "../domain/authority.ts";
import { findHoldingAccount } from "./accounts.ts";
import type { Db } from "./database.ts";
import { heldBy, heldOf } from "./role-bindings.ts";
import { isUsable } from "./tokens.ts";

/** All that somebody holds; undefined: there is no such subject, or it may not sign in. */
export async function bindingsOf(db: Db, id: string, now: Date): Promise<Binding[] | undefined> {
  const account = await findHoldingAccount(db, id);
  if (account) return account.disabled_at ? undefined : heldOf(account.held);
  const token = await db.selectFrom("tokens").selectAll().select(heldBy("tokens.id").as("held")).where("id", "=", id).executeTakeFirst();
  return token && isUsable(token, now) ? heldOf(token.held) : undefined;
}
