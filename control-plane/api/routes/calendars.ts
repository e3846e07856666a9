import { Calendar, CalendarChange, CalendarPath, NewCalendar } from "../../contract/approvals.ts";
import { PageQuery, pageOf } from "../../contract/common.ts";
import { type CalendarRow, changeCalendar, createCalendar, getCalendar, listCalendars } from "../../store/calendars.ts";
import type { App, AppDeps } from "../deps.ts";
import { etag, requireMatch } from "../middleware/etag.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { defineRoute, jsonAnswer, jsonBody } from "../route.ts";

const path = "/api/v1/calendars";
const tags = ["approvals"];
const list = defineRoute({
  method: "get",
  path,
  tags,
  summary: "Calendars of working days (工作日), one a year",
  request: { query: PageQuery },
  responses: { 200: jsonAnswer(pageOf(Calendar)) },
});
const get = defineRoute({
  method: "get",
  path: `${path}/{year}`,
  tags,
  summary: "One year's",
  request: { params: CalendarPath },
  responses: { 200: jsonAnswer(Calendar) },
});
const create = defineRoute({
  method: "post",
  path,
  tags,
  summary: "Import a year's holidays and made-up working days; deadlines that are open move with them",
  request: { body: jsonBody(NewCalendar) },
  responses: { 201: jsonAnswer(Calendar, "Made") },
});
const put = defineRoute({
  method: "put",
  path: `${path}/{year}`,
  tags,
  summary: "Change a year's; deadlines that are open move with it",
  request: { params: CalendarPath, body: jsonBody(CalendarChange) },
  responses: { 200: jsonAnswer(Calendar) },
});

const show = (row: CalendarRow): Calendar => ({
  year: row.year,
  source: row.source,
  holidays: row.holidays,
  workingDays: row.working_days,
  revision: row.revision,
  updatedAt: row.updated_at.toISOString(),
});

export function registerCalendars(app: App, deps: AppDeps): void {
  app.openapi(list, async (c) => {
    const { items, next } = await listCalendars(deps.db, c.req.valid("query"));
    return c.json({ items: items.map(show), next });
  });
  app.openapi(get, async (c) => {
    const row = await getCalendar(deps.db, c.req.valid("param").year);
    return c.json(show(row), 200, { etag: etag(row.revision) });
  });
  app.openapi(create, (c) =>
    idempotent(c, deps, async (tx) => {
      const row = await createCalendar(tx, c.get("act"), c.req.valid("json"));
      return { status: 201, body: show(row), headers: { etag: etag(row.revision), location: `${path}/${row.year}` } };
    }),
  );
  app.openapi(put, async (c) => {
    const ask = { ...c.req.valid("json"), year: c.req.valid("param").year };
    const row = await deps.db.transaction().execute((tx) => changeCalendar(tx, c.get("act"), ask, (revision) => requireMatch(c, revision)));
    return c.json(show(row), 200, { etag: etag(row.revision) });
  });
}
