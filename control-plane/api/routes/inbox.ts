import { InboxItem, InboxQuery } from "../../contract/approvals.ts";
import { pageOf } from "../../contract/common.ts";
import type { WorkingCalendar } from "../../domain/working-days.ts";
import { workingCalendar } from "../../store/calendars.ts";
import { done, type InboxRow, todo } from "../../store/inbox.ts";
import { shownStep, timeLeft } from "../approvals.ts";
import type { App, AppDeps } from "../deps.ts";
import { defineRoute, jsonAnswer } from "../route.ts";

const list = defineRoute({
  method: "get",
  path: "/api/v1/inbox",
  tags: ["approvals"],
  summary: "What the caller is asked to decide (待办), the most urgent first; or has decided (已办), the newest first",
  request: { query: InboxQuery },
  responses: { 200: jsonAnswer(pageOf(InboxItem)) },
});

function shown(row: InboxRow, calendar: WorkingCalendar, now: Date): InboxItem {
  return {
    step: shownStep(row.step, calendar),
    request: {
      id: row.request.id,
      number: row.request.number,
      title: row.request.title,
      state: row.request.state,
      department: row.request.department_id,
      departmentNameZh: row.departmentNameZh,
      departmentNameEn: row.departmentNameEn,
      planHash: row.request.plan_hash,
      revision: row.request.revision,
    },
    ...timeLeft(row.step, calendar, now),
    onBehalfOf: row.for,
  };
}

export function registerInbox(app: App, deps: AppDeps): void {
  app.openapi(list, async (c) => {
    const { state, ...ask } = c.req.valid("query");
    const principal = c.get("principal");
    const now = deps.now();
    const { items, next } = state === "todo" ? await todo(deps.db, principal, now, ask) : await done(deps.db, principal, ask);
    const calendar = await workingCalendar(deps.db);
    return c.json({ items: items.map((row) => shown(row, calendar, now)), next });
  });
}
