import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Webhook } from "standardwebhooks";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { allowedAddresses, guardedLookup } from "../../../control-plane/notify/addresses.ts";
import { type DelivererOptions, startDeliverer } from "../../../control-plane/notify/deliverer.ts";
import { systemAct } from "../../../control-plane/store/act.ts";
import type { OpenDatabase } from "../../../control-plane/store/database.ts";
import { createWebhook, getWebhook, rotateSecret, testWebhook } from "../../../control-plane/store/webhooks.ts";
import { testKeys } from "../../setup/app.ts";
import { engines, openEmpty } from "../../setup/databases.ts";

interface Received {
  headers: Record<string, string>;
  body: string;
}

describe.each(engines)("webhooks are delivered, on %s", (engine) => {
  let opened: OpenDatabase;
  let server: Server;
  let address: string;
  let received: Received[] = [];
  let answer: (response: ServerResponse, request: IncomingMessage) => void;
  const closers: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    opened = await openEmpty(engine);
    server = createServer((request, response) => {
      let body = "";
      request.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
      request.on("end", () => {
        received.push({ headers: request.headers as Record<string, string>, body });
        answer(response, request);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  });
  afterEach(async () => {
    for (const close of closers.splice(0)) await close();
    await opened.db.deleteFrom("webhooks").execute();
    received = [];
  });
  afterAll(async () => {
    server.closeAllConnections();
    server.close();
    await opened.close();
  });

  const status = (code: number, headers: Record<string, string> = {}) => {
    answer = (response) => void response.writeHead(code, headers).end("…");
  };
  /** A clock of its own, so that a day passes at once. */
  let clock = Date.now();
  const now = () => new Date(clock);
  const open = (more: Partial<DelivererOptions> = {}) => {
    const deliverer = startDeliverer({
      db: opened.db,
      unseal: testKeys.unseal,
      now,
      allow: ["127.0.0.0/8"],
      log: { info() {}, warn() {} },
      random: () => 0.5,
      ...more,
    });
    closers.push(() => deliverer.close());
    return deliverer;
  };
  const act = () => systemAct(now());
  const change = <T>(work: Parameters<ReturnType<OpenDatabase["db"]["transaction"]>["execute"]>[0]) => opened.db.transaction().execute(work) as Promise<T>;
  const subscribe = (url = address) =>
    opened.db.transaction().execute((tx) => createWebhook(tx, act(), { name: "W", url, kinds: ["request.active"], departmentId: null }, testKeys.seal));
  const ping = (id: string) => opened.db.transaction().execute((tx) => testWebhook(tx, act(), id));
  const delivery = (id: string) => opened.db.selectFrom("deliveries").selectAll().where("id", "=", id).executeTakeFirstOrThrow();

  it("signed after Standard Webhooks: another implementation takes them, and refuses what was changed", async () => {
    status(204);
    const { webhook, secret } = await subscribe();
    const { id } = await ping(webhook.id);
    await open().round();
    expect(received).toHaveLength(1);
    const [{ headers, body }] = received as [Received];
    expect(headers["webhook-id"]).toBe(id);
    expect(new Webhook(secret).verify(body, headers)).toMatchObject({ specversion: "1.0", type: "webhook.test", subject: webhook.id });
    expect(() => new Webhook(secret).verify(body.replace("webhook.test", "other"), headers)).toThrow("No matching signature");
    expect(() => new Webhook(secret).verify(body, { ...headers, "webhook-id": "dlv_other" })).toThrow("No matching signature");
    expect(await delivery(id)).toMatchObject({ state: "delivered", attempts: 1, last_status: 204 });
    expect((await getWebhook(opened.db, webhook.id)).secret_sealed).not.toContain(secret.slice(6));
  });

  it("signed with the old secret too for a day after a rotation", async () => {
    status(200);
    const { webhook, secret: old } = await subscribe();
    const rotated = await change<{ secret: string }>((tx) => rotateSecret(tx, act(), webhook.id, testKeys.seal));
    const deliverer = open();
    await ping(webhook.id);
    await deliverer.round();
    for (const secret of [old, rotated.secret]) expect(new Webhook(secret).verify(received[0]!.body, received[0]!.headers)).toBeTruthy();
    clock += 25 * 3_600_000;
    await ping(webhook.id);
    await deliverer.round();
    // Its own clock is a day ahead: only who signed is asked here, not when.
    expect(received[1]!.headers["webhook-signature"]!.split(" ")).toHaveLength(1);
    clock = Date.now();
  });

  it("again under the same id until they are taken", async () => {
    status(503);
    const { webhook } = await subscribe();
    const { id } = await ping(webhook.id);
    const deliverer = open();
    await deliverer.round();
    await deliverer.round();
    expect(received).toHaveLength(1);
    expect(await delivery(id)).toMatchObject({ state: "waiting", last_status: 503, last_error: "answered 503" });
    clock += 10_000;
    status(200);
    await deliverer.round();
    expect(received.map((one) => one.headers["webhook-id"])).toEqual([id, id]);
    expect(received[1]!.body).toBe(received[0]!.body);
    expect(await delivery(id)).toMatchObject({ state: "delivered", attempts: 2 });
  });

  it("at most for about a day; then they are dead, and their webhook is paused", async () => {
    status(500);
    const { webhook } = await subscribe();
    const { id } = await ping(webhook.id);
    const deliverer = open();
    const begun = clock;
    for (let hours = 0; (await delivery(id)).state === "waiting" && hours < 200; hours++) {
      await deliverer.round();
      clock = Math.max(clock, (await delivery(id)).due_at.getTime());
    }
    expect(await delivery(id)).toMatchObject({ state: "dead", attempts: 11 });
    expect((clock - begun) / 3_600_000).toBeGreaterThan(18);
    expect(await getWebhook(opened.db, webhook.id)).toMatchObject({ state: "paused" });
  });

  it("not to where they are redirected, and 410 ends it at once", async () => {
    const { webhook } = await subscribe();
    status(302, { location: address });
    const first = await ping(webhook.id);
    const deliverer = open();
    await deliverer.round();
    expect(received).toHaveLength(1);
    expect((await delivery(first.id)).last_error).toContain("redirects are not followed");
    status(410);
    const second = await ping(webhook.id);
    await deliverer.round();
    expect(await delivery(second.id)).toMatchObject({ state: "dead", last_status: 410 });
    expect(await getWebhook(opened.db, webhook.id)).toMatchObject({ state: "paused" });
  });

  it("read no more of an answer than they must, and wait for none for ever", { timeout: 30_000 }, async () => {
    answer = (response) => {
      const flood = () => {
        while (response.writable && response.write(Buffer.alloc(65_536)));
      };
      response.writeHead(200).on("drain", flood);
      flood();
    };
    const { webhook } = await subscribe();
    const flooded = await ping(webhook.id);
    const deliverer = open();
    await deliverer.round();
    expect(await delivery(flooded.id)).toMatchObject({ state: "delivered" });
    answer = () => {};
    const silent = await ping(webhook.id);
    await deliverer.round();
    expect(await delivery(silent.id)).toMatchObject({ state: "waiting", last_error: "no answer within 10 s" });
  });

  it("never to this machine's own addresses unless they are named", async () => {
    status(200);
    const port = new URL(address).port;
    const urls = [
      `http://127.0.0.1:${port}/`,
      `http://localhost:${port}/`,
      `http://[::ffff:127.0.0.1]:${port}/`,
      `http://2130706433:${port}/`,
      `http://169.254.169.254/latest`,
      `http://[::1]:${port}/`,
    ];
    const deliverer = open({ allow: [] });
    for (const url of urls) {
      const { webhook } = await subscribe(url);
      const { id } = await ping(webhook.id);
      await deliverer.round();
      expect((await delivery(id)).last_error, url).toMatch(/must be named in ZHENGYUN_WEBHOOK_ALLOW/);
    }
    expect(received).toEqual([]);
  });

  it("by one of several control planes each", async () => {
    status(200);
    const { webhook } = await subscribe();
    for (let n = 0; n < 20; n++) await ping(webhook.id);
    const several = [open(), open(), open()];
    for (let round = 0; round < 6; round++) await Promise.all(several.map((one) => one.round()));
    const ids = received.map((one) => one.headers["webhook-id"]);
    expect(new Set(ids).size).toBe(20);
    expect(ids).toHaveLength(20);
  });
});

describe("the address of a webhook", () => {
  it("is looked at at the moment of the connection: a name that has changed its address gains nothing", async () => {
    let answers = ["203.0.113.9"];
    const resolve = ((_name: string, _options: object, done: (error: null, addresses: { address: string; family: number }[]) => void) =>
      done(
        null,
        answers.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })),
      )) as never;
    const lookup = guardedLookup(allowedAddresses([]), resolve);
    const ask = () =>
      new Promise<string>((done) => lookup("receiver.example", { all: false }, (error, address) => done(error?.message ?? (address as string))));
    expect(await ask()).toBe("203.0.113.9");
    answers = ["127.0.0.1"];
    expect(await ask()).toContain("must be named");
    answers = ["203.0.113.9", "169.254.169.254"];
    expect(await ask(), "one of several is enough").toContain("must be named");
  });

  it("may be private, never this machine's, link-local or a group's, in whatever notation", () => {
    const allows = allowedAddresses([]);
    for (const good of ["10.1.2.3", "192.168.0.9", "172.16.0.1", "203.0.113.1", "2001:db8::1", "fd00::1"]) expect(allows(good), good).toBe(true);
    for (const bad of [
      "127.0.0.1",
      "127.9.9.9",
      "0.0.0.0",
      "169.254.169.254",
      "100.100.100.200",
      "224.0.0.1",
      "255.255.255.255",
      "::",
      "::1",
      "fe80::1",
      "ff02::1",
      "::ffff:127.0.0.1",
      "::ffff:7f00:1",
      "64:ff9b::7f00:1",
      "2002:7f00:1::",
      "nonsense",
      "",
    ])
      expect(allows(bad), bad).toBe(false);
    expect(allowedAddresses(["127.0.0.0/8"])("127.0.0.1")).toBe(true);
    expect(allowedAddresses(["127.0.0.0/8"])("169.254.169.254")).toBe(false);
  });
});
