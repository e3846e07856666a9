/** The prices in force. */
import type { Price } from "../contract/price-books.ts";
import type { Db } from "./database.ts";

/** A version of the price book as it is used. */
export interface PricesInForce {
  id: string;
  version: number;
  prices: Price[];
}

/** The version that prices what is asked for at a moment; undefined before the first. */
export async function pricesAt(db: Db, moment: Date): Promise<PricesInForce | undefined> {
  const row = await db
    .selectFrom("price_books")
    .select(["id", "version", "prices"])
    .where("valid_from", "<=", moment)
    .orderBy("valid_from", "desc")
    .orderBy("version", "desc")
    .limit(1)
    .executeTakeFirst();
  return row && { id: row.id, version: row.version, prices: row.prices as Price[] };
}
