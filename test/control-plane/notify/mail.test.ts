import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import type { AddressInfo } from "node:net";
import { afterEach, beforeAll, afterAll, describe, expect, it } from "vitest";
import type { Language, NoticeData, NoticeKind } from "../../../control-plane/contract/notices.ts";
import { startDeliverer } from "../../../control-plane/notify/deliverer.ts";
import { textOf } from "../../../control-plane/notify/mail.ts";
import { createAccount } from "../../../control-plane/store/accounts.ts";
import { systemAct } from "../../../control-plane/store/act.ts";
import type { OpenDatabase } from "../../../control-plane/store/database.ts";
import { setMailSettings } from "../../../control-plane/store/mail-settings.ts";
import { notify } from "../../../control-plane/store/notices.ts";
import { testKeys } from "../../setup/app.ts";
import { engines, openEmpty } from "../../setup/databases.ts";

interface Letter {
  to: string[];
  secure: boolean;
  user: string | undefined;
  text: string;
}
const failure = (code: number, text: string) => Object.assign(new Error(text), { responseCode: code });

describe.each(engines)("mail goes to a real SMTP server, on %s", (engine) => {
  let opened: OpenDatabase;
  let clock = Date.now();
  const now = () => new Date(clock);
  const closers: (() => Promise<void>)[] = [];
  let letters: Letter[] = [];
  let accounts = 0;

  beforeAll(async () => {
    opened = await openEmpty(engine);
  });
  afterEach(async () => {
    for (const close of closers.splice(0).toReversed()) await close();
    await opened.db.deleteFrom("notices").execute();
    letters = [];
  });
  afterAll(() => opened.close());

  /** Refusals are answered one after the other before it takes a letter. @returns its port */
  async function serve(options: SMTPServerOptions & { refusals?: { at: "RCPT" | "DATA"; error: Error }[] } = {}): Promise<number> {
    const { refusals = [], ...rest } = options;
    const refusal = (at: "RCPT" | "DATA") => (refusals[0]?.at === at ? refusals.shift()!.error : undefined);
    const server = new SMTPServer({
      authOptional: true,
      onRcptTo: (_address, _session, done) => done(refusal("RCPT")),
      onData: (stream, session, done) => {
        let text = "";
        stream.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
        stream.on("end", () => {
          const error = refusal("DATA");
          if (!error) letters.push({ to: session.envelope.rcptTo.map((one) => one.address), secure: session.secure, user: session.user as string, text });
          done(error);
        });
      },
      ...rest,
    });
    server.on("error", () => {});
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    closers.push(() => new Promise((resolve) => server.close(resolve)));
    return (server.server.address() as AddressInfo).port;
  }
  const open = (url: string) => {
    const mail = { url, from: "政云 <zhengyun@example.gov.cn>" };
    const deliverer = startDeliverer({ db: opened.db, unseal: testKeys.unseal, now, allow: [], mail, log: { info() {}, warn() {} }, random: () => 0.5 });
    closers.push(() => deliverer.close());
    return deliverer;
  };
  /** Tells somebody with an address of something. @returns the delivery's id and the address */
  async function tell(kind: NoticeKind, data: NoticeData, language: Language = "zh-CN"): Promise<{ id: string; email: string; account: string }> {
    const act = systemAct(now());
    return opened.db.transaction().execute(async (tx) => {
      const { id } = await createAccount(tx, act, { name: `mail-${++accounts}`, displayName: "N", kind: "person" });
      const email = `${id}@example.gov.cn`;
      await setMailSettings(tx, act, id, { email, language, mailKinds: [kind] }, () => undefined);
      await notify(tx, act, { kind, to: [id], departmentId: null, requestId: null, subjectId: null, data });
      const row = await tx.selectFrom("deliveries").select("id").orderBy("id", "desc").limit(1).executeTakeFirstOrThrow();
      return { id: row.id, email, account: id };
    });
  }
  const delivery = (id: string) => opened.db.selectFrom("deliveries").selectAll().where("id", "=", id).executeTakeFirstOrThrow();
  const decoded = (text: string) => {
    const [head = "", body = ""] = text.split(/\r?\n\r?\n/);
    const plain = /base64/i.test(head) ? Buffer.from(body, "base64").toString() : body;
    return { head, body: plain };
  };

  it("over TLS and with a name, refused for now first and then taken, under one Message-ID", async () => {
    const port = await serve({
      authOptional: false,
      refusals: [{ at: "RCPT", error: failure(451, "greylisted, come again") }],
      onAuth: ({ username, password }, _session, done) => done(password === "p:ss" ? undefined : new Error("no"), { user: username }),
    });
    const { id, email } = await tell("request.approved", { number: "2026-000007", title: "办公系统扩容" });
    const deliverer = open(`smtp://relay:p%3Ass@127.0.0.1:${port}?tls.rejectUnauthorized=false`);
    await deliverer.round();
    expect(await delivery(id)).toMatchObject({ state: "waiting", attempts: 1, last_status: 451 });
    clock += 10_000;
    await deliverer.round();
    expect(await delivery(id)).toMatchObject({ state: "delivered", attempts: 2, last_error: null });
    expect(letters).toMatchObject([{ to: [email], secure: true, user: "relay" }]);
    const { head, body } = decoded(letters[0]!.text);
    expect(head).toContain(`Message-ID: <${id}@example.gov.cn>`);
    expect(head).toMatch(/Content-Type: text\/plain/i);
    expect(head).toContain("Auto-Submitted: auto-generated");
    expect(body).toContain("申请 2026-000007《办公系统扩容》已批准");
  });

  it("is dead at once when the server refuses it for good, and waits while nobody answers or the sign-in is refused", async () => {
    const port = await serve({
      refusals: [{ at: "RCPT", error: failure(550, "no such person") }],
      onAuth: (_auth, _session, done) => done(failure(535, "no")),
    });
    const first = await tell("request.failed", {});
    await open(`smtp://127.0.0.1:${port}?tls.rejectUnauthorized=false`).round();
    expect(await delivery(first.id)).toMatchObject({ state: "dead", attempts: 1, last_status: 550 });
    const second = await tell("request.failed", {});
    await open(`smtp://relay:wrong@127.0.0.1:${port}?tls.rejectUnauthorized=false`).round();
    expect(await delivery(second.id), "the configuration may be mended").toMatchObject({ state: "waiting", last_status: 535 });
    const third = await tell("request.failed", {});
    clock += 100;
    await open("smtp://127.0.0.1:1").round();
    expect(await delivery(third.id)).toMatchObject({ state: "waiting", last_status: null });
    expect(letters).toEqual([]);
  });

  it("never gives a password to a server without TLS", async () => {
    let asked = 0;
    const port = await serve({ hideSTARTTLS: true, allowInsecureAuth: true, onAuth: (_auth, _session, done) => (asked++, done(undefined, { user: "u" })) });
    const { id } = await tell("request.failed", {});
    await open(`smtp://relay:secret@127.0.0.1:${port}`).round();
    expect([asked, letters.length]).toEqual([0, 0]);
    expect((await delivery(id)).state).toBe("waiting");
  });

  it("goes to nobody who has taken the address back meanwhile", async () => {
    const port = await serve();
    const { id, account } = await tell("request.active", {});
    const none = { email: null, language: "en" as const, mailKinds: [] };
    await opened.db.transaction().execute((tx) => setMailSettings(tx, systemAct(now()), account, none, () => undefined));
    await open(`smtp://127.0.0.1:${port}?tls.rejectUnauthorized=false`).round();
    expect(await delivery(id)).toMatchObject({ state: "dead" });
    expect(letters).toEqual([]);
  });
});

describe("the text of a mail", () => {
  it("is in the person's language, with times as Beijing reads them", () => {
    const data = { number: "2026-000007", title: "T", stage: "S", due: "2026-11-26T15:59:59.999Z" };
    expect(textOf({ kind: "step.due-soon", data, language: "en" })).toMatchObject({
      subject: "[Zhengyun] A decision is due soon 2026-000007",
      text: expect.stringContaining("Request 2026-000007 “T”: the decision (S) is due soon, Nov 26, 2026, 11:59"),
    });
    expect(textOf({ kind: "step.due-soon", data, language: "zh-CN" }).text).toContain("即将到期：2026年11月26日");
  });

  it("puts nothing into the head that somebody wrote into a title", () => {
    expect(textOf({ kind: "request.active", data: { number: "1\r\nBcc: all@example.com" }, language: "en" }).subject).not.toMatch(/[\r\n]/);
  });
});
