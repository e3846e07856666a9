import pino from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { setPolicy } from "../../../control-plane/store/approval-policies.ts";
import type { JobContext } from "../../../control-plane/jobs/context.ts";
import { keepTerms } from "../../../control-plane/jobs/terms.ts";
import type { OpenDatabase } from "../../../control-plane/store/database.ts";
import { reject } from "../../../control-plane/store/approving.ts";
import { finishBackup, requestBackup } from "../../../control-plane/store/backups.ts";
import { reconcile } from "../../../control-plane/store/reconciliation.ts";
import { systemAct } from "../../../control-plane/store/act.ts";
import { type RequestRow, withdraw } from "../../../control-plane/store/requests.ts";
import { setTermPolicy } from "../../../control-plane/store/term-policy.ts";
import { acceptTrial, refuseTrial } from "../../../control-plane/store/trials.ts";
import { engines, openEmpty } from "../../setup/databases.ts";
import { openBooks, plain } from "../../setup/small-city.ts";

const day = 86_400_000;
const host = (name: string, expiresAt?: Date) => ({
  action: "create",
  kind: "host",
  spec: { name, flavour: "standard", image: "zhengyun-base-1", ...(expiresAt ? { expiresAt: expiresAt.toISOString() } : {}) },
});
const volume = (name: string, expiresAt?: Date) => ({
  action: "create",
  kind: "volume",
  spec: { name, sizeGib: 10, ...(expiresAt ? { expiresAt: expiresAt.toISOString() } : {}) },
});

