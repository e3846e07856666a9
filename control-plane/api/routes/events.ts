import { z } from "@hono/zod-openapi";
import { Id, Reference } from "../../contract/common.ts";
import { subtreeOf, visibleDepartment, visibleDepartments } from "../../store/departments.ts";
import type { App, AppDeps } from "../deps.ts";
import { eventStream } from "../event-stream.ts";
import { defineRoute } from "../route.ts";
import { visibleRequest } from "./requests.ts";

const stream = defineRoute({
  method: "get",
  path: "/api/v1/events",
  tags: ["events"],
  summary: "What happens, as server-sent events; Last-Event-ID resumes",
  request: { query: z.object({ department: Reference.optional() }) },
  responses: { 200: { description: "Each event's data is an Event", content: { "text/event-stream": { schema: z.string() } } } },
});

const ofRequest = defineRoute({
  method: "get",
  path: "/api/v1/requests/{id}/events",
  tags: ["events"],
  summary: "What has happened to a request and what happens, from its first event",
  request: { params: z.object({ id: Id }) },
  responses: { 200: { description: "Each event's data is an Event", content: { "text/event-stream": { schema: z.string() } } } },
});

export function registerEvents(app: App, deps: AppDeps): void {
  app.openapi(stream, async (c) => {
    const { department } = c.req.valid("query");
    const viewer = c.get("principal");
    const departmentIds =
      department === undefined
        ? await visibleDepartments(deps.db, viewer)
        : await subtreeOf(deps.db, (await visibleDepartment(deps.db, viewer, department)).id);
    return eventStream(c, deps, { departmentIds, start: "next" });
  });
  app.openapi(ofRequest, async (c) => {
    const { id } = c.req.valid("param");
    await visibleRequest(deps.db, c, id);
    return eventStream(c, deps, { requestId: id, start: "first" });
  });
}
