/** Accounts (账户): people who sign in, and services that act by tokens alone. */
import { type Selectable, sql } from "kysely";
import { notFound, Refusal } from "../domain/refusal.ts";
import { lockRules } from "../domain/password-rules.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { newId } from "./ids.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import { heldBy } from "./role-bindings.ts";
import type { Accounts } from "./schema.ts";

export type AccountRow = Selectable<Accounts>;

export interface AccountAsk {
  name: string;
  displayName: string;
  kind: AccountRow["kind"];
}

/** An account with all that it holds; `heldOf` opens it. */
export type HoldingAccount = AccountRow & { held: string };

/** Roles are granted to it by a security administrator. @throws Refusal when the name is taken */
export async function createAccount(tx: Tx, act: Act, ask: AccountAsk): Promise<AccountRow> {
  const account = await tx
    .insertInto("accounts")
    .values({
      id: newId("acc", act.now),
      name: ask.name,
      display_name: ask.displayName,
      kind: ask.kind,
      created_at: act.now,
      updated_at: act.now,
    })
    .onConflict((on) => on.column("name").doNothing())
    .returningAll()
    .executeTakeFirst();
  if (!account) throw new Refusal("conflict", `There is an account "${ask.name}" already.`, { errors: [{ pointer: "/name", detail: "is taken" }] });
  await appendAudit(tx, act, {
    action: "account.create",
    subjectKind: "account",
    subjectId: account.id,
    departmentId: null,
    after: { name: account.name, kind: account.kind },
  });
  return account;
}

export async function listAccounts(db: Db, ask: PageAsk): Promise<Page<AccountRow>> {
  return page(db.selectFrom("accounts").selectAll(), { ...ask, by: "id" });
}

/** @throws Refusal("not-found") */
export async function getAccount(db: Db, id: string): Promise<AccountRow> {
  const account = await db.selectFrom("accounts").selectAll().where("id", "=", id).executeTakeFirst();
  if (!account) throw notFound("account", id);
  return account;
}

export async function findHoldingAccount(db: Db, id: string): Promise<HoldingAccount | undefined> {
  return db.selectFrom("accounts").selectAll().select(heldBy("accounts.id").as("held")).where("id", "=", id).executeTakeFirst();
}

/** @throws Refusal("not-found") */
export async function getHoldingAccount(db: Db, id: string): Promise<HoldingAccount> {
  const account = await findHoldingAccount(db, id);
  if (!account) throw notFound("account", id);
  return account;
}

type Change = "disable" | "enable" | "unlock";

/** Doing it twice is no error. A disabled account's sessions end at once; its tokens work again when it is enabled. */
export async function changeAccount(tx: Tx, act: Act, id: string, change: Change): Promise<AccountRow> {
  const before = await tx.selectFrom("accounts").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (!before) throw notFound("account", id);
  if (change === "disable" && act.actor === id) throw new Refusal("conflict", "Nobody disables their own account.");
  if (change === "disable" && before.disabled_at) return before;
  const set = {
    disable: { disabled_at: act.now },
    enable: { disabled_at: null },
    unlock: { failed_attempts: 0, locked_until: null },
  }[change];
  if (change === "disable") await endSessionsOf(tx, id);
  const after = await tx
    .updateTable("accounts")
    .set({ ...set, revision: before.revision + 1, updated_at: act.now })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendAudit(tx, act, { action: `account.${change}`, subjectKind: "account", subjectId: id, departmentId: null });
  return after;
}

/** Ends an account's sessions, but for one. */
export async function endSessionsOf(tx: Tx, accountId: string, except?: string): Promise<void> {
  let ended = tx.deleteFrom("sessions").where("account_id", "=", accountId);
  if (except !== undefined) ended = ended.where("id", "<>", except);
  await ended.execute();
}

/**
 * Counts an attempt as failed before it is looked at: of many at once no more than the allowed ones are looked at at all.
 * @returns false: it is locked, or there is none; `locked`: this was the last attempt unless it succeeds
 */
export async function takeAttempt(db: Db, id: string | undefined, now: Date): Promise<{ allowed: boolean; locked: boolean }> {
  const next = sql<number>`case when locked_until is null then failed_attempts + 1 else 1 end`;
  const until = new Date(now.getTime() + lockRules.minutes * 60_000);
  const taken = await db
    .updateTable("accounts")
    .set({ failed_attempts: next, locked_until: sql<Date | null>`case when ${next} >= ${lockRules.attempts} then ${until}::timestamptz end` })
    .where("id", "=", id ?? "none")
    .where((of) => of.or([of("locked_until", "is", null), of("locked_until", "<=", now)]))
    .returning("locked_until")
    .executeTakeFirst();
  return { allowed: taken !== undefined, locked: (taken?.locked_until ?? null) !== null };
}

/** Takes an attempt back that was neither a failure nor a success: the password was right and more was asked for. */
export async function returnAttempt(db: Db, id: string): Promise<void> {
  await db
    .updateTable("accounts")
    .set({ failed_attempts: sql<number>`greatest(failed_attempts - 1, 0)`, locked_until: null })
    .where("id", "=", id)
    .execute();
}
