/** One id from the first middleware to the last job: in the answer's header, the log, the audit and every problem document. */
import { randomUUID } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import { routePath } from "hono/route";
import type { ApiEnv, AppDeps } from "../deps.ts";

const acceptable = /^[A-Za-z0-9._-]{1,64}$/;

export function correlation(deps: AppDeps): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const asked = c.req.header("x-correlation-id");
    const id = asked && acceptable.test(asked) ? asked : randomUUID();
    c.set("correlationId", id);
    const started = performance.now();
    await next();
    c.header("x-correlation-id", id);
    c.header("x-content-type-options", "nosniff");
    c.header("referrer-policy", "no-referrer");
    if (!c.res.headers.has("cache-control")) c.header("cache-control", "no-store");
    const seconds = (performance.now() - started) / 1000;
    const route = routePath(c, -1);
    deps.metrics?.request(c.req.method, route, c.res.status, seconds);
    deps.log.debug({ correlationId: id, method: c.req.method, path: c.req.path, status: c.res.status, seconds }, "request");
  };
}
