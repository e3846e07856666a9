import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemAct } from "../../../control-plane/store/act.ts";
import { createDepartment } from "../../../control-plane/store/departments.ts";
import { appendEvent, notifyEvents } from "../../../control-plane/store/events.ts";
import { openApp, type TestApp } from "../../setup/app.ts";
import { engines } from "../../setup/databases.ts";

describe.each(engines)("live events, on %s", (engine) => {
  let api: TestApp;
  let ours: string;
  let others: string;
  beforeAll(async () => {
    api = await openApp(engine);
    const act = systemAct(new Date());
    const department = (code: string) =>
      api.database.db.transaction().execute((tx) => createDepartment(tx, act, { parentId: null, code, nameZh: code, nameEn: code, level: "city", line: null }));
    ours = (await department("ours")).id;
    others = (await department("others")).id;
  });
  afterAll(() => api?.close());

  const happen = async (departmentId: string, type: string) => {
    await api.database.db
      .transaction()
      .execute((tx) => appendEvent(tx, { at: new Date(), departmentId, requestId: null, type, subjectId: null, data: { type } }));
    notifyEvents();
  };

  /** Reads events one after the other, as EventSource would. */
  async function listen(secret: string, headers: Record<string, string> = {}) {
    const response = await api.app.request("/api/v1/events", { headers: { authorization: `Bearer ${secret}`, ...headers } });
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    return {
      async next(): Promise<{ id: string; event: string; data: { type: string } }> {
        while (!text.includes("\n\n")) text += (await reader.read()).value ?? "";
        const end = text.indexOf("\n\n");
        const fields = Object.fromEntries(
          text
            .slice(0, end)
            .split("\n")
            .map((line) => [line.slice(0, line.indexOf(": ")), line.slice(line.indexOf(": ") + 2)]),
        );
        text = text.slice(end + 2);
        return { id: fields["id"]!, event: fields["event"]!, data: (JSON.parse(fields["data"]!) as { data: { type: string } }).data };
      },
      close: () => reader.cancel(),
    };
  }

  it("tells what happens to those who may know, and resumes after the last one that was seen", async () => {
    const viewer = await api.token("applicant", ours);
    await happen(ours, "before");
    const live = await listen(viewer);
    await happen(others, "hidden");
    await happen(ours, "one");
    await happen(ours, "two");
    const one = await live.next();
    expect(one).toMatchObject({ event: "one", data: { type: "one" } });
    expect(await live.next()).toMatchObject({ event: "two" });
    await live.close();
    await happen(ours, "three");
    const again = await listen(viewer, { "last-event-id": one.id });
    expect([(await again.next()).event, (await again.next()).event]).toEqual(["two", "three"]);
    await again.close();
  });

  // PGlite has one connection: two transactions at once are PostgreSQL's alone, and there an earlier id may commit later.
  it.for(engine === "postgres" ? [engine] : [])("on %s does not step over an event whose transaction commits after a later one's", async () => {
    const live = await listen(await api.token("operations"));
    const { promise: mayCommit, resolve: commit } = Promise.withResolvers<void>();
    const { promise: written, resolve: wrote } = Promise.withResolvers<void>();
    const early = api.database.db.transaction().execute(async (tx) => {
      await appendEvent(tx, { at: new Date(), departmentId: ours, requestId: null, type: "early", subjectId: null, data: {} });
      wrote();
      await mayCommit;
    });
    await written;
    await happen(ours, "late");
    expect((await live.next()).event).toBe("late");
    commit();
    await early;
    notifyEvents();
    expect((await live.next()).event).toBe("early");
    await live.close();
  });

  it("refuses a Last-Event-ID that is none", async () => {
    expect((await api.call(await api.token("operations"), "GET", "/api/v1/events", { headers: { "last-event-id": "x" } })).body).toMatchObject({
      status: 400,
      code: "malformed",
    });
  });
});
