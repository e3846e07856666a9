import { PageQuery, pageOf } from "../../contract/common.ts";
import { NewPriceBook, PriceBook } from "../../contract/price-books.ts";
import { listPriceBooks, type PriceBookRow, publishPrices } from "../../store/price-books.ts";
import { pricesAt } from "../../store/prices.ts";
import type { App, AppDeps } from "../deps.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { defineRoute, jsonAnswer, jsonBody } from "../route.ts";

const tags = ["price-books"];
const path = "/api/v1/price-books";
const list = defineRoute({
  method: "get",
  path,
  tags,
  summary: "Every version of the price book, oldest first",
  request: { query: PageQuery },
  responses: { 200: jsonAnswer(pageOf(PriceBook)) },
});
const publish = defineRoute({
  method: "post",
  path,
  tags,
  summary: "Publish a new version; none is ever changed",
  request: { body: jsonBody(NewPriceBook) },
  responses: { 201: jsonAnswer(PriceBook, "Published") },
});

const shown = (row: PriceBookRow, inForce: string | undefined): PriceBook => ({
  id: row.id,
  version: row.version,
  validFrom: row.valid_from.toISOString(),
  note: row.note,
  prices: row.prices as PriceBook["prices"],
  publishedBy: row.published_by,
  createdAt: row.created_at.toISOString(),
  inForce: row.id === inForce,
});

export function registerPriceBooks(app: App, deps: AppDeps): void {
  app.openapi(list, async (c) => {
    const { items, next } = await listPriceBooks(deps.db, c.req.valid("query"));
    const inForce = await pricesAt(deps.db, deps.now());
    return c.json({ items: items.map((row) => shown(row, inForce?.id)), next });
  });
  app.openapi(publish, (c) =>
    idempotent(c, deps, async (tx) => {
      const row = await publishPrices(tx, c.get("act"), c.req.valid("json"));
      return { status: 201, body: shown(row, (await pricesAt(tx, c.get("act").now))?.id) };
    }),
  );
}
