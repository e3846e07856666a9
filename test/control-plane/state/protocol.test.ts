import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { largestBody } from "../../../control-plane/state/body.ts";
import type { Deployment, JournalEntry, Resource } from "../../../control-plane/state/deployment.ts";
import {
  cancelUpdate,
  currentDeployment,
  departmentStack,
  ensureStack,
  exportDeployment,
  history,
  listStacks,
  type OperationScope,
  removeStack,
  settleAll,
  settleUpdate,
  StackNotEmpty,
  StackNotFound,
  type StackName,
  startStateService,
  type StateService,
} from "../../../control-plane/state/index.ts";
import { keysFrom } from "../../../control-plane/state/keys.ts";
import type { OpenDatabase } from "../../../control-plane/store/database.ts";
import { engines, openEmpty } from "../../setup/databases.ts";

const resource = (name: string, more: Partial<Resource> = {}): Resource => ({
  urn: `urn:pulumi:s::p::t:t:T::${name}`,
  type: "t:t:T",
  custom: true,
  id: name,
  ...more,
});
const created = (sequence: number, name: string, more: Partial<Resource> = {}): JournalEntry[] => [
  { version: 1, kind: 0, sequenceID: sequence, operationID: sequence, operation: { type: "creating", resource: resource(name, more) } },
  { version: 1, kind: 1, sequenceID: sequence + 1, operationID: sequence, state: resource(name, more) },
];
const names = ({ resources = [] }: Deployment) => resources.map(({ id }) => id);

