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

/** What subjects are called, by id. */
export async function namesOf(db: Db, ids: readonly string[]): Promise<Map<string, string>> {
  if (ids.length === 0) return new Map();
  const accounts = db.selectFrom("accounts").select(["id", "display_name as name"]).where("id", "in", ids);
  const tokens = db.selectFrom("tokens").select(["id", "name"]).where("id", "in", ids);
  return new Map((await accounts.unionAll(tokens).execute()).map((row) => [row.id, row.name]));
}