describe.each(engines)("terms, on %s", (engine) => {
  let opened: OpenDatabase;
  let books: ReturnType<typeof openBooks>;
  let clock: Date;
  let context: JobContext;
  const start = new Date();
  /** So many days after the start of the test. */
  const at = (days: number) => new Date(start.getTime() + days * day);
  beforeEach(async () => {
    opened = await openEmpty(engine);
    clock = start;
    books = openBooks(opened.db, () => clock);
    await books.import();
    context = {
      db: opened.db,
      queue: { plan: async () => {}, apply: async () => {} } as unknown as JobContext["queue"],
      log: pino({ level: "silent" }),
      now: () => clock,
      keys: { seal: plain, unseal: plain } as unknown as JobContext["keys"],
    } as JobContext;
  });
  afterEach(() => opened.close());

  const office = async () => (await opened.db.selectFrom("departments").select("id").where("code", "=", "office").executeTakeFirstOrThrow()).id;
  const tick = async (days: number) => {
    clock = at(days);
    // Two control planes look at the same moment.
    await Promise.all([keepTerms(context), keepTerms(context)]);
  };
  const read = (id: string) => opened.db.selectFrom("requests").selectAll().where("id", "=", id).executeTakeFirstOrThrow();
  const stateOf = async (id: string) => (await read(id)).state;
  const resources = (request: string) => opened.db.selectFrom("resources").selectAll().where("request_id", "=", request).orderBy("id").execute();
  /** What the terms asked for about a request, oldest first. */
  const about = (id: string) => opened.db.selectFrom("requests").selectAll().where("about_id", "=", id).orderBy("id").execute();
  const told = (kind: string) => opened.db.selectFrom("notices").selectAll().where("kind", "=", kind).orderBy("id").execute();
  const apply = async () => {
    await books.apply(await office());
    await books.observe();
  };
  const live = async (items: unknown[]): Promise<RequestRow> => {
    const row = await books.decide(await books.ask("office", items));
    await apply();
    expect(await stateOf(row.id)).toBe("active");
    return row;
  };
  const extend = async (ids: readonly string[], until: Date) =>
    books.decide(
      await books.ask(
        "office",
        ids.map((id) => ({ action: "extend", kind: "host", id, spec: { expiresAt: until.toISOString() } })),
      ),
    );
  const used = async () =>
    (
      await opened.db
        .selectFrom("quota_accounts as q")
        .innerJoin("departments as d", "d.id", "q.department_id")
        .select("q.used")
        .where("d.code", "=", "office")
        .where("q.dimension", "=", "hosts")
        .where("q.level", "=", 0)
        .executeTakeFirstOrThrow()
    ).used;
  const sound = async () => expect((await reconcile(opened.db, systemAct(clock))).findings).toEqual([]);

  it("tell the owner thirty days, seven, one and none before the end, each once; an extension of all of it makes it active again", async () => {
    const request = await live([host("a", at(100)), host("b", at(200)), host("for-ever")]);
    await tick(60);
    expect(await stateOf(request.id)).toBe("active");
    await tick(70.5);
    expect(await stateOf(request.id)).toBe("expiring");
    await tick(71);
    expect(await told("request.expiring")).toMatchObject([{ person_id: "tok_applicant", data: { days: 30, number: request.number } }]);
    // A week in which nothing ran: the nearest of what was missed, and only that.
    await tick(99.5);
    await tick(99.6);
    expect((await told("request.expiring")).map((one) => (one.data as { days: number }).days)).toEqual([30, 1]);
    await tick(100);
    expect((await told("request.expiring")).map((one) => (one.data as { days: number }).days)).toEqual([30, 1, 0]);
    const [a] = await resources(request.id);
    await extend([a!.id], at(400));
    expect(await stateOf(request.id), "both terms are far").toBe("active");
    await tick(170.5);
    expect(await stateOf(request.id), "the other one's term comes").toBe("expiring");
    const [, b] = await resources(request.id);
    await extend([b!.id], at(220));
    await tick(170.6);
    expect(await stateOf(request.id), "more than thirty days again").toBe("active");
    expect(await about(request.id), "nothing was stopped").toEqual([]);
  });

  it("give whoever was told late the days of grace all the same", async () => {
    const request = await live([host("a", at(10))]);
    // Nothing ran for a hundred days.
    await tick(110);
    expect(await stateOf(request.id)).toBe("expiring");
    expect(await told("request.expiring")).toHaveLength(1);
    await tick(139);
    expect(await about(request.id)).toEqual([]);
    await tick(141);
    expect(await about(request.id)).toHaveLength(1);
  });

  it("never end for what has none", async () => {
    const request = await live([host("a"), volume("v")]);
    await tick(3000);
    expect(await stateOf(request.id)).toBe("active");
    expect(await about(request.id)).toEqual([]);
  });

  it("stop hosts after the days of grace, and have two people decide on reclaiming them: released once, and the request is reclaimed", async () => {
    const request = await live([host("a", at(10)), host("b", at(10))]);
    await tick(1);
    await tick(39);
    expect(await about(request.id)).toEqual([]);
    await tick(40.1);
    await tick(40.2);
    const [stop, ...others] = await about(request.id);
    expect(others).toEqual([]);
    expect(stop).toMatchObject({ origin: "term-stop", state: "submitted", requested_by: "system" });
    const events = await opened.db.selectFrom("events").select("type").where("request_id", "=", request.id).orderBy("id", "desc").execute();
    expect(events[0]?.type, "on its own timeline").toBe("request.stopping");
    expect(await told("request.stopping")).toMatchObject([{ person_id: "tok_applicant", data: { by: stop!.number } }]);
    await expect(books.change((tx) => withdraw(tx, books.act("tok_applicant"), stop!.id))).rejects.toMatchObject({ code: "conflict" });
    const granted = await books.plan(stop!);
    expect(granted, "by the policy that its owner was told of").toMatchObject({ state: "approved", decided_by: "system" });
    await apply();
    expect(await stateOf(stop!.id)).toBe("active");
    expect((await resources(request.id)).map((one) => [one.phase, (one.applied as { power: string }).power])).toEqual([
      ["live", "stopped"],
      ["live", "stopped"],
    ]);
    expect(await used(), "stopped, not destroyed").toBe(2);
    await tick(46);
    expect(await about(request.id)).toHaveLength(1);
    await tick(47.5);
    await tick(47.6);
    const [, reclaim, ...more] = await about(request.id);
    expect(more).toEqual([]);
    expect(reclaim).toMatchObject({ origin: "term-reclaim", state: "submitted" });
    expect(await told("request.reclaiming")).toHaveLength(1);
    const decided = await books.decide(reclaim!);
    expect(decided).toMatchObject({ state: "approved", decided_by: books.authority.id });
    expect(await stateOf(request.id)).toBe("expiring");
    await apply();
    expect(await stateOf(request.id)).toBe("reclaimed");
    expect((await resources(request.id)).map((one) => one.phase)).toEqual(["gone", "gone"]);
    expect(await used()).toBe(0);
    expect(await told("request.reclaimed")).toMatchObject([{ person_id: "tok_applicant" }]);
    await sound();
    const ends = await opened.db.selectFrom("allocations").select("to_at").execute();
    expect(ends.every((one) => one.to_at !== null)).toBe(true);
    await tick(500);
    expect(await about(request.id)).toHaveLength(2);
  });

  it("have two people decide whatever the policy of approval says, and ask again when the days of grace have passed after a refusal", async () => {
    const request = await live([host("a", at(10))]);
    const one = { name: "one", kind: "department-approval" as const, role: "approver" as const, approvers: [], mode: "serial" as const, needed: null, days: 1 };
    const department = await office();
    await tick(1);
    await books.change((tx) => setPolicy(tx, books.act(), department, { stages: [one], note: "" }, () => undefined));
    await tick(40.1);
    await books.plan((await about(request.id))[0]!);
    await apply();
    await tick(47.5);
    const reclaim = (await about(request.id))[1]!;
    const planned = await books.plan(reclaim);
    const steps = await opened.db.selectFrom("approval_steps").selectAll().where("request_id", "=", reclaim.id).execute();
    expect(steps.map((step) => step.role)).toEqual(["approver", "authority"]);
    await books.change((tx) => reject(tx, books.act(books.approver.id), books.approver, planned.id, { reason: "kept for the auditors" }));
    await tick(60);
    expect(await about(request.id)).toHaveLength(2);
    await tick(80);
    expect((await about(request.id)).map((row) => row.origin)).toEqual(["term-stop", "term-reclaim", "term-reclaim"]);
  });

  it("keep a volume until there is a backup of what it holds, and take attachment and policy along", async () => {
    const request = await live([
      host("a", at(10)),
      volume("v", at(10)),
      { action: "create", kind: "attachment", spec: { host: "a", volume: "v" } },
      { action: "create", kind: "backup-policy", spec: { name: "p", volume: "v" } },
    ]);
    const volumeId = (await resources(request.id)).find((one) => one.kind === "volume")!.id;
    const backUp = async () => {
      const backup = await books.change((tx) => requestBackup(tx, books.act(), volumeId));
      await books.change((tx) => finishBackup(tx, books.act(), backup.id, { sizeBytes: 1, sha256: "0" }));
    };
    await tick(9);
    await backUp();
    await tick(40.1);
    await books.plan((await about(request.id))[0]!);
    await apply();
    await tick(47.5);
    const first = (await about(request.id))[1]!;
    const kinds = async (id: string) =>
      (await opened.db.selectFrom("request_items").select("kind").where("request_id", "=", id).orderBy("kind").execute()).map((one) => one.kind);
    expect(await kinds(first.id), "the backup is older than what was written until the stop").toEqual(["attachment", "host"]);
    expect(first.reason).toContain("kept, for want of a backup: v");
    await books.decide(first);
    await apply();
    expect((await resources(request.id)).filter((one) => one.phase === "live").map((one) => one.kind)).toEqual(["backup-policy", "volume"]);
    await tick(47.9);
    expect(await about(request.id), "detached, and still no backup of what it holds").toHaveLength(2);
    expect(await stateOf(request.id)).toBe("expiring");
    clock = at(48);
    await backUp();
    await tick(48.1);
    const second = (await about(request.id))[2]!;
    expect(await kinds(second.id)).toEqual(["backup-policy", "volume"]);
    expect(second.reason).toContain("backup ");
    await books.decide(second);
    await apply();
    expect(await stateOf(request.id)).toBe("reclaimed");
    await sound();
  });

  it("leave alone what an extension is asked for, and withdraw what was proposed before it was granted", async () => {
    const request = await live([host("a", at(10)), host("b", at(10))]);
    await tick(1);
    const [a, b] = await resources(request.id);
    const asked = await books.ask("office", [{ action: "extend", kind: "host", id: a!.id, spec: { expiresAt: at(300).toISOString() } }]);
    await tick(40.1);
    const [stop] = await about(request.id);
    const of = async (id: string) =>
      (await opened.db.selectFrom("request_items").select("resource_id").where("request_id", "=", id).execute()).map((one) => one.resource_id);
    expect(await of(stop!.id), "only what nobody asks for").toEqual([b!.id]);
    await books.plan(stop!);
    await apply();
    await tick(47.5);
    const reclaim = (await about(request.id))[1]!;
    expect(await of(reclaim.id)).toEqual([b!.id]);
    const planned = await books.plan(reclaim);
    await extend([b!.id], at(300));
    await books.appoint();
    await expect(books.approveAs(books.approver, planned).then((row) => books.approveAs(books.authority, row))).rejects.toMatchObject({ code: "conflict" });
    await tick(47.6);
    expect(await read(reclaim.id)).toMatchObject({ state: "withdrawn", error: { code: "extended" } });
    expect(await stateOf(request.id), "of the two, one is over still").toBe("expiring");
    await books.decide(asked);
    expect(await stateOf(request.id)).toBe("active");
    await sound();
  });

  it("refuse an extension of what is being retired already", async () => {
    const request = await live([host("a", at(10))]);
    const [a] = await resources(request.id);
    const late = await books.plan(await books.ask("office", [{ action: "extend", kind: "host", id: a!.id, spec: { expiresAt: at(300).toISOString() } }]));
    const retire = await books.plan(await books.ask("office", [{ action: "retire", kind: "host", id: a!.id, spec: {} }]));
    await books.appoint();
    await books.approveAs(books.authority, await books.approveAs(books.approver, retire));
    const half = await books.approveAs(books.approver, late);
    await expect(books.approveAs(books.authority, half)).rejects.toMatchObject({ code: "conflict" });
  });

  it("reclaim a request whose owner retires what is expiring", async () => {
    const request = await live([host("a", at(10))]);
    await tick(1);
    expect(await stateOf(request.id)).toBe("expiring");
    const [a] = await resources(request.id);
    await books.decide(await books.ask("office", [{ action: "retire", kind: "host", id: a!.id, spec: {} }]));
    await apply();
    expect(await stateOf(request.id)).toBe("reclaimed");
  });

  describe("of a trial", () => {
    const tried = async (days = 10): Promise<RequestRow> => {
      const row = await books.decide(
        await books.ask("office", [host("a"), volume("v"), { action: "create", kind: "attachment", spec: { host: "a", volume: "v" } }], plain, {
          trialDays: days,
        }),
      );
      await apply();
      const after = await read(row.id);
      expect(after).toMatchObject({ state: "on-trial", trial_until: at(days) });
      return after;
    };
    const accept = (id: string) => books.change((tx) => acceptTrial(tx, books.act("tok_applicant"), id));
    const refuse = (id: string, by = "tok_applicant") => books.change((tx) => refuseTrial(tx, books.act(by), id, "too slow", plain));

    it("is charged like anything else, and active once it is accepted", async () => {
      const request = await tried();
      expect(await used()).toBe(1);
      expect(await told("request.on-trial")).toMatchObject([{ person_id: "tok_applicant", data: { until: at(10).toISOString() } }]);
      expect(await accept(request.id)).toMatchObject({ state: "active" });
      await expect(accept(request.id)).rejects.toMatchObject({ code: "conflict" });
      await expect(refuse(request.id)).rejects.toMatchObject({ code: "conflict" });
      expect(await used()).toBe(1);
    });

    it("is refused by a request that retires all of it, and nobody who refused decides on that", async () => {
      const request = await tried();
      const retire = await refuse(request.id, books.approver.id);
      expect(retire).toMatchObject({ origin: "trial-refusal", about_id: request.id, state: "submitted", reason: "too slow" });
      await expect(accept(request.id)).rejects.toMatchObject({ code: "conflict" });
      await expect(refuse(request.id)).rejects.toMatchObject({ code: "conflict" });
      await tick(100);
      expect(await stateOf(request.id), "it was answered: no silence makes it active").toBe("on-trial");
      const planned = await books.plan(retire);
      await books.appoint();
      await expect(books.approveAs(books.approver, planned)).rejects.toMatchObject({ code: "self-approval" });
      await books.change((tx) => withdraw(tx, books.act("tok_applicant"), retire.id));
      await books.decide(await refuse(request.id));
      await apply();
      expect(await stateOf(request.id)).toBe("reclaimed");
      expect((await resources(request.id)).map((one) => one.phase)).toEqual(["gone", "gone", "gone"]);
      expect(await used()).toBe(0);
      await sound();
    });

    it("is reminded of when it ends, and counts as accepted after the policy's days; or waits for ever, as the policy says", async () => {
      const request = await tried();
      await tick(9.9);
      expect(await told("trial.ended")).toEqual([]);
      await tick(10);
      await tick(11);
      expect(await told("trial.ended")).toHaveLength(1);
      await tick(17);
      expect(await stateOf(request.id)).toBe("active");
      await books.change((tx) => setTermPolicy(tx, books.act(), { noticeDays: 30, graceDays: 30, stoppedDays: 7, trialAnswerDays: null }, () => undefined));
      clock = start;
      const other = await books.decide(await books.ask("office", [host("b")], plain, { trialDays: 1 }));
      await apply();
      await tick(500);
      expect(await stateOf(other.id)).toBe("on-trial");
    });

    it("has no part in a request that makes nothing", async () => {
      const request = await tried();
      await accept(request.id);
      const made = (await resources(request.id)).find((one) => one.kind === "host");
      const stop = await books.decide(await books.ask("office", [{ action: "stop", kind: "host", id: made!.id }], plain, { trialDays: 3 }));
      await apply();
      expect(await stateOf(stop.id)).toBe("active");
    });
  });
});
