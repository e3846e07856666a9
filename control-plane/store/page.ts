/** Pages by key, not by offset: as quick at the end of a list as at its start, and nothing is seen twice. */
import { type SelectQueryBuilder, sql } from "kysely";
import { Refusal } from "../domain/refusal.ts";

export interface PageAsk {
  /** 1 to 500; 50 when left out. */
  limit?: number | undefined;
  /** `next` of the page before. */
  cursor?: string | undefined;
}

export interface Page<T> {
  items: T[];
  next: string | null;
}

export interface PageOrder<Row> extends PageAsk {
  /** Column to go by, unique within the query; qualified where the query joins ("departments.id"). */
  by: string;
  descending?: boolean;
  /** The column holds numbers. */
  numeric?: boolean;
  /** The value of that column in a row; left out: the property after the last dot of `by`. */
  key?: (row: Row) => string | number;
}

/**
 * Reads one page of a query that has no order of its own.
 * @throws Refusal("invalid-query") for a cursor that we did not make
 */
export async function page<DB, TB extends keyof DB, Row>(query: SelectQueryBuilder<DB, TB, Row>, order: PageOrder<Row>): Promise<Page<Row>> {
  const limit = order.limit ?? 50;
  const direction = order.descending ? "desc" : "asc";
  const column = sql.ref(order.by);
  let rest = query;
  if (order.cursor !== undefined) {
    const after = readCursor(order.cursor, order.numeric ? "number" : "string");
    rest = rest.where(sql<boolean>`${column} ${sql.raw(order.descending ? "<" : ">")} ${after}`);
  }
  const rows = await rest
    .orderBy(column, direction)
    .limit(limit + 1)
    .execute();
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  const key = order.key ?? ((row: Row) => (row as Record<string, string | number>)[order.by.split(".").at(-1)!]!);
  return { items, next: rows.length > limit && last !== undefined ? writeCursor(key(last)) : null };
}

/** Cuts a page from rows that are in memory already, in order of `key`. */
export function pageOfRows<Row>(rows: Row[], ask: PageAsk, key: (row: Row) => string): Page<Row> {
  const limit = ask.limit ?? 50;
  const after = ask.cursor === undefined ? undefined : readCursor(ask.cursor);
  const start = after === undefined ? 0 : rows.findIndex((row) => key(row) === after) + 1;
  const items = rows.slice(start, start + limit);
  const last = items.at(-1);
  return { items, next: start + limit < rows.length && last !== undefined ? writeCursor(key(last)) : null };
}

export function writeCursor(key: string | number): string {
  return Buffer.from(JSON.stringify(key)).toString("base64url");
}

/** @throws Refusal("invalid-query") */
export function readCursor(cursor: string, kind: "string" | "number" = "string"): string | number {
  try {
    const key: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8"));
    if (kind === "string" && typeof key === "string" && !key.includes("\0") && key.length <= 300) return key;
    if (kind === "number" && typeof key === "number" && Number.isSafeInteger(key)) return key;
  } catch {
    // Said below.
  }
  throw new Refusal("invalid-query", "The cursor is not one that this control plane gave out.", {
    remedy: "Send `next` of the page before, unchanged, or leave the cursor out.",
  });
}