describe.each(engines)("the state service's protocol on %s", (store) => {
  let opened: OpenDatabase;
  let service: StateService;
  let stack: StackName;
  let token: string;
  let count = 0;
  const logged: string[] = [];

  beforeAll(async () => {
    opened = await openEmpty(store);
    service = await startStateService({ db: opened.db, keys: keysFrom(randomBytes(32)), log: (message) => void logged.push(message) });
  });
  afterAll(async () => {
    await service.close();
    await opened.close();
  });
  beforeEach(async () => {
    stack = departmentStack(`dep_${++count}`);
    await ensureStack(opened.db, stack);
    token = service.issueOperationToken(stack, { scope: "manage", fence: 7 });
  });

  const pathOf = ({ organization, project, stack: name }: StackName) => `/api/stacks/${organization}/${project}/${name}`;

  interface Answer {
    status: number;
    // oxlint-disable-next-line typescript/no-explicit-any
    body: any;
  }

  async function call(method: string, path: string, body?: unknown, options: { authorization?: string; gzip?: boolean } = {}): Promise<Answer> {
    const json = body === undefined ? undefined : JSON.stringify(body);
    const response = await fetch(service.url + path, {
      method,
      headers: { authorization: options.authorization ?? `token ${token}`, ...(options.gzip && { "content-encoding": "gzip" }) },
      ...(json !== undefined && { body: options.gzip ? gzipSync(json) : json }),
    });
    const text = await response.text();
    return { status: response.status, body: text && JSON.parse(text) };
  }
  const on = (method: string, path: string, body?: unknown, options?: { authorization?: string; gzip?: boolean }) =>
    call(method, pathOf(stack) + path, body, options);

  async function start(kind = "update"): Promise<{ id: string; update: string; version: number; U: { authorization: string; gzip: boolean } }> {
    const { body: made } = await on("POST", `/${kind}`, { name: "p", metadata: { message: "why", environment: { a: "b" } } });
    const { status, body } = await on("POST", `/update/${made.updateID}`, { tags: { owner: "us" }, journalVersion: 1 });
    expect(status, JSON.stringify(body)).toBe(200);
    return { id: made.updateID, update: `/update/${made.updateID}`, version: body.version, U: { authorization: `update-token ${body.token}`, gzip: true } };
  }

  /** An update that records these entries and completes. */
  async function run(...entries: JournalEntry[]): Promise<void> {
    const { update, U } = await start();
    expect((await on("PATCH", `${update}/journalentries`, { entries }, U)).status).toBe(204);
    expect((await on("POST", `${update}/complete`, { status: "succeeded" }, U)).status).toBe(204);
  }

  const currentStack = () => opened.db.selectFrom("state_stacks").select("id").where("name", "=", stack.stack).executeTakeFirst();
  const current = async () => (await currentDeployment(opened.db, stack)).deployment;

  describe("who may call", () => {
    it("refuses an unknown, a missing and a revoked token with 401", async () => {
      expect((await on("GET", "", undefined, { authorization: "token nonsense" })).status).toBe(401);
      expect((await on("GET", "", undefined, { authorization: "" })).status).toBe(401);
      expect((await on("GET", "")).status).toBe(200);
      service.revokeOperationToken(token);
      expect((await on("GET", "")).status).toBe(401);
    });

    it("hides every other stack", async () => {
      const other = departmentStack(`dep_other_${count}`);
      await ensureStack(opened.db, other);
      for (const path of ["", "/export", "/updates", "/updates/latest"]) expect((await call("GET", pathOf(other) + path)).status).toBe(404);
      for (const path of ["/update", "/preview", "/encrypt", "/batch-decrypt", "/import", "/update/x", "/update/x/cancel"]) {
        expect((await call("POST", pathOf(other) + path, {})).status, path).toBe(404);
      }
      expect((await call("DELETE", pathOf(other))).status).toBe(404);
      const { body } = await call("GET", "/api/user/stacks");
      expect(body.stacks.map((found: { stackName: string }) => found.stackName)).toEqual([stack.stack]);
    });

    it.each<[OperationScope, string[]]>([
      ["preview", ["preview"]],
      ["up", ["preview", "update"]],
      ["refresh", ["preview", "refresh"]],
      ["destroy", ["preview", "destroy"]],
    ])("lets an operation of scope %s begin %j only, and manage nothing", async (scope, kinds) => {
      token = service.issueOperationToken(stack, { scope });
      for (const kind of ["preview", "update", "refresh", "destroy"]) {
        expect((await on("POST", `/${kind}`, {})).status, kind).toBe(kinds.includes(kind) ? 200 : 403);
      }
      expect((await on("DELETE", "?force=true")).status).toBe(403);
      expect((await on("POST", "/import", {})).status).toBe(403);
      expect((await on("POST", "/rename", { newName: "x" })).status).toBe(403);
      expect((await on("PATCH", "/tags", {})).status).toBe(403);
    });

    it("takes an update's own token for its own update only", async () => {
      const { update, U } = await start();
      const preview = await start("preview");
      const batch = { entries: created(1, "a") };
      expect((await on("PATCH", `${update}/journalentries`, batch, preview.U)).status).toBe(403);
      expect((await on("PATCH", `${update}/journalentries`, batch)).status).toBe(401);
      expect((await on("POST", `${update}/complete`, { status: "succeeded" }, { authorization: "update-token x" })).status).toBe(403);
      expect((await on("PATCH", `${update}/journalentries`, batch, U)).status).toBe(204);
    });
  });

  describe("what an engine asks before it works", () => {
    it("answers who, which organization, capabilities and the project", async () => {
      expect((await call("GET", "/api/user")).body).toMatchObject({ githubLogin: "zhengyun", organizations: [{ githubLogin: "zhengyun" }] });
      expect((await call("GET", "/api/user/organizations/default")).body).toEqual({ GitHubLogin: "zhengyun" });
      expect((await call("GET", "/api/capabilities", undefined, { authorization: "" })).body.capabilities).toContainEqual({ capability: "batch-encrypt" });
      expect((await call("HEAD", "/api/stacks/zhengyun/department")).status).toBe(200);
      expect((await call("HEAD", "/api/stacks/zhengyun/other")).status).toBe(404);
      expect(await call("GET", "/api/nowhere")).toMatchObject({ status: 404, body: { code: 404 } });
    });

    it("makes its own stack once", async () => {
      const name = departmentStack(`dep_new_${count}`);
      token = service.issueOperationToken(name, { scope: "up" });
      expect((await call("GET", pathOf(name))).status).toBe(404);
      const make = () => call("POST", "/api/stacks/zhengyun/department", { stackName: name.stack, tags: { a: "1" } });
      expect((await make()).status).toBe(200);
      expect(await make()).toMatchObject({ status: 409, body: { message: expect.stringContaining("already exists") } });
      expect((await call("GET", pathOf(name))).body).toMatchObject({ stackName: name.stack, version: 0, tags: { a: "1" }, activeUpdate: "" });
    });

    it("exports an empty stack with a manifest", async () => {
      const { body } = await on("GET", "/export");
      expect(body).toMatchObject({ version: 3, deployment: { manifest: { magic: "", version: "" } } });
    });
  });

  describe("an update", () => {
    it("folds its journal into the next version", async () => {
      const { update, version, U } = await start();
      expect(version).toBe(1);
      expect((await on("GET", "")).body).toMatchObject({ tags: { owner: "us" }, currentOperation: { kind: "update" } });
      await on("PATCH", `${update}/journalentries`, { entries: created(1, "a") }, U);
      expect(names(await current())).toEqual([]);
      await on("PATCH", `${update}/journalentries`, { entries: created(3, "b") }, U);
      await on("POST", `${update}/events/batch`, { events: [{ sequence: 1 }, { summaryEvent: { resourceChanges: { create: 2 } } }] }, U);
      expect((await on("POST", `${update}/complete`, { status: "succeeded" }, U)).status).toBe(204);
      expect(names(await current())).toEqual(["a", "b"]);
      expect((await on("GET", "")).body).toMatchObject({ version: 1, activeUpdate: "" });
      expect(await history(opened.db, stack)).toMatchObject([
        { kind: "update", status: "succeeded", version: 1, fence: 7, message: "why", changes: { create: 2 } },
      ]);
      expect((await on("GET", "/updates?pageSize=1&page=1")).body.updates).toMatchObject([
        { kind: "update", result: "succeeded", version: 1, resourceChanges: { create: 2 }, environment: { a: "b" } },
      ]);
      expect((await on("GET", "/updates/latest")).body.info).toMatchObject({ version: 1 });
      const left = await opened.db.selectFrom("state_journal").selectAll().where("update_id", "=", update.slice(8)).execute();
      expect(left).toEqual([]);
    });

    it("takes repeated and overlapping batches, in any order, once", async () => {
      const { update, U } = await start();
      const [one, two, three, four] = [...created(1, "a"), ...created(3, "b")] as [JournalEntry, JournalEntry, JournalEntry, JournalEntry];
      for (const entries of [
        [three, four],
        [one, two],
        [two, three],
        [one, two, three, four],
        [four, four],
      ]) {
        expect((await on("PATCH", `${update}/journalentries`, { entries }, U)).status).toBe(204);
      }
      await on("POST", `${update}/complete`, { status: "succeeded" }, U);
      expect(names(await current())).toEqual(["a", "b"]);
    });

    it("keeps what JSON may hold and jsonb may not", async () => {
      const odd = { zero: "a\u0000b", lone: "\ud800", deep: { n: 1e-7, big: 1e21 }, 数: "政务云", quote: '\\"{}' };
      await run(...created(1, "a", { inputs: odd }));
      expect((await current()).resources?.[0]?.inputs).toEqual(odd);
    });

    it("is alone: the second is refused with 409, a preview isn't", async () => {
      const first = await start();
      const { body: made } = await on("POST", "/update", {});
      expect(await on("POST", `/update/${made.updateID}`, {})).toMatchObject({ status: 409, body: { message: expect.stringContaining(first.id) } });
      expect((await start("preview")).version).toBe(0);
      await on("POST", `${first.update}/complete`, { status: "succeeded" }, first.U);
      expect((await on("POST", `/update/${made.updateID}`, {})).status).toBe(200);
    });

    it("of many that start at once, one does", async () => {
      const ids = await Promise.all(Array.from({ length: 8 }, async () => (await on("POST", "/update", {})).body.updateID as string));
      const statuses = await Promise.all(ids.map(async (id) => (await on("POST", `/update/${id}`, {})).status));
      expect(statuses.toSorted((a, b) => a - b)).toEqual([200, 409, 409, 409, 409, 409, 409, 409]);
    });

    it("starts once", async () => {
      const { update } = await start();
      expect((await on("POST", update, {})).status).toBe(403);
    });

    it("may complete again when its answer was lost, but takes no more", async () => {
      const { update, U } = await start();
      await on("PATCH", `${update}/journalentries`, { entries: created(1, "a") }, U);
      for (let i = 0; i < 2; i++) expect((await on("POST", `${update}/complete`, { status: "failed" }, U)).status).toBe(204);
      expect((await on("PATCH", `${update}/journalentries`, { entries: created(3, "b") }, U)).status).toBe(403);
      expect((await on("POST", `${update}/renew_lease`, { duration: 300 }, U)).status).toBe(403);
      expect(await history(opened.db, stack)).toMatchObject([{ status: "failed", version: 1 }]);
    });

    it("renews its lease", async () => {
      const { id, update, U } = await start();
      await opened.db
        .updateTable("state_updates")
        .set({ lease_expires_at: new Date(Date.now() + 1000) })
        .where("id", "=", id)
        .execute();
      const { body } = await on("POST", `${update}/renew_lease`, { duration: 300 }, U);
      expect(body.token).toBe(U.authorization.slice("update-token ".length));
      expect(body.tokenExpiration).toBeGreaterThan(Date.now() / 1000 + 290);
    });

    it("loses the stack to the next one when its lease has run out, with what it recorded kept", async () => {
      const first = await start();
      await on("PATCH", `${first.update}/journalentries`, { entries: created(1, "a") }, first.U);
      await opened.db
        .updateTable("state_updates")
        .set({ lease_expires_at: new Date(Date.now() - 1) })
        .where("id", "=", first.id)
        .execute();
      const second = await start();
      expect(second.version).toBe(2);
      expect(names(await current())).toEqual(["a"]);
      expect((await on("PATCH", `${first.update}/journalentries`, { entries: created(3, "b") }, first.U)).status).toBe(403);
      expect((await history(opened.db, stack))[1]).toMatchObject({ status: "failed", reason: "its lease ran out", version: 1 });
    });

    it("may send full checkpoints instead of a journal", async () => {
      const { update, U } = await start();
      for (const many of [["a"], ["a", "b"]]) {
        const deployment = { manifest: { time: "", magic: "", version: "" }, resources: many.map((name) => resource(name)) };
        expect((await on("PATCH", `${update}/checkpoint`, { version: 3, deployment }, U)).status).toBe(204);
      }
      await on("POST", `${update}/complete`, { status: "succeeded" }, U);
      expect(names(await current())).toEqual(["a", "b"]);
    });

    it("that recorded nothing makes no version", async () => {
      await run();
      expect((await on("GET", "")).body.version).toBe(0);
      expect(await history(opened.db, stack)).toMatchObject([{ status: "succeeded", version: undefined }]);
    });

    it("whose state isn't sound leaves the previous version, and says so", async () => {
      await run(...created(1, "a"));
      const { id, update, U } = await start();
      await on("PATCH", `${update}/journalentries`, { entries: created(1, "b", { dependencies: ["urn:pulumi:s::p::t:t:T::ghost"] }) }, U);
      const { status, body } = await on("POST", `${update}/complete`, { status: "succeeded" }, U);
      expect({ status, message: body.message }).toEqual({ status: 400, message: expect.stringContaining("ghost") });
      expect(names(await current())).toEqual(["a"]);
      expect((await history(opened.db, stack))[0]).toMatchObject({ id, status: "failed", fault: expect.stringContaining("ghost") });
      expect(logged.some((line) => line.includes(id))).toBe(true);
      // What could not be folded stays for whoever looks into it, and the stack goes on.
      expect(await opened.db.selectFrom("state_journal").select("sequence_id").where("update_id", "=", id).execute()).toHaveLength(2);
      await run(...created(1, "c"));
      expect(names(await current())).toEqual(["c", "a"]);
    });

    it("whose journal makes no sense ends all the same", async () => {
      const { update, U } = await start();
      await on("PATCH", `${update}/journalentries`, { entries: [{ version: 1, kind: 1, sequenceID: 1, operationID: 1, removeOld: 5 }] }, U);
      expect((await on("POST", `${update}/complete`, { status: "succeeded" }, U)).status).toBe(400);
      expect(await history(opened.db, stack)).toMatchObject([{ status: "failed", fault: expect.stringContaining("resource 5") }]);
      expect((await start()).version).toBe(1);
    });
  });

  describe("ended by us", () => {
    it("settle keeps what was recorded, names what was interrupted, and frees the stack at once", async () => {
      const { update, id, U } = await start();
      const [begun] = created(3, "b");
      await on("PATCH", `${update}/journalentries`, { entries: [...created(1, "a"), begun] }, U);
      const settled = await settleUpdate(opened.db, stack, "the engine was killed");
      expect(settled).toEqual({
        update: id,
        kind: "update",
        status: "failed",
        version: 1,
        resources: 1,
        interrupted: [{ type: "creating", urn: resource("b").urn }],
        fault: undefined,
      });
      expect(names(await current())).toEqual(["a"]);
      expect((await current()).pending_operations).toBeUndefined();
      expect((await on("PATCH", `${update}/journalentries`, { entries: created(5, "c") }, U)).status).toBe(403);
      expect((await on("POST", `${update}/complete`, { status: "succeeded" }, U)).status).toBe(403);
      expect(await history(opened.db, stack)).toMatchObject([{ status: "failed", reason: "the engine was killed", interrupted: [{ type: "creating" }] }]);
      expect(await settleUpdate(opened.db, stack, "again")).toBeUndefined();
      expect((await start()).version).toBe(2);
    });

    it("cancel over HTTP revokes and settles; a preview isn't touched", async () => {
      const { update, U } = await start();
      const preview = await start("preview");
      await on("PATCH", `${update}/journalentries`, { entries: created(1, "a") }, U);
      for (let i = 0; i < 2; i++) expect((await on("POST", `${update}/cancel`)).status).toBe(204);
      expect((await on("PATCH", `${update}/journalentries`, { entries: created(3, "b") }, U)).status).toBe(403);
      expect((await on("POST", `${preview.update}/complete`, { status: "succeeded" }, preview.U)).status).toBe(204);
      expect(await history(opened.db, stack)).toMatchObject([{ status: "cancelled", version: 1 }]);
      expect(await cancelUpdate(opened.db, stack)).toBeUndefined();
    });

    it("many that settle one update at once make one version", async () => {
      const { update, U } = await start();
      await on("PATCH", `${update}/journalentries`, { entries: created(1, "a") }, U);
      const all = await Promise.all([
        ...Array.from({ length: 4 }, () => settleUpdate(opened.db, stack, "gone")),
        on("POST", `${update}/complete`, { status: "succeeded" }, U),
      ]);
      expect(all.filter((each) => each && "version" in each).every((each) => (each as { version: number }).version === 1)).toBe(true);
      expect((await on("GET", "")).body.version).toBe(1);
      expect(await history(opened.db, stack)).toHaveLength(1);
    });

    it("settleAll ends what a dead control plane left, not what a living one runs", async () => {
      const dead = await start();
      await on("PATCH", `${dead.update}/journalentries`, { entries: created(1, "a") }, dead.U);
      const { stack: deadStack } = stack;
      await opened.db.updateTable("state_updates").set({ owner_started: "1" }).where("id", "=", dead.id).execute();
      stack = departmentStack(`dep_living_${count}`);
      await ensureStack(opened.db, stack);
      token = service.issueOperationToken(stack, { scope: "up" });
      const living = await start();
      const settled = await settleAll(opened.db);
      expect(settled).toMatchObject([{ stack: deadStack, update: dead.id, version: 1, status: "failed" }]);
      expect((await on("POST", `${living.update}/complete`, { status: "succeeded" }, living.U)).status).toBe(204);
    });

    it("a kill between the steps of settling is made good by the next settling", async () => {
      const { update, id, U } = await start();
      await on("PATCH", `${update}/journalentries`, { entries: created(1, "a") }, U);
      await opened.db.updateTable("state_updates").set({ status: "settling" }).where("id", "=", id).execute();
      expect((await on("POST", "/update", {})).status).toBe(200);
      expect(await settleUpdate(opened.db, stack, "restart")).toMatchObject({ update: id, version: 1 });
      expect(names(await current())).toEqual(["a"]);
    });
  });

  describe("versions", () => {
    it("are exported by their number, and are there or not", async () => {
      for (let version = 1; version <= 5; version++) await run(...created(1, `v${version}`));
      expect(names((await exportDeployment(opened.db, stack, { version: 3 })).deployment)).toEqual(["v3", "v2", "v1"]);
      await expect(exportDeployment(opened.db, stack, { version: 6 })).rejects.toThrow("isn't kept");
      expect((await on("GET", "/export/4")).body.deployment.resources).toHaveLength(4);
      expect((await on("GET", "/export/6")).status).toBe(404);
      expect((await on("GET", "/export/x")).status).toBe(400);
    });

    it("forgets old previews and what was never started, not what happened", async () => {
      await run(...created(1, "a"));
      const preview = await start("preview");
      await on("POST", "/update", {});
      const longAgo = new Date(Date.now() - 7_200_000);
      const { id } = (await currentStack())!;
      await opened.db.updateTable("state_updates").set({ created_at: longAgo }).where("stack_id", "=", id).execute();
      await opened.db.updateTable("state_updates").set({ lease_expires_at: longAgo }).where("id", "=", preview.id).execute();
      await run(...created(1, "b"));
      const left = await opened.db.selectFrom("state_updates").select(["kind", "status"]).where("stack_id", "=", id).execute();
      expect(left).toEqual([
        { kind: "update", status: "succeeded" },
        { kind: "update", status: "succeeded" },
      ]);
    });

    it("imports a sound state only, and not under a running update", async () => {
      const sound = { version: 3, deployment: { manifest: { time: "", magic: "", version: "" }, resources: [resource("a")] } };
      const twins = { ...sound, deployment: { ...sound.deployment, resources: [resource("a"), resource("a")] } };
      expect(await on("POST", "/import", twins)).toMatchObject({ status: 400, body: { message: expect.stringContaining("twice") } });
      const { body } = await on("POST", "/import", sound, { gzip: true });
      expect((await on("GET", `/update/${body.updateId}`)).body).toEqual({ status: "succeeded", events: [] });
      expect(names(await current())).toEqual(["a"]);
      await start();
      expect((await on("POST", "/import", sound)).status).toBe(409);
    });

    it("renames a stack, in its URNs too, and its secrets still open", async () => {
      const ciphertext = (await on("POST", "/encrypt", { plaintext: "aGk=" })).body.ciphertext;
      await run(...created(1, "a", { urn: `urn:pulumi:${stack.stack}::department::t:t:T::a` }));
      const to = { ...stack, stack: `dep_renamed_${count}` };
      expect((await on("POST", "/rename", { newName: to.stack, newProject: "" })).status).toBe(204);
      stack = to;
      token = service.issueOperationToken(to, { scope: "up" });
      expect((await current()).resources?.[0]?.urn).toBe(`urn:pulumi:${to.stack}::department::t:t:T::a`);
      expect((await on("POST", "/decrypt", { ciphertext })).body.plaintext).toBe("aGk=");
    });

    it("removes an empty stack, and a full one by force", async () => {
      await run(...created(1, "a"));
      expect(await on("DELETE", "?force=false")).toMatchObject({ status: 400, body: { message: "Bad Request: Stack still contains resources." } });
      await expect(removeStack(opened.db, stack)).rejects.toThrow(StackNotEmpty);
      expect((await listStacks(opened.db)).find((each) => each.stack === stack.stack)).toMatchObject({ version: 1, resources: 1 });
      expect((await on("DELETE", "?force=true")).status).toBe(204);
      await expect(currentDeployment(opened.db, stack)).rejects.toThrow(StackNotFound);
    });

    it("removes and renames nothing under a running update, force or not", async () => {
      const { update, U } = await start();
      expect((await on("DELETE", "?force=true")).status).toBe(409);
      expect((await on("POST", "/rename", { newName: `dep_no_${count}` })).status).toBe(409);
      expect((await on("POST", `${update}/complete`, { status: "succeeded" }, U)).status).toBe(204);
      expect((await on("DELETE", "?force=true")).status).toBe(204);
    });

    it("of an import and an update that begin at once, the update is based on the version that there is", async () => {
      const sound = { version: 3, deployment: { manifest: { time: "", magic: "", version: "" }, resources: [resource("imported")] } };
      for (let round = 0; round < 10; round++) {
        const { body: made } = await on("POST", "/update", {});
        const [imported, started] = await Promise.all([on("POST", "/import", sound), on("POST", `/update/${made.updateID}`, { journalVersion: 1 })]);
        expect(started.status).toBe(200);
        const U = { authorization: `update-token ${started.body.token}`, gzip: true };
        await on("PATCH", `/update/${made.updateID}/journalentries`, { entries: created(1, `made${round}`) }, U);
        expect((await on("POST", `/update/${made.updateID}/complete`, { status: "succeeded" }, U)).status).toBe(204);
        expect([200, 409]).toContain(imported.status);
        if (imported.status === 200) expect(names(await current())).toEqual([`made${round}`, "imported"]);
      }
    });

    it("replaces a stack's tags", async () => {
      expect((await on("PATCH", "/tags", { b: "2" })).status).toBe(204);
      expect((await on("GET", "")).body.tags).toEqual({ b: "2" });
    });
  });

  describe("secrets", () => {
    it("encrypts and opens one and many; equal texts differ", async () => {
      const plaintexts = ["", "a", "密码", "a"].map((text) => Buffer.from(text).toString("base64"));
      const { body } = await on("POST", "/batch-encrypt", { plaintexts }, { gzip: true });
      expect(new Set(body.ciphertexts).size).toBe(4);
      const { body: back } = await on("POST", "/batch-decrypt", { ciphertexts: body.ciphertexts }, { gzip: true });
      expect(body.ciphertexts.map((ciphertext: string) => back.plaintexts[ciphertext])).toEqual(plaintexts);
      expect((await on("POST", "/decrypt", { ciphertext: body.ciphertexts[2] })).body).toEqual({ plaintext: plaintexts[2] });
      expect((await on("POST", "/batch-encrypt", { plaintexts: null })).body).toEqual({ ciphertexts: [] });
      for (const report of ["log-decryption", "log-batch-decryption"]) expect((await on("POST", `/decrypt/${report}`, {})).status).toBe(204);
    });

    it("doesn't open another stack's, nor a changed one", async () => {
      const { ciphertext } = (await on("POST", "/encrypt", { plaintext: "aGk=" })).body;
      const changed = Buffer.from(ciphertext, "base64");
      changed[changed.length - 1]! ^= 1;
      expect((await on("POST", "/decrypt", { ciphertext: changed.toString("base64") })).status).toBe(400);
      stack = departmentStack(`dep_thief_${count}`);
      await ensureStack(opened.db, stack);
      token = service.issueOperationToken(stack, { scope: "manage" });
      expect(await on("POST", "/decrypt", { ciphertext })).toMatchObject({
        status: 400,
        body: { message: expect.stringContaining("wasn't made for this stack") },
      });
    });

    it("refuses to serve a database under another master key", async () => {
      await expect(startStateService({ db: opened.db, keys: keysFrom(randomBytes(32)) })).rejects.toThrow("master key");
    });
  });

  describe("bad input", () => {
    it.each([
      ["no JSON", { body: "{" }, 400],
      ["no gzip", { body: "hello", headers: { "content-encoding": "gzip" } }, 400],
      ["a bomb", { body: gzipSync(Buffer.alloc(largestBody + 1)), headers: { "content-encoding": "gzip" } }, 413],
      ["entries without a number", { body: '{"entries":[{}]}' }, 400],
    ])("%s is refused", async (_, { body, headers }: { body: string | Buffer<ArrayBuffer>; headers?: Record<string, string> }, status) => {
      const { update, U } = await start();
      const response = await fetch(`${service.url}${pathOf(stack)}${update}/journalentries`, {
        method: "PATCH",
        body,
        headers: { authorization: U.authorization, ...headers },
      });
      expect(response.status).toBe(status);
      expect(await response.json()).toMatchObject({ code: status });
    });
  });

  it("listens on this machine only", () => {
    expect(new URL(service.url).hostname).toBe("127.0.0.1");
  });
});
