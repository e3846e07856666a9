/** Transfers of applications between departments, as the stores promise them. */
import { sql } from "kysely";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { NewRequest } from "../../../control-plane/contract/requests.ts";
import { Refusal } from "../../../control-plane/domain/refusal.ts";
import { createRequest, submitRequest } from "../../../control-plane/store/acceptance.ts";
import { whatIf } from "../../../control-plane/store/what-if.ts";
import { systemAct } from "../../../control-plane/store/act.ts";
import { approve, reject } from "../../../control-plane/store/approving.ts";
import { finishBackup, requestBackup } from "../../../control-plane/store/backups.ts";
import type { OpenDatabase } from "../../../control-plane/store/database.ts";
import { beginHandOver, failHandOver, handOver, lockEstates, NotYet } from "../../../control-plane/store/handing-over.ts";
import { recordPlan } from "../../../control-plane/store/planning.ts";
import { reconcile } from "../../../control-plane/store/reconciliation.ts";
import { expireReservations, type RequestRow, withdraw } from "../../../control-plane/store/requests.ts";
import { askRevert } from "../../../control-plane/store/snapshot-reverts.ts";
import { finishSnapshot, takeSnapshot } from "../../../control-plane/store/snapshots.ts";
import { transferSteps } from "../../../control-plane/store/transferring.ts";
import { done, todo } from "../../../control-plane/store/inbox.ts";
import { newId } from "../../../control-plane/store/ids.ts";
import { engines, openEmpty } from "../../setup/databases.ts";
import { host, openBooks, plain, smallCity, volume } from "../../setup/small-city.ts";

const refusal = async (work: Promise<unknown>): Promise<Refusal> => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof Refusal) return error;
  throw error ?? new Error("nothing was refused");
};

