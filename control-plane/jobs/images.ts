/** Brings images to the machines behind the pools; killed in the middle, it is done again: an import under one name makes one. */
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { fault } from "../../infra/drivers/fault.ts";
import { Unsupported } from "../../infra/drivers/driver.ts";
import { type Endpoint, type ImageRow, missingCopies, recordCopy } from "../store/images.ts";
import { change, type JobContext } from "./context.ts";

/** After how long a failed import is tried again. */
const retryMs = 60_000;
/** A file that came in only in part, and that long ago, is left of a kill. */
const leftAfterMs = 86_400_000;

export async function bringImages(context: JobContext): Promise<void> {
  const missing = await missingCopies(context.db, new Date(context.now().getTime() - retryMs));
  // One slow endpoint holds up no other.
  const byEndpoint = Map.groupBy(missing, ({ driver, endpoint }) => `${driver} ${endpoint}`);
  await Promise.all(
    [...byEndpoint.values()].map(async (of) => {
      for (const { image, ...endpoint } of of) await bring(context, image, endpoint);
    }),
  );
  await removeLeft(context);
}

async function bring(context: JobContext, { code, sha256, size_bytes }: ImageRow, endpoint: Endpoint): Promise<void> {
  const path = join(context.images, sha256);
  try {
    const { size } = await stat(path).catch(() => ({ size: -1 }));
    if (size !== size_bytes) throw new Error(`The file of ${code} is not in ${context.images}: several control planes need one directory for images.`);
    await context.driver(endpoint.driver, endpoint.endpoint).importImage(code, { path, sizeBytes: size, sha256 });
    fault("image.imported");
    await change(context, (tx, act) => recordCopy(tx, act, code, endpoint, "imported", null));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    context.log.warn({ image: code, error: why }, "an image could not be imported");
    await change(context, (tx, act) => recordCopy(tx, act, code, endpoint, error instanceof Unsupported ? "unsupported" : "failed", why));
  }
}

async function removeLeft({ images, now }: JobContext): Promise<void> {
  for (const name of await readdir(images).catch(() => [])) {
    if (!name.endsWith(".part")) continue;
    const file = await stat(join(images, name)).catch(() => undefined);
    if (file && file.mtimeMs < now().getTime() - leftAfterMs) await rm(join(images, name), { force: true });
  }
}
