import { z } from "@hono/zod-openapi";
import { Reference } from "../../contract/common.ts";
import { subtreeOf, visibleDepartment, visibleDepartments } from "../../store/departments.ts";
import type { App, AppDeps } from "../deps.ts";
import { eventStream } from "../event-stream.ts";
import { defineRoute, subtreeReaders } from "../route.ts";

const stream = defineRoute({
  method: "get", path: "/api/v1/events", tags: ["events"], summary: "What happens, as server-sent events; Last-Event-ID resumes", access: subtreeReaders,
  request: { query: z.object({ department: Reference.optional() }) },
  responses: { 200: { description: "Each event's data is an Event", content: { "text/event-stream": { schema: z.string() } } } },
});

export function registerEvents(app: App, deps: AppDeps): void {
  app.openapi(stream, async (c) => {
    const { department } = c.req.valid("query");
    const viewer = c.get("principal");
    const departmentIds = department === undefined ? await visibleDepartments(deps.db, viewer) : await subtreeOf(deps.db, (await visibleDepartment(deps.db, viewer, department)).id);
    return eventStream(c, deps, { departmentIds, start: "next" });
  });
}
