/** Price books (价格目录): versions that never change once published. */
import { type Selectable, sql } from "kysely";
import type { NewPriceBook } from "../contract/price-books.ts";
import { Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { commitUncharged } from "./fund-charges.ts";
import { newId } from "./ids.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import type { PriceBooks } from "./schema.ts";

export type PriceBookRow = Selectable<PriceBooks>;
/** Oldest first. */
export async function listPriceBooks(db: Db, ask: PageAsk): Promise<Page<PriceBookRow>> {
  return page(db.selectFrom("price_books").selectAll(), { limit: ask.limit, cursor: ask.cursor, by: "id" });
}

/** @throws Refusal rule-broken for a version that would price what was asked for already */
export async function publishPrices(tx: Tx, act: Act, book: NewPriceBook): Promise<PriceBookRow> {
  // One after another, so that version numbers have no gaps.
  await sql`select pg_advisory_xact_lock(7302063)`.execute(tx);
  const validFrom = book.validFrom === undefined ? act.now : new Date(book.validFrom);
  if (validFrom < act.now)
    throw new Refusal("rule-broken", `${validFrom.toISOString()} is past: prices that were in force never change.`, {
      errors: [{ pointer: "/validFrom", detail: "is past" }],
      remedy: "Leave validFrom out to publish them from now on.",
    });
  const last = await tx.selectFrom("price_books").select("version").orderBy("version", "desc").limit(1).executeTakeFirst();
  const row = await tx
    .insertInto("price_books")
    .values({
      id: newId("pbk", act.now),
      version: (last?.version ?? 0) + 1,
      valid_from: validFrom,
      note: book.note,
      prices: JSON.stringify(book.prices),
      published_by: act.actor,
      created_at: act.now,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendAudit(tx, act, {
    action: "price-book.publish",
    subjectKind: "price-book",
    subjectId: row.id,
    departmentId: null,
    after: { version: row.version, validFrom, prices: book.prices },
  });
  // What ran before there were prices is paid for from the first of them on.
  if (!last && validFrom <= act.now) await commitUncharged(tx, act, { id: row.id, version: row.version, prices: book.prices });
  return row;
}
