import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { NewRequest } from "../../../control-plane/contract/requests.ts";
import { NoticeKind, noticeText } from "../../../control-plane/contract/notices.ts";
import type { Role } from "../../../control-plane/contract/roles.ts";
import { createAccount } from "../../../control-plane/store/accounts.ts";
import { createRequest } from "../../../control-plane/store/acceptance.ts";
import { setPolicy } from "../../../control-plane/store/approval-policies.ts";
import { answer, approve, reject, returnWithQuestion } from "../../../control-plane/store/approving.ts";
import type { OpenDatabase } from "../../../control-plane/store/database.ts";
import { delegate } from "../../../control-plane/store/delegations.ts";
import { buryOld, redeliver, takeDue } from "../../../control-plane/store/deliveries.ts";
import { signIn } from "../../../control-plane/store/sign-in.ts";
import { setMailSettings } from "../../../control-plane/store/mail-settings.ts";
import { countUnread, listNotices, markRead, notify } from "../../../control-plane/store/notices.ts";
import { recordPlan } from "../../../control-plane/store/planning.ts";
import { remindDeciders } from "../../../control-plane/store/request-notices.ts";
import type { Principal, RequestRow } from "../../../control-plane/store/requests.ts";
import { bind, elevate } from "../../../control-plane/store/role-bindings.ts";
import { makeToken } from "../../../control-plane/store/tokens.ts";
import { changeWebhook, createWebhook, getWebhook, settleAttempt, testWebhook } from "../../../control-plane/store/webhooks.ts";
import { engines, openEmpty } from "../../setup/databases.ts";
import { openBooks, plain, smallCity, volume } from "../../setup/small-city.ts";

