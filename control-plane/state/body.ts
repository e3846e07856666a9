/** Request bodies: JSON, maybe gzip, never larger than a limit. */
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import type { Context } from "hono";
import { ApiError } from "./errors.ts";

/** Bytes, unpacked. An engine that meets it (413) sends its batch in halves. */
export const largestBody = 64 * 1024 * 1024;

declare module "hono" {
  interface ContextVariableMap {
    /** Bytes; `largestBody` unless the service was started with another. */
    largestBody?: number;
  }
}

const unpack = promisify(gunzip);

/** @throws ApiError 400 for what isn't JSON, 413 for too much of it */
export async function readJson<T>(c: Context): Promise<T> {
  const limit = c.get("largestBody") ?? largestBody;
  if (Number(c.req.header("content-length") ?? 0) > limit) throw tooLarge(limit);
  let bytes: Uint8Array = new Uint8Array(await c.req.arrayBuffer());
  if (bytes.length > limit) throw tooLarge(limit);
  if (c.req.header("content-encoding") === "gzip") bytes = await gunzipped(bytes, limit);
  if (bytes.length === 0) return {} as T;
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as T;
  } catch (cause) {
    throw new ApiError(400, "the body isn't JSON", { cause });
  }
}

async function gunzipped(bytes: Uint8Array, limit: number): Promise<Uint8Array> {
  try {
    return await unpack(bytes, { maxOutputLength: limit });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(limit);
    throw new ApiError(400, "the body says that it is gzip and isn't", { cause: error });
  }
}

function tooLarge(limit: number): ApiError {
  return new ApiError(413, `the body is larger than ${limit} bytes`);
}
