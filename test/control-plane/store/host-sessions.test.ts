import { createHash, randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Recorder } from "../../../control-plane/shell/recorder.ts";
import { keysFrom } from "../../../control-plane/state/keys.ts";
import { type Act, systemAct } from "../../../control-plane/store/act.ts";
import { answerConsent, askConsent, listConsents, revokeConsent } from "../../../control-plane/store/consents.ts";
import type { OpenDatabase, Tx } from "../../../control-plane/store/database.ts";
import { placeOf } from "../../../control-plane/store/host-access.ts";
import { appendRecording, readRecording } from "../../../control-plane/store/host-recordings.ts";
import { closeHostSession, createHostSession, cutSessions, endHostSession, openHostSession, whyOver } from "../../../control-plane/store/host-sessions.ts";
import { bind } from "../../../control-plane/store/role-bindings.ts";
import { makeToken } from "../../../control-plane/store/tokens.ts";
import { buildWorld, type World } from "../../rules/world.ts";
import { engines, openEmpty } from "../../setup/databases.ts";

const everywhere = { nodes: null };

describe.each(engines)("people in hosts, on %s", (engine) => {
  let opened: OpenDatabase;
  let world: World;
  let owner: string;
  let operator: string;
  const start = new Date("2026-11-24T00:00:00Z");
  const inTransaction = <T>(work: (tx: Tx) => Promise<T>) => opened.db.transaction().execute(work);
  const as = (actor: string, minutes = 0, role = "applicant"): Act => ({ ...systemAct(new Date(start.getTime() + minutes * 60_000)), actor, role });
  const person = (role: "applicant" | "operations", departmentId: string | null, kind: "standing" | "elevated" = "standing") =>
    inTransaction(async (tx) => {
      const { token } = await makeToken(tx, systemAct(start), { name: role, expiresAt: null });
      await grant(tx, token.id, role, departmentId, kind);
      return token.id;
    });
  const grant = (tx: Tx, subject: string, role: "applicant" | "operations", departmentId: string | null, kind: "standing" | "elevated", minutes?: number) =>
    bind(tx, systemAct(start), {
      subject_id: subject,
      role,
      department_id: departmentId,
      kind,
      valid_from: start,
      valid_until: minutes === undefined ? null : new Date(start.getTime() + minutes * 60_000),
      period_from: null,
      period_to: null,
      reason: "test",
    });

  beforeEach(async () => {
    opened = await openEmpty(engine);
    world = await buildWorld(opened.db);
    owner = await person("applicant", world.owner);
    operator = await person("operations", null);
  });
  afterEach(() => opened.close());

  const ask = (minutes = 60, granteeId: string | null = operator) =>
    inTransaction((tx) =>
      askConsent(tx, as(operator, 0, "operations"), everywhere, { hostId: world.ids.host, applicationId: null, granteeId, purpose: "P", minutes }),
    );
  const answer = (id: string, by = owner, minutes = 0) =>
    inTransaction((tx) => answerConsent(tx, as(by, minutes), everywhere, id, { grant: true, reason: "" }));
  const make = (by: string, minutes = 0) =>
    inTransaction(async (tx) => {
      const place = await placeOf(tx, everywhere, world.ids.host);
      return createHostSession(tx, as(by, minutes), place, { kind: "shell", purpose: "P", argv: null, cols: 80, rows: 24, signInId: undefined });
    });
  const open = (by: string, { id, ticket }: { id: string; ticket: string }, minutes = 0) =>
    inTransaction((tx) => openHostSession(tx, as(by, minutes), everywhere, id, ticket, "here"));

  it("a consent is given by the owner's people alone, once, and holds for its time", async () => {
    const { id } = await ask();
    await expect(make(operator)).rejects.toMatchObject({ code: "forbidden" });
    const stranger = await person("applicant", world.stranger);
    await expect(answer(id, stranger)).rejects.toMatchObject({ code: "forbidden" });
    await expect(answer(id, operator)).rejects.toMatchObject({ code: "self-approval" });
    // Who is an operator too speaks for no owner, and an elevated role is none for good.
    const both = await person("applicant", world.owner);
    await inTransaction((tx) => grant(tx, both, "operations", null, "standing"));
    await expect(answer(id, both)).rejects.toMatchObject({ code: "forbidden" });
    await expect(answer(id, await person("applicant", world.owner, "elevated"))).rejects.toMatchObject({ code: "forbidden" });
    await answer(id);
    await expect(answer(id)).rejects.toMatchObject({ code: "conflict" });
    const made = await make(operator, 1);
    const row = await open(operator, made, 1);
    expect(row).toMatchObject({ basis: "consent", consent_id: id });
    expect(await whyOver(opened.db, row, new Date(start.getTime() + 59 * 60_000))).toBeUndefined();
    expect(await whyOver(opened.db, row, new Date(start.getTime() + 60 * 60_000))).toBe("consent-over");
    await expect(make(await person("operations", null), 1)).rejects.toMatchObject({ code: "forbidden" });
    await inTransaction((tx) => revokeConsent(tx, as(owner, 2), everywhere, id, ""));
    expect(await whyOver(opened.db, row, as(owner, 2).now)).toBe("consent-over");
    expect((await listConsents(opened.db, { state: "revoked", now: start })).items.map((one) => one.id)).toEqual([id]);
  });

  it("the database itself refuses a consent to oneself, and one for longer than a day", async () => {
    const { id } = await ask();
    const set = (values: object) => opened.db.updateTable("consents").set(values).where("id", "=", id).execute();
    const granted = { state: "granted", decided_at: start, valid_from: start };
    const hours = (count: number) => new Date(start.getTime() + count * 3_600_000);
    await expect(set({ ...granted, decided_by: operator, valid_until: hours(1) })).rejects.toThrow("check");
    await expect(set({ ...granted, decided_by: owner, valid_until: hours(25) })).rejects.toThrow("check");
    await set({ ...granted, decided_by: owner, valid_until: hours(24) });
  });

  it("an ask that nobody answers lapses; a consent to all operations staff is for each of them", async () => {
    const late = await ask();
    await expect(answer(late.id, owner, 8 * 1440)).rejects.toMatchObject({ code: "conflict" });
    const { id } = await ask(60, null);
    await answer(id);
    expect((await open(operator, await make(await person("operations", null)).then(() => make(operator)))).basis).toBe("consent");
  });

  it("a ticket opens once, in its time, for its own person; whose right has gone meanwhile stays out", async () => {
    const made = await make(owner);
    await expect(open(operator, made)).rejects.toMatchObject({ code: "not-found" });
    await expect(open(owner, { ...made, ticket: "zyt_other" })).rejects.toMatchObject({ code: "forbidden" });
    await open(owner, made);
    await expect(open(owner, made)).rejects.toMatchObject({ code: "forbidden" });
    await expect(open(owner, await make(owner), 2)).rejects.toMatchObject({ code: "forbidden" });
    const late = await make(owner);
    await opened.db.updateTable("role_bindings").set({ revoked_at: start }).where("subject_id", "=", owner).execute();
    await expect(open(owner, late)).rejects.toMatchObject({ code: "forbidden" });
  });

  it("of several rights the one counts by which it was opened: a consent doesn't end with a newer one, nor break-glass with a consent", async () => {
    const first = await ask();
    await answer(first.id);
    const row = await open(operator, await make(operator));
    const second = await ask();
    await answer(second.id);
    expect(await whyOver(opened.db, row, start)).toBeUndefined();
    const alone = await person("operations", null);
    const elevation = await inTransaction((tx) => grant(tx, alone, "operations", null, "elevated", 10));
    const broken = await open(alone, await make(alone));
    expect(broken).toMatchObject({ basis: "break-glass", binding_id: elevation.id });
    const third = await ask(60, alone);
    await answer(third.id);
    expect(await whyOver(opened.db, broken, start)).toBeUndefined();
    expect(await whyOver(opened.db, broken, as(alone, 11).now)).toBe("authority-over");
  });

  it("ends once, as who says it first; of a control plane that is gone as cut", async () => {
    const row = await open(owner, await make(owner));
    expect((await cutSessions(opened.db, "other")).map((one) => one.id)).toContain(row.id);
    expect((await cutSessions(opened.db, "here")).map((one) => one.id)).not.toContain(row.id);
    await expect(inTransaction((tx) => endHostSession(tx, as(operator, 1, "operations"), everywhere, row.id))).rejects.toMatchObject({ code: "forbidden" });
    await inTransaction((tx) => endHostSession(tx, as(owner, 1), everywhere, row.id));
    expect(await whyOver(opened.db, row, start)).toBe("ended");
    const close = (reason: "ended" | "cut") => inTransaction((tx) => closeHostSession(tx, start, row.id, { reason, exitCode: null, sha256: "a", bytes: 1 }));
    expect([await close("ended"), await close("cut")]).toEqual([true, false]);
    const entries = await opened.db.selectFrom("audit_entries").select("action").where("subject_id", "=", row.id).orderBy("id").execute();
    expect(entries.map((one) => one.action)).toEqual(["host-session.create", "host-session.open", "host-session.end", "host-session.close"]);
  });

  it("a recording is kept sealed, in order, and shows when a piece was altered or changed its place", async () => {
    const { id } = await open(owner, await make(owner));
    const keys = keysFrom(randomBytes(32));
    const recorder = new Recorder({
      header: { width: 80, height: 24, timestamp: 0, title: "T" },
      keep: (seq, text) => appendRecording(opened.db, keys.seal, id, seq, text),
      clock: () => 0,
    });
    await recorder.record("i", "secret\n");
    // A character in two pieces is one.
    await Promise.all([recorder.record("o", Buffer.from([0xe4, 0xbd])), recorder.record("o", Buffer.from([0xa0]))]);
    const read = await readRecording(opened.db, keys.unseal, id);
    expect(read!.text.split("\n").slice(1)).toEqual(['[0,"i","secret\\n"]', '[0,"o","你"]', ""]);
    expect(read).toMatchObject({ ...recorder.digest, sha256: createHash("sha256").update(read!.text).digest("hex") });
    const rows = await opened.db.selectFrom("host_session_recordings").selectAll().orderBy("seq").execute();
    expect(JSON.stringify(rows)).not.toContain("secret");
    const put = (seq: number, sealed: string) => opened.db.updateTable("host_session_recordings").set({ sealed }).where("seq", "=", seq).execute();
    await put(1, rows[0]!.sealed);
    await expect(readRecording(opened.db, keys.unseal, id)).rejects.toThrow("doesn't open");
  });

  it("a recording that is full takes no more", async () => {
    const recorder = new Recorder({ header: { width: 1, height: 1, timestamp: 0, title: "" }, keep: async () => undefined, clock: () => 0, limit: 200 });
    await recorder.record("o", "x".repeat(20));
    await expect(recorder.record("o", "x".repeat(200))).rejects.toThrow("full");
    expect(recorder.digest.bytes).toBeLessThan(200);
  });
});
