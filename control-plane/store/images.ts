/** Images (镜像) that came as files, and where each has been brought. A name stands for one content for ever: what was installed can be told years later. */
import type { Selectable } from "kysely";
import { notFound, Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { nameOf } from "./names.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import type { ImageCopies, Images } from "./schema.ts";

/** Every driver makes it itself (infra/drivers/base-image.ts). */
const baseImage = "zhengyun-base-1";

export type ImageRow = Selectable<Images>;
export type ShownImage = ImageRow & {
  created_by_name: string | null;
  pools: { pool: string; state: "pending" | ImageCopies["state"]; error: string | null }[];
};
export interface ImageContent {
  /** Lowercase hex. */
  sha256: string;
  sizeBytes: number;
}
/** The machines behind pools. */
export interface Endpoint {
  driver: string;
  endpoint: string;
}

export async function listImages(db: Db, ask: PageAsk): Promise<Page<ShownImage>> {
  const { items, next } = await page(db.selectFrom("images").selectAll().select(nameOf("images.created_by").as("created_by_name")), { ...ask, by: "code" });
  const pools = await db.selectFrom("pools").select(["code", "driver", "endpoint"]).where("kind", "=", "compute").orderBy("code").execute();
  const copies = await db.selectFrom("image_copies").selectAll().execute();
  const shown = items.map((row) => ({
    ...row,
    pools: pools.map(({ code, driver, endpoint }) => {
      const copy = copies.find((one) => one.image_code === row.code && one.driver === driver && one.endpoint === endpoint);
      return { pool: code, state: copy?.state ?? ("pending" as const), error: copy?.error ?? null };
    }),
  }));
  return { items: shown, next };
}

export async function getImage(db: Db, code: string): Promise<ShownImage> {
  const row = await db.selectFrom("images").select("code").where("code", "=", code).executeTakeFirst();
  if (!row) throw notFound("image", code);
  const { items } = await listImages(db, { limit: 500 });
  return items.find((one) => one.code === code)!;
}

/** The same content again changes nothing. @throws Refusal("conflict") when the name stands for another content, or was withdrawn */
export async function putImage(tx: Tx, act: Act, image: { code: string; name: string } & ImageContent): Promise<{ made: boolean }> {
  const { code, name, sha256, sizeBytes } = image;
  if (code === baseImage) throw new Refusal("conflict", `${code} is the name of the image that comes with the software.`);
  const made = await tx
    .insertInto("images")
    .values({ code, name, sha256, size_bytes: sizeBytes, created_by: act.actor, created_at: act.now, withdrawn_at: null })
    .onConflict((on) => on.doNothing())
    .returning("code")
    .executeTakeFirst();
  if (!made) {
    const there = await tx.selectFrom("images").selectAll().where("code", "=", code).executeTakeFirstOrThrow();
    if (there.sha256 === sha256 && there.withdrawn_at === null) return { made: false };
    throw new Refusal("conflict", there.withdrawn_at ? `The image ${code} was withdrawn.` : `The image ${code} has another content: SHA-256 ${there.sha256}.`, {
      remedy: "Choose a new name, such as one with a date: what hosts were installed from must stay known.",
    });
  }
  await tx
    .insertInto("catalogue")
    .values({ kind: "image", code, name, spec: "{}" })
    .onConflict((on) => on.columns(["kind", "code"]).doUpdateSet({ name }))
    .execute();
  await appendAudit(tx, act, { action: "image.import", subjectKind: "image", subjectId: code, departmentId: null, after: image });
  return { made: true };
}

/** Nobody can ask for it any more; hosts that were made from it go on. */
export async function withdrawImage(tx: Tx, act: Act, code: string): Promise<void> {
  const row = await tx.selectFrom("images").selectAll().where("code", "=", code).forUpdate().executeTakeFirst();
  if (!row) throw notFound("image", code);
  if (row.withdrawn_at) return;
  await tx.updateTable("images").set({ withdrawn_at: act.now }).where("code", "=", code).execute();
  await tx.deleteFrom("catalogue").where("kind", "=", "image").where("code", "=", code).execute();
  await appendAudit(tx, act, { action: "image.withdraw", subjectKind: "image", subjectId: code, departmentId: null, before: row });
}

/** What is still to be brought somewhere. @param retryBefore what failed before then is tried again */
export async function missingCopies(db: Db, retryBefore: Date): Promise<(Endpoint & { image: ImageRow })[]> {
  const images = await db.selectFrom("images").selectAll().where("withdrawn_at", "is", null).orderBy("created_at").execute();
  if (images.length === 0) return [];
  const endpoints = await db
    .selectFrom("pools")
    .select(["driver", "endpoint"])
    .distinct()
    .where("kind", "=", "compute")
    .where("state", "!=", "closed")
    .execute();
  const copies = await db.selectFrom("image_copies").selectAll().execute();
  const settled = ({ driver, endpoint }: Endpoint, { code }: ImageRow) =>
    copies.some((one) => one.image_code === code && one.driver === driver && one.endpoint === endpoint && (one.state !== "failed" || one.at >= retryBefore));
  return images.flatMap((image) => endpoints.filter((one) => !settled(one, image)).map((one) => ({ ...one, image })));
}

export async function recordCopy(
  tx: Tx,
  act: Act,
  code: string,
  { driver, endpoint }: Endpoint,
  state: ImageCopies["state"],
  error: string | null,
): Promise<void> {
  const result = { state, error, at: act.now };
  const before = await tx
    .selectFrom("image_copies")
    .select(["state", "error"])
    .where("image_code", "=", code)
    .where("driver", "=", driver)
    .where("endpoint", "=", endpoint)
    .executeTakeFirst();
  await tx
    .insertInto("image_copies")
    .values({ image_code: code, driver, endpoint, ...result })
    .onConflict((on) => on.columns(["image_code", "driver", "endpoint"]).doUpdateSet(result))
    .execute();
  // A failure that repeats itself is said once.
  if (before?.state === state && before.error === error) return;
  await appendAudit(tx, act, { action: "image.copy", subjectKind: "image", subjectId: code, departmentId: null, after: { driver, endpoint, state, error } });
}
