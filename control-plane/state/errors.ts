/** Errors as Pulumi's client reads them: `{code, message}`, the code being HTTP's. */
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { InvalidState } from "./deployment.ts";
import { SecretError } from "./secrets.ts";
import { VersionNotFound } from "./snapshots.ts";
import { StackLocked, StackNotEmpty, StackNotFound } from "./stacks.ts";
import { UpdateRevoked } from "./updates.ts";

export class ApiError extends Error {
  readonly status: ContentfulStatusCode;
  constructor(status: ContentfulStatusCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
    this.name = "ApiError";
  }
}

/** What to answer; undefined for what is our own mistake (500, and to be logged). */
export function answerTo(error: unknown): { status: ContentfulStatusCode; message: string } | undefined {
  if (error instanceof ApiError) return { status: error.status, message: error.message };
  if (error instanceof StackNotFound || error instanceof VersionNotFound) return { status: 404, message: error.message };
  if (error instanceof StackLocked) return { status: 409, message: error.message };
  // Final for the engine: it stops, and asks no more.
  if (error instanceof UpdateRevoked) return { status: 403, message: error.message };
  if (error instanceof InvalidState || error instanceof SecretError) return { status: 400, message: error.message };
  // The client knows this text and no other.
  if (error instanceof StackNotEmpty) return { status: 400, message: "Bad Request: Stack still contains resources." };
  return undefined;
}
