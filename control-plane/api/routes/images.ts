import { z } from "@hono/zod-openapi";
import { PageQuery, pageOf, Title } from "../../contract/common.ts";
import { ImageCode, StoredImage } from "../../contract/images.ts";
import { Refusal } from "../../domain/refusal.ts";
import { notifyEvents } from "../../store/events.ts";
import { getImage, listImages, putImage, type ShownImage, withdrawImage } from "../../store/images.ts";
import type { App, AppDeps } from "../deps.ts";
import { keepImageFile } from "../image-files.ts";
import { defineRoute, jsonAnswer } from "../route.ts";

const tags = ["images"];
const path = "/api/v1/images";
const byCode = { params: z.object({ code: ImageCode }) };
const binary = { content: { "application/octet-stream": { schema: z.string().meta({ format: "binary" }) } }, required: true as const };
const list = defineRoute({
  method: "get",
  path,
  tags,
  summary: "Images that came as files, and where they have been brought",
  request: { query: PageQuery },
  responses: { 200: jsonAnswer(pageOf(StoredImage)) },
});
const read = defineRoute({ method: "get", path: `${path}/{code}`, tags, summary: "An image", request: byCode, responses: { 200: jsonAnswer(StoredImage) } });
const put = defineRoute({
  method: "put",
  path: `${path}/{code}`,
  tags,
  summary: "Import an image from a file: from then on hosts can be asked for with it. The same file again changes nothing",
  conditional: false,
  request: { ...byCode, query: z.object({ name: Title.meta({ description: "What people call it" }) }), body: binary },
  responses: { 200: jsonAnswer(StoredImage, "It was there"), 201: jsonAnswer(StoredImage, "Imported") },
});
const withdraw = defineRoute({
  method: "delete",
  path: `${path}/{code}`,
  tags,
  summary: "Withdraw an image: nobody can ask for it any more, hosts that were made from it go on",
  request: byCode,
  responses: { 204: { description: "Withdrawn" } },
});

const shown = (row: ShownImage): StoredImage => ({
  code: row.code,
  name: row.name,
  sha256: row.sha256,
  sizeBytes: row.size_bytes,
  createdBy: row.created_by,
  createdByName: row.created_by_name,
  createdAt: row.created_at.toISOString(),
  withdrawnAt: row.withdrawn_at?.toISOString() ?? null,
  pools: row.pools,
});

export function registerImages(app: App, deps: AppDeps): void {
  app.openapi(list, async (c) => {
    const { items, next } = await listImages(deps.db, c.req.valid("query"));
    return c.json({ items: items.map(shown), next });
  });
  app.openapi(read, async (c) => c.json(shown(await getImage(deps.db, c.req.valid("param").code)), 200));
  app.openapi(put, async (c) => {
    const { code } = c.req.valid("param");
    const { name } = c.req.valid("query");
    if (c.req.header("content-type") !== "application/octet-stream") throw new Refusal("unsupported-media-type", "Send the file as application/octet-stream.");
    if (!c.req.raw.body) throw new Refusal("invalid-body", "The body is empty.", { errors: [{ pointer: "", detail: "is empty" }] });
    const content = await keepImageFile(deps.images, c.req.raw.body);
    const { made } = await deps.db.transaction().execute((tx) => putImage(tx, c.get("act"), { code, name, ...content }));
    notifyEvents();
    return c.json(shown(await getImage(deps.db, code)), made ? 201 : 200);
  });
  app.openapi(withdraw, async (c) => {
    await deps.db.transaction().execute((tx) => withdrawImage(tx, c.get("act"), c.req.valid("param").code));
    return c.body(null, 204);
  });
}