describe.each(engines)("notices, on %s", (engine) => {
  let opened: OpenDatabase;
  let books: ReturnType<typeof openBooks>;
  let place: Record<string, string>;
  let count = 0;
  const actOf = (who: { id: string }, now = new Date()) => ({ ...books.act(who.id), now });
  const bound = { kind: "standing" as const, valid_from: new Date(0), valid_until: null, period_from: null, period_to: null, reason: "test" };
  const person = async (role: Role, department: string | null, kind: "standing" | "eligible" = "standing"): Promise<Principal> =>
    books.change(async (tx) => {
      const act = { ...books.act(), now: new Date(0) };
      const { token } = await makeToken(tx, act, { name: `${role} ${count++}`, expiresAt: null });
      await bind(tx, act, { ...bound, kind, subject_id: token.id, role, department_id: department === null ? null : place[department]! });
      return { id: token.id, nodes: department === null ? null : [place[department]!] };
    });
  /** Kinds of the unread notices of somebody, oldest first; they are read by that. */
  const told = async (who: { id: string }, request?: string) => {
    const { items } = await listNotices(opened.db, who.id, { unread: true, limit: 500 });
    if (items[0]) await books.change((tx) => markRead(tx, actOf(who), who.id, { upTo: items[0]!.id }));
    return items
      .filter((one) => request === undefined || one.request_id === request)
      .toReversed()
      .map((one) => one.kind);
  };
  const ask = (who: Principal) =>
    books.change((tx) =>
      createRequest(tx, actOf(who), who, NewRequest.parse({ application: "office-app", project: "p", title: "T", items: [volume(`v${count++}`)] }), plain),
    );
  const plan = ({ id }: { id: string }, now = new Date()) => books.change((tx) => recordPlan(tx, { ...books.act(), now }, id, { steps: [] }));
  const approveAs = (who: Principal, row: RequestRow) =>
    books.change((tx) => approve(tx, actOf(who), who, row.id, { planHash: row.plan_hash!, reason: "fine" }));
  const anything = { kind: "request.active" as const, departmentId: null, requestId: null, subjectId: null, data: { number: "1", title: "T" } };
  const webhook = (kinds: NoticeKind[], department: string | null = null) =>
    books.change((tx) =>
      createWebhook(tx, books.act(), { name: "W", url: "https://example.com/", kinds, departmentId: department === null ? null : place[department]! }, plain),
    );
  const deliveriesOf = (id: string) => opened.db.selectFrom("deliveries").selectAll().where("webhook_id", "=", id).orderBy("id").execute();
  const asks = { limit: 100, leaseMs: 30_000, channels: ["webhook", "mail"] as const };

  beforeAll(async () => {
    opened = await openEmpty(engine);
    books = openBooks(opened.db);
    await books.import(smallCity({ hosts: 1000 }));
    place = Object.fromEntries((await opened.db.selectFrom("departments").select(["code", "id"]).execute()).map((row) => [row.code, row.id]));
  });
  afterAll(() => opened.close());

  it("of a step go to those who may decide it, and of a decision to its author and submitter", async () => {
    const [author, other] = [await person("applicant", "office"), await person("applicant", "office")];
    const [inOffice, above, elsewhere, onlyEligible] = [
      await person("approver", "office"),
      await person("approver", "city"),
      await person("authority", "city"),
      await person("approver", "office", "eligible"),
    ];
    const draft = await ask(author);
    const planned = await plan(draft);
    for (const one of [inOffice, above]) expect(await told(one)).toEqual(["step.opened"]);
    for (const one of [author, other, elsewhere, onlyEligible]) expect(await told(one)).toEqual([]);

    const asked = await books.change((tx) => returnWithQuestion(tx, actOf(inOffice), inOffice, planned.id, { question: "What for?" }));
    expect(asked.state).toBe("needs-information");
    expect(await told(author)).toEqual(["request.returned"]);
    const answered = await books.change((tx) => answer(tx, actOf(other), planned.id, "For that."));
    expect(await told(inOffice)).toEqual(["request.answered"]);

    const half = await approveAs(inOffice, answered);
    expect(await told(elsewhere)).toEqual(["step.opened"]);
    expect(await told(inOffice), "what one did oneself").toEqual([]);
    expect((await approveAs(elsewhere, half)).state).toBe("approved");
    expect([await told(author), await told(other)], "who answered is one of its authors").toEqual([["request.approved"], ["request.approved"]]);

    const next = await plan(await ask(author));
    await books.change((tx) => reject(tx, actOf(above), above, next.id, { reason: "no" }));
    expect(await told(author)).toEqual(["request.rejected"]);
    const { items } = await listNotices(opened.db, author.id, {});
    expect(noticeText(NoticeKind.parse(items[0]!.kind), items[0]!.data as never, "zh-CN")).toBe(`申请 ${next.number}《T》被驳回：no`);
    for (const one of [inOffice, above]) await told(one);
  });

  it("go to who stands in for somebody who is named, and never to an author who could decide", async () => {
    const [boss, deputy] = [await person("approver", "office"), await person("approver", "office")];
    const now = new Date();
    await books.change((tx) => delegate(tx, actOf(boss), { to: deputy.id, begins: now, ends: new Date(now.getTime() + 86_400_000), reason: "leave" }));
    await books.change(async (tx) => {
      await tx
        .insertInto("role_bindings")
        .values({ ...bound, id: `rbd_${count++}`, subject_id: deputy.id, role: "applicant", department_id: place["office"]!, granted_by: "t", granted_at: now })
        .execute();
    });
    await plan(await ask(deputy));
    expect(await told(deputy)).toEqual([]);
    expect(await told(boss)).toEqual(["step.opened"]);
  });

  it("say once of each due time that it comes near", async () => {
    const approver = await person("approver", "office");
    const row = await plan(await ask(await person("applicant", "office")), new Date("2026-11-23T02:00:00Z"));
    await told(approver);
    const remindAt = (at: string) => books.change((tx) => remindDeciders(tx, { ...books.act(), now: new Date(at) }));
    const due = (
      await opened.db.selectFrom("approval_steps").select("due_at").where("request_id", "=", row.id).where("state", "=", "open").executeTakeFirstOrThrow()
    ).due_at!;
    expect(due.toISOString()).toBe("2026-11-26T15:59:59.999Z");
    await remindAt("2026-11-23T03:00:00Z");
    expect(await told(approver, row.id), "three days before").toEqual([]);
    await Promise.all([remindAt("2026-11-25T23:00:00Z"), remindAt("2026-11-25T23:00:00Z")]);
    await remindAt("2026-11-26T01:00:00Z");
    expect(await told(approver, row.id)).toEqual(["step.due-soon"]);
    await opened.db
      .updateTable("approval_steps")
      .set({ due_at: new Date("2026-11-27T15:59:59.999Z") })
      .where("request_id", "=", row.id)
      .where("state", "=", "open")
      .execute();
    await remindAt("2026-11-27T01:00:00Z");
    expect(await told(approver, row.id), "after an answer has moved it").toEqual(["step.due-soon"]);
  });

  it("of several steps that ask the same people at once come once", async () => {
    const [one, two, named] = [await person("approver", "bureau"), await person("approver", "bureau"), await person("approver", "bureau")];
    const stage = { name: "S", kind: "department-approval" as const, role: "approver" as const, mode: "parallel" as const, days: 3 };
    const stages = [
      { ...stage, approvers: [], needed: 2 },
      { ...stage, approvers: [named.id], needed: null },
    ];
    const set = (to: typeof stages | null) => books.change((tx) => setPolicy(tx, books.act(), place["bureau"]!, { stages: to, note: "" }, () => undefined));
    await set(stages);
    const applicant = await person("applicant", "bureau");
    const body = { application: "bureau-app", project: "p", title: "T", items: [volume(`v${count++}`)] };
    let row = await plan(await books.change((tx) => createRequest(tx, actOf(applicant), applicant, NewRequest.parse(body), plain)));
    for (const who of [one, two, named]) expect(await told(who, row.id)).toEqual(["step.opened"]);
    for (const who of [one, two]) row = await approveAs(who, row);
    expect([await told(two, row.id), await told(named, row.id)], "then who is named alone").toEqual([[], ["step.opened"]]);
    await set(null);
  });

  it("of an elevation go to the audit administrators", async () => {
    const auditor = await person("audit-admin", null);
    const eager = await person("approver", "office", "eligible");
    const { id } = await opened.db.selectFrom("role_bindings").select("id").where("subject_id", "=", eager.id).executeTakeFirstOrThrow();
    await books.change((tx) => elevate(tx, actOf(eager), id, "nobody is there", 30));
    expect(await told(auditor)).toEqual(["role.elevated"]);
  });

  it("of a lock go to the person whose account it is, once", async () => {
    const { id } = await books.change((tx) => createAccount(tx, books.act(), { name: "locked", displayName: "L", kind: "person" }));
    const visitor = { source: "203.0.113.7", agent: "test", correlationId: "c", now: new Date() };
    const attempt = { name: "locked", password: "wrong", code: null, newPassword: null };
    for (let n = 0; n < 7; n++) await expect(signIn(opened.db, { seal: plain, unseal: plain }, attempt, visitor)).rejects.toThrow("wrong");
    expect(await told({ id })).toEqual(["account.locked"]);
  });

  it("are there if and only if what they tell of is, and are one's own", async () => {
    const [one, two] = [await person("applicant", "office"), await person("applicant", "office")];
    const failing = books.change(async (tx) => {
      await notify(tx, books.act(), { ...anything, to: [one.id] });
      throw new Error("undone");
    });
    await expect(failing).rejects.toThrow("undone");
    expect(await countUnread(opened.db, one.id)).toBe(0);
    await books.change((tx) => notify(tx, actOf(two), { ...anything, to: [one.id, one.id, two.id] }));
    expect([await countUnread(opened.db, one.id), await countUnread(opened.db, two.id)]).toEqual([1, 0]);
    const { items } = await listNotices(opened.db, one.id, {});
    expect(await books.change((tx) => markRead(tx, actOf(two), two.id, { ids: [items[0]!.id] })), "another's").toBe(0);
    expect(await books.change((tx) => markRead(tx, actOf(one), one.id, { ids: [items[0]!.id] }))).toBe(1);
    expect(await countUnread(opened.db, one.id)).toBe(0);
  });

  it("are mailed to those who have an address and want the kind", async () => {
    const account = (name: string) => books.change((tx) => createAccount(tx, books.act(), { name: `${name}${count++}`, displayName: name, kind: "person" }));
    const [wants, wantsOther, silent] = [await account("a"), await account("b"), await account("c")];
    const set = (id: string, mailKinds: NoticeKind[]) =>
      books.change((tx) => setMailSettings(tx, books.act(id), id, { email: `${id}@example.com`, language: "en", mailKinds }, () => undefined));
    await set(wants.id, ["request.active"]);
    await set(wantsOther.id, ["request.failed"]);
    await books.change((tx) => notify(tx, books.act(), { ...anything, to: [wants.id, wantsOther.id, silent.id] }));
    const mails = await opened.db.selectFrom("deliveries as d").innerJoin("notices as n", "n.id", "d.notice_id").select("n.person_id").execute();
    expect(mails.map((one) => one.person_id)).toEqual([wants.id]);
  });

  it("go to the webhooks that ask for the kind, at the department or above it", async () => {
    const { webhook: ofCity } = await webhook(["request.active"], "city");
    const { webhook: ofBureau } = await webhook(["request.active", "request.failed"], "bureau");
    const { webhook: ofAll } = await webhook(["request.active"]);
    const { webhook: ofOthers } = await webhook(["request.failed"]);
    await books.change((tx) => notify(tx, books.act(), { ...anything, to: [], departmentId: place["city"]! }));
    const counts = async () => Promise.all([ofCity, ofBureau, ofAll, ofOthers].map(async ({ id }) => (await deliveriesOf(id)).length));
    expect(await counts()).toEqual([1, 0, 1, 0]);
    await books.change((tx) => notify(tx, books.act(), { ...anything, to: [], departmentId: place["office"]! }));
    expect(await counts()).toEqual([2, 1, 2, 0]);
    const [, second] = await deliveriesOf(ofCity.id);
    expect(JSON.parse(second!.body!)).toMatchObject({ specversion: "1.0", type: "request.active", data: { department: place["office"], title: "T" } });
    for (const { id } of [ofCity, ofBureau, ofAll, ofOthers]) await opened.db.deleteFrom("webhooks").where("id", "=", id).execute();
  });

  it("are taken by one of several, again when who took them is gone, and tried less and less often until they are dead", async () => {
    await opened.db.deleteFrom("deliveries").execute();
    const admin = await person("system-admin", null);
    const { webhook: hook } = await webhook(["request.failed"]);
    const now = new Date();
    const { id } = await books.change((tx) => testWebhook(tx, { ...books.act(), now }, hook.id));
    const at = (ms: number) => new Date(now.getTime() + ms);
    const taken = await Promise.all([takeDue(opened.db, at(0), asks), takeDue(opened.db, at(0), asks)]);
    expect(taken.flat().map((one) => one.id)).toEqual([id]);
    expect(await takeDue(opened.db, at(1000), asks), "another is at it").toEqual([]);
    const [again] = await takeDue(opened.db, at(31_000), asks);
    expect(again).toMatchObject({ id, attempts: 2 });
    const failed = { outcome: "failed" as const, status: 500, error: "answered 500" };
    expect(await books.change((tx) => settleAttempt(tx, { ...books.act(), now: at(0) }, taken.flat()[0]!, failed, 0.5)), "has been taken over").toBeUndefined();

    let clock = at(31_000);
    let row = again!;
    const waits: number[] = [];
    for (;;) {
      const after = (await books.change((tx) => settleAttempt(tx, { ...books.act(), now: clock }, row, failed, 0.5)))!;
      if (after.state === "dead") break;
      waits.push(after.due_at.getTime() - clock.getTime());
      expect(await takeDue(opened.db, new Date(after.due_at.getTime() - 1), asks)).toEqual([]);
      clock = after.due_at;
      row = (await takeDue(opened.db, clock, asks))[0]!;
    }
    expect(waits.slice(0, 3)).toEqual([30_000, 90_000, 270_000]);
    const hours = (clock.getTime() - now.getTime()) / 3_600_000;
    expect(hours).toBeGreaterThan(18);
    expect(hours).toBeLessThan(30);
    expect(await getWebhook(opened.db, hook.id)).toMatchObject({ state: "paused", paused_reason: "answered 500" });
    expect(await told(admin)).toEqual(["webhook.paused"]);

    const once = await books.change((tx) => redeliver(tx, { ...books.act(), now: clock }, id));
    expect(once).toMatchObject({ id, state: "waiting", attempts: 0 });
    await expect(books.change((tx) => redeliver(tx, books.act(), id))).rejects.toMatchObject({ code: "conflict" });
    // What comes while it is paused waits; a test goes through.
    await books.change((tx) => notify(tx, { ...books.act(), now: clock }, { ...anything, kind: "request.failed", to: [] }));
    expect((await takeDue(opened.db, clock, asks)).map((one) => one.kind)).toEqual(["webhook.test"]);
    await books.change((tx) => changeWebhook(tx, books.act(), hook.id, { state: "active" }, () => undefined));
    const [waited] = await takeDue(opened.db, clock, asks);
    expect(waited).toMatchObject({ kind: "request.failed" });
    await books.change((tx) => buryOld(tx, new Date(clock.getTime() + 8 * 86_400_000)));
    expect((await deliveriesOf(hook.id)).map((one) => one.state)).toEqual(["dead", "dead"]);
  });
});
