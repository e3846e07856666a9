/** What load balancers and people who look after the service ask first. */
import { z } from "@hono/zod-openapi";
import type { App, AppDeps } from "../deps.ts";
import { defineRoute, jsonAnswer } from "../route.ts";

const Health = z.object({ status: z.literal("ok") }).meta({ id: "Health" });
const Readiness = z.object({ ok: z.boolean(), checks: z.record(z.string(), z.string()) }).meta({ id: "Readiness" });

const healthz = defineRoute({
  method: "get",
  path: "/healthz",
  tags: ["system"],
  summary: "Whether the process runs",
  responses: { 200: jsonAnswer(Health, "It runs") },
});
const readyz = defineRoute({
  method: "get",
  path: "/readyz",
  tags: ["system"],
  summary: "Whether it can do its work now",
  responses: { 200: jsonAnswer(Readiness, "Ready"), 503: jsonAnswer(Readiness, "Not ready; the checks say why") },
});

const metrics = defineRoute({
  method: "get",
  path: "/metrics",
  tags: ["system"],
  summary: "Prometheus' exposition; without a token only where it is made public or on loopback",
  responses: { 200: { description: "Text", content: { "text/plain": { schema: z.string() } } } },
});

export function registerSystem(app: App, deps: AppDeps): void {
  app.openapi(healthz, (c) => c.json({ status: "ok" }));
  app.openapi(readyz, async (c) => {
    const ready = await deps.ready();
    return c.json(ready, ready.ok ? 200 : 503);
  });
  const { exposeMetrics } = deps;
  if (!exposeMetrics) return;
  const scrape = async () => new Response(await exposeMetrics.expose(), { headers: { "content-type": exposeMetrics.contentType } });
  if (exposeMetrics.public) app.get("/metrics", scrape);
  else app.openapi(metrics, scrape);
}