describe.each(engines)("transfers, on %s", (engine) => {
  let opened: OpenDatabase;
  let books: ReturnType<typeof openBooks>;
  const ids = { city: "", bureau: "", office: "", annex: "" };
  const people = {
    giver: { id: "tok_giver", nodes: null },
    receiver: { id: "tok_receiver", nodes: null },
    authority: { id: "tok_above", nodes: null },
  };

  /** The small city, with an annex beside the office; `room`: how many hosts it may have. */
  const begin = async (options: { room?: number; fundFen?: number } = {}) => {
    const city = smallCity();
    const [department, project] = [city.departments.at(-1)!, city.projects.at(-1)!];
    city.departments.push({ ...department, code: "annex", nameZh: "附属部门", nameEn: "annex" });
    const limits = { ...city.quotas.at(-1)!.limits, hosts: options.room ?? 30 };
    city.quotas.push({ ...city.quotas.at(-1)!, department: "annex", limits });
    const funds = project.funds.map((one) => ({ ...one, amountFen: options.fundFen ?? one.amountFen }));
    city.projects.push({ ...project, department: "annex", code: "annex-plan", funds });
    await books.import(city);
    for (const row of await opened.db.selectFrom("departments").select(["id", "code"]).execute()) ids[row.code as keyof typeof ids] = row.id;
    const now = new Date(0);
    for (const [role, who, department_id] of [
      ["approver", people.giver.id, ids.office],
      ["approver", people.receiver.id, ids.annex],
      ["authority", people.authority.id, ids.city],
    ] as const) {
      await opened.db.insertInto("tokens").values({ id: who, name: who, secret_hash: who, expires_at: null, created_at: now }).execute();
      const held = { subject_id: who, role, department_id, kind: "standing" as const, valid_from: now, valid_until: null };
      const more = { period_from: null, period_to: null, reason: "test", granted_by: "test", granted_at: now };
      await opened.db
        .insertInto("role_bindings")
        .values({ id: `rbd_${who}`, ...held, ...more })
        .execute();
    }
  };
  beforeEach(async () => {
    opened = await openEmpty(engine);
    books = openBooks(opened.db);
  });
  afterEach(() => opened.close());

  const application = (code = "office-app") => opened.db.selectFrom("applications").selectAll().where("code", "=", code).executeTakeFirstOrThrow();
  const read = (id: string) => opened.db.selectFrom("requests").selectAll().where("id", "=", id).executeTakeFirstOrThrow();
  const bodyOf = async (spec: object = {}, more: object = {}) => {
    const item = { action: "transfer", kind: "application", id: (await application()).id, spec: { department: "annex", project: "annex-plan", ...spec } };
    return NewRequest.parse({ application: "office-app", project: "p", title: "Transfer", items: [item], ...more });
  };
  const ask = async (spec: object = {}, more: object = {}) => {
    const body = await bodyOf(spec, more);
    return books.change((tx) => createRequest(tx, books.act("tok_applicant"), books.applicant, body, plain));
  };
  const plan = async (row: Pick<RequestRow, "id">) => {
    const steps = (await transferSteps(opened.db, row.id))!;
    return books.change((tx) => recordPlan(tx, books.act(), row.id, { steps }));
  };
  const approveAs = (who: (typeof people)["giver"], row: RequestRow) =>
    books.change((tx) => approve(tx, books.act(who.id), who, row.id, { planHash: row.plan_hash!, reason: "" }));
  const decide = async (row: Pick<RequestRow, "id">) => {
    let now = await plan(row);
    for (const who of [people.giver, people.receiver, people.authority]) now = await approveAs(who, now);
    return now;
  };
  const doIt = async (id: string) => {
    await books.change((tx) => beginHandOver(tx, books.act(), id));
    const row = await read(id);
    return books.change(async (tx) => {
      await lockEstates(tx, [row.department_id, row.to_department_id!]);
      return handOver(tx, books.act(), id);
    });
  };
  const held = async () => {
    const rows = await opened.db.selectFrom("quota_accounts").selectAll().where("dimension", "=", "hosts").where("level", "=", 0).execute();
    return Object.fromEntries(
      Object.entries(ids).map(([code, id]) => [
        code,
        [rows.find((one) => one.department_id === id)!.reserved, rows.find((one) => one.department_id === id)!.used],
      ]),
    );
  };
  const fund = async (department: string) => {
    const { rows } = await sql<{ reserved: number; committed: number; spent: number }>`
      select coalesce(sum(f.reserved_fen), 0)::bigint as reserved, coalesce(sum(f.committed_fen), 0)::bigint as committed, coalesce(sum(f.spent_fen), 0)::bigint as spent
      from project_funds f join projects p on p.id = f.project_id where p.department_id = ${department}`.execute(opened.db);
    return rows[0]!;
  };
  const sound = async () => expect((await reconcile(opened.db, systemAct(new Date()))).findings).toEqual([]);
  const fill = async () => {
    await books.decide(
      await books.ask("office", [
        host("web"),
        host("db"),
        volume("data", 20),
        { action: "create", kind: "attachment", spec: { host: "db", volume: "data" } },
        { action: "create", kind: "backup-policy", spec: { name: "nightly", volume: "data" } },
      ]),
    );
    await books.apply(ids.office);
    await books.observe();
  };
  const backedUp = async () => {
    const { id } = await opened.db.selectFrom("resources").select("id").where("name", "=", "data").executeTakeFirstOrThrow();
    const row = await books.change((tx) => requestBackup(tx, books.act(), id));
    await books.change((tx) => finishBackup(tx, books.act(), row.id, { sizeBytes: 1, sha256: "a".repeat(64) }));
    return row.id;
  };
  /** A complete snapshot, with a revert to it that waits for a second person. */
  const snapshotOf = async () => {
    const volume = await opened.db.selectFrom("resources").select("id").where("name", "=", "data").executeTakeFirstOrThrow();
    const ask = { volume: volume.id, name: "before", note: "", expiresAt: null };
    const row = await books.change((tx) => takeSnapshot(tx, books.act(), { nodes: null }, ask));
    await books.change((tx) => finishSnapshot(tx, books.act(), row.id, { takenAt: new Date(), sizeBytes: null }));
    await books.change((tx) => askRevert(tx, books.act(), { nodes: null }, { snapshot: row.id, volumeName: "data", reason: "R" }));
    return row;
  };

  it("passes an application with all that it has, at one moment: nothing counted twice or skipped, and nothing changed above both", async () => {
    await begin();
    await fill();
    const backup = await backedUp();
    const snapshot = await snapshotOf();
    const [before, gave] = [await held(), await fund(ids.office)];
    expect(before).toMatchObject({ office: [0, 2], annex: [0, 0], bureau: [0, 2], city: [0, 2] });
    const asked = await ask();
    expect(asked).toMatchObject({ state: "submitted", department_id: ids.office, to_department_id: ids.annex });
    expect(await held()).toMatchObject({ office: [0, 2], annex: [2, 0], bureau: [0, 2], city: [0, 2] });
    const reserved = (await fund(ids.annex)).reserved;
    expect(reserved).toBeGreaterThan(gave.committed * 0.99);
    await sound();
    const approved = await decide(asked);
    expect(approved.state).toBe("approved");
    await sound();
    expect(await doIt(asked.id)).toBe(true);
    expect(await doIt(asked.id), "once").toBe(false);
    expect((await read(asked.id)).state).toBe("active");
    expect(await held()).toEqual({ office: [0, 0], annex: [0, 2], bureau: [0, 2], city: [0, 2] });
    await sound();

    const [left, received] = [await fund(ids.office), await fund(ids.annex)];
    expect(left).toMatchObject({ reserved: 0, committed: 0 });
    expect(received).toMatchObject({ reserved: 0, spent: 0 });
    // What ran until now is the giver's to pay, the rest the receiver's: together what it was.
    expect(Math.abs(left.spent + received.committed - gave.committed)).toBeLessThan(20);

    const app = await application();
    const project = await opened.db.selectFrom("projects").select("id").where("code", "=", "annex-plan").executeTakeFirstOrThrow();
    expect(app).toMatchObject({ department_id: ids.annex, project_id: project.id });
    const resources = await opened.db.selectFrom("resources").selectAll().execute();
    expect(resources).toHaveLength(5);
    for (const one of resources) expect(one).toMatchObject({ department_id: ids.annex, project_id: project.id, phase: "live", request_id: asked.id });
    expect(await opened.db.selectFrom("backups").select("department_id").where("id", "=", backup).executeTakeFirstOrThrow()).toEqual({
      department_id: ids.annex,
    });

    expect(await opened.db.selectFrom("snapshots").select("department_id").where("id", "=", snapshot.id).executeTakeFirstOrThrow()).toEqual({
      department_id: ids.annex,
    });
    expect(
      await opened.db.selectFrom("snapshot_reverts").select(["department_id", "state"]).executeTakeFirstOrThrow(),
      "the giver's people asked for it",
    ).toEqual({ department_id: ids.annex, state: "lapsed" });

    const { rows: touching } = await sql<{ departments: string[]; same: boolean }>`
      select array_agg(department_id order by from_at, to_at nulls last) as departments, bool_and(coalesce(next = to_at, to_at is null)) as same from (
        select *, lead(from_at) over (partition by resource_id, meter order by from_at, to_at nulls last) as next from allocations) a group by resource_id, meter`.execute(
      opened.db,
    );
    expect(touching.length).toBeGreaterThan(5);
    for (const one of touching) expect(one).toEqual({ departments: [ids.office, ids.annex], same: true });
    const uptime = await opened.db.selectFrom("uptime_intervals").selectAll().orderBy("from_at").execute();
    expect(uptime.filter((one) => one.to_at === null).map((one) => [one.department_id, one.state])).toEqual([
      [ids.annex, "up"],
      [ids.annex, "up"],
    ]);
    expect(uptime).toHaveLength(4);
    const audit = await opened.db.selectFrom("audit_entries").select(["action", "department_id"]).where("subject_id", "=", app.id).execute();
    expect(audit.filter((one) => one.action !== "application.create")).toEqual([
      { action: "application.give", department_id: ids.office },
      { action: "application.receive", department_id: ids.annex },
    ]);
    // Both look at the engine's side anew, and what was begun before may not go on.
    const estates = await opened.db.selectFrom("estates").select(["department_id", "applied_hash"]).execute();
    expect(estates.toSorted((a, b) => (a.department_id < b.department_id ? -1 : 1))).toEqual(
      [ids.office, ids.annex].toSorted().map((department_id) => ({ department_id, applied_hash: null })),
    );
    // The receiver goes on with it like with its own, and may pass it back.
    const web = resources.find((one) => one.name === "web")!.id;
    const more = NewRequest.parse({ application: "office-app", project: "annex-plan", title: "More", items: [{ action: "stop", kind: "host", id: web }] });
    const stop = await books.change((tx) => createRequest(tx, books.act("tok_applicant"), books.applicant, more, plain));
    expect(stop).toMatchObject({ state: "submitted", department_id: ids.annex });
  });

  it("asks both sides and then the authority above both: each their own people, nobody twice, bound to the plan", async () => {
    await begin();
    await fill();
    const row = await plan(await ask());
    const [one] = await opened.db.selectFrom("requests").select("plan").where("id", "=", row.id).execute();
    const shown = one!.plan as { steps: { action: string }[]; transfer: { accounts: object[]; common: string }; charge: object[] };
    expect(shown.steps.map((step) => step.action)).toEqual(Array(5).fill("transfer"));
    expect(shown.transfer.common).toBe(ids.bureau);
    expect(shown.transfer.accounts).toMatchObject([
      { department: ids.office, side: "giving", charge: expect.arrayContaining([{ dimension: "hosts", quantity: -2 }]) },
      { department: ids.annex, side: "receiving", charge: expect.arrayContaining([{ dimension: "hosts", quantity: 2 }]) },
    ]);
    expect(shown.charge).toContainEqual({ dimension: "hosts", quantity: 2 });
    const inbox = async (who: { id: string; nodes: null }) => (await todo(opened.db, who, new Date(), {})).items.map((item) => item.step.name.slice(0, 3));
    expect(await inbox(people.giver)).toEqual(["移出方"]);
    expect(await inbox(people.receiver)).toEqual([]);
    expect(await refusal(approveAs(people.receiver, row))).toMatchObject({ code: "forbidden" });
    expect(await refusal(approveAs({ ...people.giver, id: "tok_applicant" }, row))).toMatchObject({ code: "self-approval" });
    expect(
      await refusal(books.change((tx) => approve(tx, books.act(people.giver.id), people.giver, row.id, { planHash: "0".repeat(64), reason: "" }))),
    ).toMatchObject({
      code: "plan-changed",
    });
    const second = await approveAs(people.giver, row);
    expect(second.state).toBe("department-approval");
    expect(await inbox(people.receiver)).toEqual(["接收方"]);
    expect(await refusal(approveAs(people.giver, second))).toMatchObject({ code: "second-decision" });
    expect(await refusal(approveAs(people.authority, second))).toMatchObject({ code: "forbidden" });
    const third = await approveAs(people.receiver, second);
    expect(third.state).toBe("authority-approval");
    expect(await refusal(approveAs(people.receiver, third))).toMatchObject({ code: "second-decision" });
    expect((await approveAs(people.authority, third)).state).toBe("approved");
    expect((await done(opened.db, people.receiver, {})).items).toHaveLength(1);
    // Those who received it are told of it from now on.
    await doIt(row.id);
    const told = await opened.db.selectFrom("notices").select("person_id").where("request_id", "=", row.id).where("kind", "=", "request.active").execute();
    expect(told.map((notice) => notice.person_id)).toContain(people.receiver.id);
  });

  it("gives everything back when one side rejects it, when it is withdrawn, and when nobody decides", async () => {
    await begin();
    await fill();
    const [accounts, money] = [await held(), await fund(ids.annex)];
    const same = async () => {
      expect([await held(), await fund(ids.annex)]).toEqual([accounts, money]);
      await sound();
    };
    const one = await approveAs(people.giver, await plan(await ask()));
    await books.change((tx) => reject(tx, books.act(people.receiver.id), people.receiver, one.id, { planHash: one.plan_hash!, reason: "no" }));
    await same();
    const two = await ask();
    await books.change((tx) => withdraw(tx, books.act(), two.id));
    await same();
    const three = await plan(await ask());
    await books.change((tx) => expireReservations(tx, { ...books.act(), now: new Date(Date.now() + 40 * 86_400_000) }));
    expect((await read(three.id)).state).toBe("withdrawn");
    await same();
    expect((await application()).department_id).toBe(ids.office);
  });

  it("is refused where it can't be", async () => {
    await begin();
    await fill();
    const detail = async (spec: object, more: object = {}) => (await refusal(ask(spec, more))).errors?.[0]?.pointer;
    expect(await detail({ department: "nowhere" })).toBe("/items/0/spec/department");
    expect(await detail({ department: "office" })).toBe("/items/0/spec/department");
    expect(await detail({ project: "nothing" })).toBe("/items/0/spec/project");
    expect(await detail({ project: "p" }), "the giver's own project").toBe("/items/0/spec/project");
    expect(await detail({}, { trialDays: 3 })).toBe("/trialDays");
    const body = await bodyOf();
    const two = { ...body, items: [...body.items, ...body.items] };
    expect((await refusal(books.change((tx) => createRequest(tx, books.act("tok_applicant"), books.applicant, two, plain)))).errors?.[0]?.pointer).toBe(
      "/items",
    );
    await opened.db.updateTable("projects").set({ stage: "closed" }).where("code", "=", "annex-plan").execute();
    expect(await detail({})).toBe("/items/0/spec/project");
    await opened.db.updateTable("projects").set({ stage: "operating" }).where("code", "=", "annex-plan").execute();
    expect(await refusal(ask()), "its operating fund has nothing").toMatchObject({ code: "budget-exceeded", funds: undefined });
    await opened.db.updateTable("projects").set({ stage: "approved" }).where("code", "=", "annex-plan").execute();
    // Something of it is being changed.
    const other = await books.ask("office", [host("third")]);
    expect(await refusal(ask())).toMatchObject({ code: "conflict", detail: expect.stringContaining(other.number) });
    await books.change((tx) => withdraw(tx, books.act(), other.id));
    // While it is under way nothing else is taken in, by whomever; nor a second transfer.
    const draft = await ask({}, { draft: true });
    const asked = await ask();
    expect(await refusal(books.ask("office", [host("third")]))).toMatchObject({ code: "conflict", detail: expect.stringContaining(asked.number) });
    expect(await refusal(ask())).toMatchObject({ code: "conflict" });
    expect(await refusal(books.change((tx) => submitRequest(tx, books.act(), draft.id, plain, plain)))).toMatchObject({ code: "conflict" });
    const looked = books.change((tx) => whatIf(tx, books.act(), books.applicant, NewRequest.parse({ ...body, items: [host("third")] })));
    expect(await refusal(looked)).toMatchObject({ code: "conflict" });
    // What was written before it passed is its new department's to write.
    await decide(asked);
    await doIt(asked.id);
    expect(await refusal(books.change((tx) => submitRequest(tx, books.act(), draft.id, plain, plain)))).toMatchObject({
      code: "conflict",
      detail: expect.stringContaining("another department"),
    });
    await sound();
  });

  it("is refused where the receiver's quota or a code stands in the way, and the what-if says so before", async () => {
    await begin({ room: 1 });
    await fill();
    const look = async () => {
      const body = await bodyOf();
      return books.change((tx) => whatIf(tx, books.act(), books.applicant, body));
    };
    const quota = await look();
    expect(quota.refusals.map((one) => [one.code, one.limits])).toEqual([["quota-exceeded", undefined]]);
    expect(quota.transfer).toMatchObject({ to: { department: ids.annex } });
    expect(
      quota.steps.every((step) => step.account.department_id === ids.annex),
      "above both nothing changes",
    ).toBe(true);
    expect(quota.cost!.amountFen).toBeGreaterThan(0);
    expect(await refusal(ask())).toMatchObject({ code: "quota-exceeded", limits: undefined });
    await sql`update quota_accounts set limit_value = 2 where department_id = ${ids.annex} and dimension = 'hosts'`.execute(opened.db);
    // The city and the bureau are full: that doesn't matter.
    await sql`update quota_accounts set limit_value = 1 where department_id in (${ids.city}, ${ids.bureau}) and dimension = 'hosts'`.execute(opened.db);
    expect((await look()).refusals).toEqual([]);
    const { id, ...mine } = await application();
    const other = newId("app", new Date());
    await opened.db
      .insertInto("applications")
      .values({
        ...mine,
        id: other,
        department_id: ids.annex,
        project_id: (await opened.db.selectFrom("projects").select("id").where("code", "=", "annex-plan").executeTakeFirstOrThrow()).id,
      })
      .execute();
    const body = { ...(await bodyOf()), application: id };
    expect(await refusal(books.change((tx) => createRequest(tx, books.act("tok_applicant"), books.applicant, body, plain)))).toMatchObject({
      code: "conflict",
      detail: expect.stringContaining("code"),
    });
    await opened.db.deleteFrom("applications").where("id", "=", other).execute();
    // A pool of the giver's own is not the receiver's to lie in.
    await opened.db.updateTable("pools").set({ dedicated_department: ids.office }).where("code", "=", "storage").execute();
    expect((await look()).refusals.map((one) => one.detail)).toEqual([expect.stringContaining("storage is dedicated to others")]);
    await opened.db.updateTable("pools").set({ dedicated_department: ids.bureau }).where("code", "=", "storage").execute();
    await decide(await ask());
    await sound();
  });

  it.each([["bureau"], ["city"]])("passes up to the %s, which held it already in its sums, and down again", async (up) => {
    await begin();
    await fill();
    const above = ids[up as "city" | "bureau"];
    const before = await held();
    const row = await ask({ department: up, project: "p" });
    expect(await held(), "nothing is new there").toEqual(before);
    let now = await plan(row);
    await opened.db
      .insertInto("role_bindings")
      .values({
        id: "rbd_up",
        subject_id: people.receiver.id,
        role: "approver",
        department_id: above,
        kind: "standing",
        valid_from: new Date(0),
        valid_until: null,
        period_from: null,
        period_to: null,
        reason: "t",
        granted_by: "t",
        granted_at: new Date(0),
      })
      .execute();
    for (const who of [people.giver, people.receiver, people.authority]) now = await approveAs(who, now);
    await doIt(row.id);
    expect(await held()).toEqual({ ...before, office: [0, 0], ...(up === "city" ? { bureau: [0, 0] } : {}) });
    await sound();
  });

  it("waits for a backup or a snapshot that is under way, and fails whole where the fund is gone by now", async () => {
    await begin();
    await fill();
    const row = await decide(await ask());
    const { id } = await opened.db.selectFrom("resources").select("id").where("name", "=", "data").executeTakeFirstOrThrow();
    const backup = await books.change((tx) => requestBackup(tx, books.act(), id));
    await expect(doIt(row.id)).rejects.toThrow(NotYet);
    await books.change((tx) => finishBackup(tx, books.act(), backup.id, { error: "no" }));
    const taken = { volume: id, name: "s", note: "", expiresAt: null };
    const snapshot = await books.change((tx) => takeSnapshot(tx, books.act(), { nodes: null }, taken));
    await expect(doIt(row.id)).rejects.toThrow(NotYet);
    await books.change((tx) => finishSnapshot(tx, books.act(), snapshot.id, { error: "no" }));
    const [accounts, gave] = [await held(), await fund(ids.office)];
    await sql`update project_funds set amount_fen = 1 where project_id = ${row.to_project_id}`.execute(opened.db);
    const no = await refusal(doIt(row.id));
    expect(no.code).toBe("budget-exceeded");
    await books.change((tx) => failHandOver(tx, books.act(), row.id, no));
    expect(await read(row.id)).toMatchObject({ state: "failed", error: { code: "budget-exceeded" } });
    expect(await held()).toEqual({ ...accounts, annex: [0, 0] });
    expect(await fund(ids.office)).toEqual(gave);
    expect(await fund(ids.annex)).toEqual({ reserved: 0, committed: 0, spent: 0 });
    expect((await application()).department_id).toBe(ids.office);
    await sound();
  });

  it("of transfers and changes that race, takes in one at a time", async () => {
    await begin();
    await fill();
    const { id } = await opened.db.selectFrom("resources").select("id").where("name", "=", "web").executeTakeFirstOrThrow();
    for (let round = 0; round < 5; round++) {
      const outcomes = await Promise.allSettled([
        ask(),
        books.ask("office", [{ action: "resize", kind: "host", id, spec: { flavour: "large" } }]),
        ask({ department: "bureau", project: "p" }),
        books.ask("office", [host(`more-${round}`)]),
        ask(),
      ]);
      const taken = outcomes.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
      for (const one of outcomes) if (one.status === "rejected") expect(one.reason).toBeInstanceOf(Refusal);
      expect(taken.length).toBeGreaterThan(0);
      if (taken.some((one) => one.to_department_id !== null)) expect(taken).toHaveLength(1);
      await sound();
      for (const one of taken) await books.change((tx) => withdraw(tx, books.act(), one.id));
    }
    await sound();
  });
});
