/** A route with its rule of access (access.ts): enforced before the handler runs, and shown in the OpenAPI document as `x-access`. */
import { createRoute, type RouteConfig, z } from "@hono/zod-openapi";
import type { MiddlewareHandler } from "hono";
import { Id, Reference } from "../contract/common.ts";
import { problems } from "../contract/problems.ts";
import { Refusal } from "../domain/refusal.ts";
import { capacityOf } from "../domain/authority.ts";
import { appendAudit } from "../store/audit.ts";
import { type Access, accessOf } from "./access.ts";
import type { ApiEnv } from "./deps.ts";
import { isStorable, unstorable } from "./pointers.ts";

/** Answers are checked by the contract's types where handlers build them, and by the fuzz test; any Response may be returned. */
type Route<R extends RouteConfig> = Omit<R, "responses" | "middleware"> & {
  responses: Record<number, { description: string }>;
  middleware: MiddlewareHandler<ApiEnv>[];
  getRoutingPath(): string;
};

/** One answer for each status that a problem can have, by the name under which routes refer to it. */
export const problemAnswers = Object.fromEntries(
  [...Map.groupBy(Object.entries(problems), ([, { status }]) => status)].map(([status, of]) => [
    `Problem${status}`,
    {
      description: `Problem document (RFC 9457); code: ${of.map(([code]) => code).join(", ")}`,
      content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
    },
  ]),
);
const problemAnswer = (status: number) => ({ $ref: `#/components/responses/Problem${status}` });

const idempotencyKey = z.object({
  "idempotency-key": z.string().min(1).max(200).meta({ description: "Any text of your own; a repeated request with it is answered as the first was" }),
});
const ifMatch = z.object({ "if-match": z.string().min(1).max(100).meta({ description: "ETag of what you saw; without it 428" }) });

interface Extra {
  /** Takes If-Match. Left out: PUT and PATCH do. */
  conditional?: boolean;
  /** Statuses of problems beside those that follow from method, path and access. */
  problems?: number[];
}

/** Statuses of the problems that a route may answer with. 500 is none of them: it is always an error of ours. */
function refusals({ method, path, request }: RouteConfig, open: boolean, conditional: boolean): number[] {
  const changes = method !== "get" && method !== "head";
  return [
    400,
    ...(open ? [] : [401, 403]),
    // A query may name a department, an application …
    ...(path.includes("{") || request?.query || request?.body ? [404] : []),
    ...(changes ? [409, 422, 507] : []),
    ...(conditional ? [412, 428] : []),
    ...(request?.body ? [413, 415] : []),
    503,
  ];
}

/** Adds access, the headers that the method needs, and the problems that it may answer with. */
export function defineRoute<R extends RouteConfig>(options: R & Extra): Route<R> {
  const { conditional = options.method === "put" || options.method === "patch", problems: more = [], ...config } = options;
  const access = accessOf(options.method, options.path);
  const open = access.scope === "public";
  const headers = z.object({ ...(config.method === "post" && !open ? idempotencyKey.shape : {}), ...(conditional ? ifMatch.shape : {}) });
  const answers = [...refusals(config, open, conditional), ...more].map((status) => [status, problemAnswer(status)] as const);
  return createRoute({
    ...config,
    request: { ...config.request, ...(Object.keys(headers.shape).length > 0 ? { headers } : {}) },
    responses: { ...Object.fromEntries(answers), ...config.responses },
    security: open ? [] : [{ bearer: [] }, { session: [] }],
    middleware: [authorise(access), readable],
    "x-access": access,
  }) as unknown as Route<R>;
}

function authorise(access: Access): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    if (access.scope !== "public") {
      const holder = c.get("holder");
      if (!holder)
        throw new Refusal("unauthenticated", "This needs a bearer token or a session.", {
          remedy: "Send `Authorization: Bearer <token>`, or sign in by a one-time link.",
        });
      const act = c.get("act");
      const capacity = access.scope === "self" ? { role: "self", nodes: [], period: null } : capacityOf(holder.bindings, access.roles, act.now);
      if (!capacity) {
        const held = [...new Set(holder.bindings.map((binding) => binding.role))].join(", ") || "no role";
        throw new Refusal("forbidden", `You hold ${held}; this needs ${access.roles.join(" or ")}.`, {
          remedy: "A security administrator (安全管理员) grants roles.",
        });
      }
      c.set("principal", { id: holder.id, ...capacity });
      c.set("act", { ...act, role: capacity.role });
    }
    await next();
    if (c.get("principal")?.role === "auditor" && c.req.method === "GET" && c.res.ok) await recordRead(c);
  };
}

/** What external auditors looked at is kept, as what others did. */
async function recordRead(c: Parameters<MiddlewareHandler<ApiEnv>>[0]): Promise<void> {
  const { pathname, search } = new URL(c.req.url);
  const subject = { action: "read", subjectKind: "route", subjectId: (pathname + search).slice(0, 200), departmentId: null };
  await c
    .get("db")
    .transaction()
    .execute((tx) => appendAudit(tx, c.get("act"), subject));
}

/** Refuses what cannot be read or stored before anything looks into it. */
const readable: MiddlewareHandler<ApiEnv> = async (c, next) => {
  const places = Object.entries(c.req.queries()).filter(([name, values]) => !isStorable(name) || !values.every(isStorable));
  if (places.length > 0) throw new Refusal("invalid-query", "A query parameter has a character that cannot be stored.");
  if (Object.values(c.req.param()).some((value) => typeof value === "string" && !isStorable(value)))
    throw new Refusal("not-found", "No thing can have this address.");
  if (/^application\/([a-z.+-]+\+)?json\b/i.test(c.req.header("content-type") ?? "")) {
    let body: unknown;
    try {
      // Read as bytes first: text() would put U+FFFD in the place of what is no UTF-8, and that would be stored.
      new TextDecoder("utf-8", { fatal: true }).decode(await c.req.arrayBuffer());
      body = await c.req.json();
    } catch (error) {
      if (error instanceof TypeError && "code" in error && error.code === "ERR_ENCODING_INVALID_ENCODED_DATA")
        throw new Refusal("malformed", "The body is not UTF-8.");
      if (error instanceof SyntaxError) throw new Refusal("malformed", `The body is not JSON: ${error.message}`);
      throw error;
    }
    const errors = unstorable(body);
    if (errors.length > 0) throw new Refusal("invalid-body", "The body has characters that cannot be stored.", { errors });
  }
  await next();
};

/** A JSON body of a request. */
export const jsonBody = <T extends z.ZodType>(schema: T) => ({ content: { "application/json": { schema } }, required: true as const });
/** A JSON answer. */
export const jsonAnswer = <T extends z.ZodType>(schema: T, description = "Done") => ({ description, content: { "application/json": { schema } } });

export const byId = { params: z.object({ id: Id }) };
/** By id, or by code where that is unique. */
export const byReference = { params: z.object({ id: Reference }) };
