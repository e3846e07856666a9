/** Image files as they come in: written beside, hashed on the way, and whole before anything speaks of them. */
import { createHash, randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Refusal } from "../domain/refusal.ts";

/** Largest image file, bytes. */
export const largestImage = 32 * 1024 ** 3;
/** How the files begin that LXD and Incus take: gzip, xz, zstd, bzip2. */
const beginnings = ["1f8b", "fd377a585a00", "28b52ffd", "425a68"].map((hex) => Buffer.from(hex, "hex"));

/**
 * Keeps a body under its own SHA-256 in the directory, flushed to disk.
 * @throws Refusal("invalid-body") for what is no compressed tarball, Refusal("payload-too-large")
 */
export async function keepImageFile(directory: string, body: ReadableStream<Uint8Array>): Promise<{ sha256: string; sizeBytes: number }> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const part = join(directory, `.${randomUUID()}.part`);
  const hash = createHash("sha256");
  let sizeBytes = 0;
  let head = Buffer.alloc(0);
  const check = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      if (head.length < 8) {
        head = Buffer.concat([head, chunk]).subarray(0, 8);
        if (head.length >= 8 && !beginnings.some((one) => head.subarray(0, one.length).equals(one))) return done(notAnImage());
      }
      sizeBytes += chunk.length;
      if (sizeBytes > largestImage) return done(new Refusal("payload-too-large", `An image file has at most ${largestImage / 1024 ** 3} GiB.`));
      hash.update(chunk);
      done(null, chunk);
    },
  });
  try {
    await pipeline(Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0]), check, createWriteStream(part, { mode: 0o600, flush: true }));
    if (head.length < 8) throw notAnImage();
    const sha256 = hash.digest("hex");
    await rename(part, join(directory, sha256));
    return { sha256, sizeBytes };
  } finally {
    await rm(part, { force: true });
  }
}

const notAnImage = () =>
  new Refusal("invalid-body", "This is no image file.", {
    errors: [{ pointer: "", detail: "is no tarball that is compressed with gzip, xz, zstd or bzip2" }],
    remedy: "Send LXD's unified image tarball: `zhengyun image build` makes one.",
  });
