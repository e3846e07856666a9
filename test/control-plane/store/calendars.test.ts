import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Role } from "../../../control-plane/contract/roles.ts";
import { shownStep, timeLeft } from "../../../control-plane/api/approvals.ts";
import { stepsOfRequests } from "../../../control-plane/store/approval-steps.ts";
import { createCalendar, tellMissing, workingCalendar } from "../../../control-plane/store/calendars.ts";
import type { OpenDatabase } from "../../../control-plane/store/database.ts";
import { newId } from "../../../control-plane/store/ids.ts";
import { listNotices } from "../../../control-plane/store/notices.ts";
import { bind } from "../../../control-plane/store/role-bindings.ts";
import { makeToken } from "../../../control-plane/store/tokens.ts";
import { engines, openEmpty } from "../../setup/databases.ts";
import { openBooks, volume } from "../../setup/small-city.ts";

/** Days of the test's own: the State Council's notice of 2027 has not been read. */
const own = { year: 2027, source: "a test's own", holidays: ["2027-01-01", "2027-01-04"], workingDays: ["2027-01-09"] };

describe.each(engines)("calendars, on %s", (engine) => {
  let opened: OpenDatabase;
  let books: ReturnType<typeof openBooks>;
  let clock = new Date();
  beforeEach(async () => {
    opened = await openEmpty(engine);
    clock = new Date("2026-12-30T02:00:00Z");
    books = openBooks(opened.db, () => clock);
    await books.import();
  });
  afterEach(() => opened.close());

  const openStep = async (id: string) => (await stepsOfRequests(opened.db, [id])).find((step) => step.state === "open")!;
  const shown = async (id: string) => shownStep(await openStep(id), await workingCalendar(opened.db));
  const importOwn = () => books.change((tx) => createCalendar(tx, books.act(), own));

  it("make deadlines that reach into a year without one provisional, until it is imported: then they are counted anew", async () => {
    const row = await books.plan(await books.ask("office", [volume("v")]));
    // Wednesday the 30th, three working days: Thursday, Friday and Monday of the plain week.
    expect(await shown(row.id)).toMatchObject({ dueAt: "2027-01-04T15:59:59.999Z", provisional: true });
    expect(timeLeft(await openStep(row.id), await workingCalendar(opened.db), clock)).toMatchObject({ workingDaysLeft: 3, provisional: true });
    await importOwn();
    expect(await shown(row.id)).toMatchObject({ dueAt: "2027-01-06T15:59:59.999Z", provisional: false });
    const [audit] = await opened.db.selectFrom("audit_entries").select("after").where("action", "=", "calendar.set").execute();
    expect(audit!.after).toMatchObject({ deadlinesMoved: 1 });
    clock = new Date("2026-06-01T02:00:00Z");
    const early = await books.plan(await books.ask("office", [volume("w")]));
    expect((await shown(early.id)).provisional).toBe(false);
  });

  it("move the time for answers to supervision, of cards that wait for one", async () => {
    const row = await books.plan(await books.ask("office", [volume("v")]));
    const rule = await opened.db.selectFrom("supervision_rules").selectAll().orderBy("id").executeTakeFirstOrThrow();
    const issued = new Date("2026-12-31T02:00:00Z");
    const due = new Date("2027-01-01T15:59:59.999Z");
    const card = (state: "open" | "closed") => ({
      id: newId("scd", clock),
      rule_id: rule.id,
      rule_version: rule.version,
      key: `test ${state}`,
      kind: rule.kind,
      stage: null,
      colour: "yellow" as const,
      state: state === "open" ? ("open" as const) : ("accepted" as const),
      department_id: row.department_id,
      request_id: row.id,
      detail: "late",
      requests: JSON.stringify([row.id]),
      limit_at: issued,
      happened_at: issued,
      issued_at: issued,
      answer_due_at: due,
      previous_id: null,
    });
    const [open, closed] = [card("open"), card("closed")];
    await opened.db.insertInto("supervision_cards").values([open, closed]).execute();
    await opened.db.updateTable("supervision_rule_versions").set({ answer_days: 2 }).where("rule_id", "=", rule.id).execute();
    await importOwn();
    const dueOf = async (id: string) =>
      (await opened.db.selectFrom("supervision_cards").select("answer_due_at").where("id", "=", id).executeTakeFirstOrThrow()).answer_due_at.toISOString();
    expect(await dueOf(open.id)).toBe("2027-01-06T15:59:59.999Z");
    expect(await dueOf(closed.id)).toBe(due.toISOString());
  });

  it("that are missing are told of from the first of December, once and every week again, to who imports and who supervises", async () => {
    const person = (role: Role) =>
      books.change(async (tx) => {
        const act = { ...books.act(), now: new Date(0) };
        const { token } = await makeToken(tx, act, { name: role, expiresAt: null });
        const bound = { kind: "standing" as const, valid_from: new Date(0), valid_until: null, period_from: null, period_to: null, reason: "test" };
        await bind(tx, act, { ...bound, subject_id: token.id, role, department_id: null });
        return token.id;
      });
    const [admin, supervisor, approver] = [await person("system-admin"), await person("supervision"), await person("approver")];
    const tick = async (at: string) => {
      clock = new Date(at);
      return books.change((tx) => tellMissing(tx, books.act()));
    };
    const told = async (who: string) => (await listNotices(opened.db, who, { limit: 500 })).items.filter((one) => one.kind === "calendar.missing");
    expect(await tick("2026-11-30T15:00:00Z")).toEqual([]);
    expect(await tick("2026-11-30T17:00:00Z"), "it is December in Beijing").toEqual([2027]);
    expect(await tick("2026-12-02T17:00:00Z")).toEqual([]);
    expect(await tick("2026-12-08T17:00:00Z")).toEqual([2027]);
    expect((await told(admin)).map((one) => one.data)).toEqual([{ years: "2027" }, { years: "2027" }]);
    expect(await told(supervisor)).toHaveLength(2);
    expect(await told(approver)).toEqual([]);
    await importOwn();
    expect(await tick("2026-12-20T17:00:00Z")).toEqual([]);
    expect(await tick("2027-12-01T00:00:00Z")).toEqual([2028]);
    expect(await tick("2028-01-01T00:00:00Z"), "it is the same year that is missing").toEqual([2028]);
  });

  it("that two control planes look at in one moment are told of once", async () => {
    clock = new Date("2026-12-03T00:00:00Z");
    const both = await Promise.all([0, 1].map(() => books.change((tx) => tellMissing(tx, books.act()))));
    expect(both.toSorted((a, b) => a.length - b.length)).toEqual([[], [2027]]);
  });
});
