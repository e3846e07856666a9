/** Every answer that is not a success is a problem document (RFC 9457) with a stable code. */
import type { Hook } from "@hono/zod-openapi";
import { HTTPException } from "hono/http-exception";
import type { Denials } from "../../audit/denials.ts";
import { type Problem, type ProblemCode, problems } from "../../contract/problems.ts";
import { Refusal } from "../../domain/refusal.ts";
import type { ApiContext, ApiEnv, AppDeps, Holder, Principal } from "../deps.ts";
import { pointers } from "../pointers.ts";

export function problemResponse(c: ApiContext, refusal: Refusal, headers: Record<string, string> = {}): Response {
  const { status, en } = problems[refusal.code];
  const problem: Problem = {
    type: `urn:zhengyun:problem:${refusal.code}`,
    title: en,
    status,
    code: refusal.code,
    detail: refusal.detail,
    instance: c.req.path,
    correlationId: c.get("correlationId"),
    ...(refusal.remedy ? { remedy: refusal.remedy } : {}),
    ...(refusal.errors ? { errors: refusal.errors } : {}),
    ...(refusal.limits ? { limits: refusal.limits } : {}),
    ...(refusal.funds ? { funds: refusal.funds } : {}),
  };
  if (refusal.code === "unauthenticated") headers["www-authenticate"] = 'Bearer realm="zhengyun"';
  if (refusal.retryAfterSeconds !== undefined) headers["retry-after"] = String(refusal.retryAfterSeconds);
  return c.body(JSON.stringify(problem), status, { ...headers, "content-type": "application/problem+json" });
}

export function onError(deps: AppDeps, denials: Denials) {
  return async (error: Error, c: ApiContext): Promise<Response> => {
    const refusal = refusalOf(error);
    const correlationId = c.get("correlationId");
    if (refusal.code === "internal") deps.log.error({ err: error, correlationId, method: c.req.method, path: c.req.path }, "request failed");
    await recordDenial(denials, c, refusal);
    return problemResponse(c, refusal);
  };
}

/** Of whom it is known who they are: what they may not do, and, of those who don't see all, what they may not see or what isn't there. */
async function recordDenial(denials: Denials, c: ApiContext, { code }: Refusal): Promise<void> {
  const act = c.get("act");
  const holder = c.get("holder") as Holder | undefined;
  const principal = c.get("principal") as Principal | undefined;
  const { status } = problems[code];
  const denied = status === 401 || status === 403 || (status === 404 && principal !== undefined && principal.nodes !== null);
  if (!act || !denied) return;
  const held = [...new Set(holder?.bindings.map((binding) => binding.role))].join(",");
  const nodes = [...new Set(holder?.bindings.map((binding) => binding.department))];
  const { method, path } = c.req;
  await denials.record({
    act: { ...act, role: act.role || held || "none" },
    action: `${method} ${path}`,
    path,
    departmentId: nodes.length === 1 ? nodes[0]! : null,
    code,
    known: holder !== undefined,
  });
}

/** PostgreSQL's codes of what is no mistake of ours. */
const databaseCodes: Record<string, [ProblemCode, string]> = {
  "23505": ["conflict", "Something with this code or name exists already."],
  "23P01": ["conflict", "This excludes something that holds at the same time."],
  "23503": ["conflict", "Something else still needs this, or what it names is gone."],
  "40001": ["unavailable", "Somebody changed the same thing at the same moment."],
  "40P01": ["unavailable", "Somebody changed the same things at the same moment."],
  "53100": ["storage-full", "The database's disk is full."],
  "53300": ["unavailable", "The database has no connection left."],
  "57P01": ["unavailable", "The database is restarting."],
  "57P03": ["unavailable", "The database is starting."],
  ECONNREFUSED: ["unavailable", "The database does not answer."],
  ECONNRESET: ["unavailable", "The connection to the database broke."],
  ENOENT: ["unavailable", "The database's socket is not there."],
  ENOSPC: ["storage-full", "The disk is full."],
};

const httpCodes: Partial<Record<number, ProblemCode>> = {
  400: "malformed",
  404: "not-found",
  405: "method-not-allowed",
  413: "payload-too-large",
  415: "unsupported-media-type",
};

function refusalOf(error: Error): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof HTTPException) return new Refusal(httpCodes[error.status] ?? "malformed", error.message || "The request cannot be read.");
  const code = (error as { code?: unknown }).code;
  const known = typeof code === "string" ? databaseCodes[code] : undefined;
  if (known) return new Refusal(known[0], known[1]);
  if (/Connection terminated|timeout exceeded when trying to connect/.test(error.message)) return new Refusal("unavailable", "The database does not answer.");
  return new Refusal("internal", "Something went wrong on our side; nothing was changed.", {
    remedy: "Quote the correlation id to whoever runs this control plane.",
  });
}

/** What the contract's schemas found, as a problem. */
// eslint-disable-next-line typescript/no-explicit-any
export const onInvalid: Hook<any, ApiEnv, any, any> = (result, c) => {
  if (result.success) return undefined;
  const issues = result.error.issues;
  const errors = pointers(issues);
  const context = c as unknown as ApiContext;
  switch (result.target) {
    case "json":
      return problemResponse(
        context,
        new Refusal("invalid-body", errors.length === 1 ? `${errors[0]!.pointer || "The body"}: ${errors[0]!.detail}` : `${errors.length} places don't fit.`, {
          errors,
        }),
      );
    case "header":
      return problemResponse(context, missingHeader(context, String(issues[0]?.path[0] ?? "")));
    case "param":
      return problemResponse(context, new Refusal("not-found", "No thing can have this address."));
    default:
      return problemResponse(
        context,
        new Refusal("invalid-query", errors.map(({ pointer, detail }) => `${pointer.slice(1)}: ${detail}`).join("; "), { errors }),
      );
  }
};

function missingHeader(c: ApiContext, name: string): Refusal {
  if (c.req.header(name)) return new Refusal("malformed", `The header ${name} is too long.`);
  if (name === "if-match")
    return new Refusal("precondition-missing", "A change needs If-Match with the ETag of what you saw.", { remedy: "Read it first and send its ETag." });
  return new Refusal("idempotency-key-missing", "Every POST needs an Idempotency-Key.", {
    remedy: "Send a new UUID for each new request and the same one when you repeat it.",
  });
}
