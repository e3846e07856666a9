import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Approval, specDigest } from "../../infra/approval.ts";
import type { Outcome } from "../../infra/operations.ts";
import { loadDriver } from "./paper-driver.ts";
import { attachment, estate, host, id, policy, volume } from "./estate.ts";
import { filesWith, openStacks, openWorld, type World } from "./world.ts";

let world: World;
let stacks: Awaited<ReturnType<typeof openStacks>>;
beforeAll(async () => {
  world = await openWorld();
  stacks = await openStacks(world);
}, 60_000);
afterAll(async () => {
  stacks.close();
  await world.close();
});

let departments = 100;
/** A department that no other test touches, with resources of its own. */
function department() {
  const n = ++departments;
  const base = n * 10;
  return {
    department: id("dep", n),
    host: (k: number, more = {}) => host(base + k, more),
    volume: (k: number, more = {}) => volume(base + k, more),
    attachment: (k: number, h: number, v: number) => attachment(base + k, base + h, base + v),
    policy: (k: number, v: number, more = {}) => policy(base + k, base + v, more),
  };
}
const plan = (outcome: Outcome) => outcome.steps.map((step) => `${step.action} ${step.name}`).sort();
const names = (dep: string) =>
  world.paper
    .all()
    .filter((thing) => thing.scope === dep)
    .map((thing) => thing.name)
    .sort();

describe("a department's stack", () => {
  it("is previewed, made, found unchanged and destroyed", async () => {
    const d = department();
    const spec = estate({
      department: d.department,
      hosts: [d.host(1), d.host(2), d.host(3)],
      volumes: [d.volume(1)],
      attachments: [d.attachment(1, 1, 1)],
      backupPolicies: [d.policy(1, 1)],
    });
    const all = [...spec.hosts, ...spec.volumes, ...spec.attachments, ...spec.backupPolicies].map((item) => item.name).sort();

    const preview = await stacks.run("preview", spec);
    expect(preview).toMatchObject({ result: "succeeded", failures: [] });
    expect(plan(preview)).toEqual(all.map((name) => `create ${name}`).sort());
    expect(names(d.department)).toEqual([]);

    const up = await stacks.run("up", spec);
    expect(up).toMatchObject({ result: "succeeded", failures: [], message: undefined });
    expect(plan(up)).toEqual(plan(preview));
    expect(names(d.department)).toEqual(all);

    expect(plan(await stacks.run("preview", spec))).toEqual(all.map((name) => `same ${name}`).sort());
    const destroyed = await stacks.run("destroy", spec);
    expect(plan(destroyed)).toEqual(all.map((name) => `delete ${name}`).sort());
    expect(names(d.department)).toEqual([]);
    expect((await world.state(d.department)).deployment).not.toHaveProperty("resources.1");
  }, 60_000);

  it("does not let one bad host fail its neighbours, and says what was not attempted because of it", async () => {
    const d = department();
    const bad = d.host(2, { image: "nope" });
    const spec = estate({
      department: d.department,
      hosts: [d.host(1), bad],
      volumes: [d.volume(1)],
      attachments: [d.attachment(1, 2, 1), d.attachment(2, 1, 1)],
    });
    const up = await stacks.run("up", spec);
    expect(up.result).toBe("failed");
    expect(up.failures).toEqual([
      { kind: "host", name: bad.name, code: "unknown-image", message: "image nope is not known here" },
      { kind: "attachment", name: d.attachment(1, 2, 1).name, code: "dependency-failed", message: `not attempted, because ${bad.name} failed` },
    ]);
    expect(names(d.department)).toEqual([d.host(1).name, d.volume(1).name, d.attachment(2, 1, 1).name].sort());
    expect(stacks.heard).toContainEqual(expect.objectContaining({ type: "step-failed", code: "unknown-image" }));

    const withdrawn = { ...spec, hosts: [d.host(1)], attachments: [d.attachment(2, 1, 1)] };
    expect(await stacks.run("up", withdrawn)).toMatchObject({ result: "succeeded", failures: [] });
  }, 60_000);

  it("changes in place what can be, replaces what cannot, and shows from what to what", async () => {
    const d = department();
    const before = estate({
      department: d.department,
      hosts: [d.host(1), d.host(2)],
      volumes: [d.volume(1)],
      attachments: [d.attachment(1, 2, 1)],
      backupPolicies: [d.policy(1, 1)],
    });
    await stacks.run("up", before);
    const first = world.paper.find("host", d.host(1).name)!.id;
    const after = {
      ...before,
      hosts: [d.host(1, { flavour: { vcpu: 4, memoryMib: 64, diskGib: 1 }, power: "stopped" }), d.host(2, { image: "newer" })],
      volumes: [d.volume(1, { sizeGib: 3 })],
      backupPolicies: [d.policy(1, 1, { keep: 9 })],
    };

    const preview = await stacks.run("preview", after);
    expect(Object.fromEntries(preview.steps.map((step) => [step.name, [step.action, step.changes]]))).toEqual({
      [d.host(1).name]: [
        "update",
        [
          { path: "flavour.vcpu", before: 1, after: 4 },
          { path: "power", before: "running", after: "stopped" },
        ],
      ],
      [d.host(2).name]: ["replace", [{ path: "image", before: "base", after: "newer" }]],
      [d.volume(1).name]: ["update", [{ path: "sizeGib", before: 1, after: 3 }]],
      [d.attachment(1, 2, 1).name]: ["replace", []],
      [d.policy(1, 1).name]: ["update", [{ path: "keep", before: 7, after: 9 }]],
    });

    expect(await stacks.run("up", after)).toMatchObject({ result: "succeeded", steps: expect.arrayContaining(preview.steps) });
    expect(world.paper.find("host", d.host(1).name)).toMatchObject({ id: first, spec: { flavour: { vcpu: 4 }, power: "stopped" } });
    expect(world.paper.find("host", d.host(2).name)).toMatchObject({ id: `${d.host(2).name}.2`, spec: { image: "newer" } });
    expect(world.paper.find("attachment", d.attachment(1, 2, 1).name)?.id).toBe(`${d.attachment(1, 2, 1).name}.2`);
    expect(world.paper.find("backup-policy", d.policy(1, 1).name)).toMatchObject({ spec: { keep: 9 } });
  }, 60_000);

  it("replaces a volume with all that hangs on it, in the right order", async () => {
    const d = department();
    const before = estate({
      department: d.department,
      hosts: [d.host(1)],
      volumes: [d.volume(1)],
      attachments: [d.attachment(1, 1, 1)],
      backupPolicies: [d.policy(1, 1)],
    });
    await stacks.run("up", before);
    const up = await stacks.run("up", { ...before, volumes: [d.volume(1, { tier: "capacity" })] });
    expect(up).toMatchObject({ result: "succeeded" });
    expect(plan(up)).toEqual(
      [`replace ${d.attachment(1, 1, 1).name}`, `replace ${d.policy(1, 1).name}`, `replace ${d.volume(1).name}`, `same ${d.host(1).name}`].sort(),
    );
    expect(
      stacks.heard
        .filter((progress) => progress.operation === up.operation && "step" in progress && progress.step.name === d.volume(1).name)
        .map((progress) => progress.type),
    ).toEqual(["step-started", "step-done"]);
  }, 60_000);

  it.each([
    ["shrinks a volume", (d: ReturnType<typeof department>) => ({ volumes: [d.volume(1, { sizeGib: 1 })] }), "unsupported", /cannot shrink from 2 to 1 GiB/],
    ["asks for nonsense", (d: ReturnType<typeof department>) => ({ volumes: [d.volume(1, { sizeGib: -1 })] }), "invalid-inputs", /sizeGib: Too small/],
    [
      "attaches another department's volume",
      (d: ReturnType<typeof department>) => ({ attachments: [d.attachment(1, 1, 7)] }),
      "invalid-inputs",
      /the volume is not among the department's volumes/,
    ],
    [
      "names a pool that is not there",
      (d: ReturnType<typeof department>) => ({ volumes: [d.volume(1, { sizeGib: 2 }), d.volume(2, { pool: id("pol", 9) })] }),
      "unknown-pool",
      /no resource pool pol_0+9 is known here/,
    ],
  ])(
    "fails only the resource that %s",
    async (_, change, code, message) => {
      const d = department();
      const before = estate({ department: d.department, hosts: [d.host(1)], volumes: [d.volume(1, { sizeGib: 2 })] });
      await stacks.run("up", before);
      const up = await stacks.run("up", { ...before, hosts: [d.host(1), d.host(5)], ...change(d) });
      expect(up.failures).toEqual([expect.objectContaining({ code, message: expect.stringMatching(message) })]);
      expect(names(d.department)).toContain(d.host(5).name);
      expect(world.paper.find("volume", d.volume(1).name)).toMatchObject({ spec: { sizeGib: 2 } });
    },
    60_000,
  );
});

describe("an approval", () => {
  it("lets through exactly what was approved: creates, changes and deletions beside it are refused, and the rest goes on", async () => {
    const d = department();
    const spec = estate({ department: d.department, hosts: [d.host(1), d.host(2)], volumes: [d.volume(1)], attachments: [d.attachment(1, 1, 1)] });
    const kinds = { hst: "host", vol: "volume", att: "attachment", pcy: "backup-policy" } as const;
    const approve = (more: Partial<Record<string, Partial<Approval>>> = {}) =>
      [...spec.hosts, ...spec.volumes, ...spec.attachments].map((one) => ({
        name: one.name,
        digest: specDigest(kinds[one.name.slice(0, 3) as "hst"], one),
        remove: false,
        ...more[one.name],
      }));
    // One host is wanted bigger than it was approved, and a volume that nobody approved.
    const moved = estate({ ...spec, hosts: [d.host(1), d.host(2, { flavour: { vcpu: 64, memoryMib: 64, diskGib: 1 } })], volumes: [d.volume(1), d.volume(2)] });
    const first = await stacks.run("up", moved, { approved: approve() });
    expect(first.result).toBe("failed");
    expect(first.failures.map(({ name, code }) => `${code} ${name}`).sort()).toEqual([`not-approved ${d.host(2).name}`, `not-approved ${d.volume(2).name}`]);
    expect(names(d.department)).toEqual([d.attachment(1, 1, 1).name, d.host(1).name, d.volume(1).name]);
    expect((await stacks.run("up", spec, { approved: approve() })).result).toBe("succeeded");
    // A change in place, and a deletion.
    const changed = estate({ ...spec, hosts: [d.host(1, { sshKeys: ["ssh-ed25519 AAAA stranger"] }), d.host(2)] });
    expect((await stacks.run("up", changed, { approved: approve() })).failures[0]).toMatchObject({ name: d.host(1).name, code: "not-approved" });
    const without = estate({ ...spec, hosts: [d.host(1)] });
    expect((await stacks.run("up", without, { approved: approve() })).failures[0]).toMatchObject({ name: d.host(2).name, code: "not-approved" });
    expect(names(d.department)).toHaveLength(4);
    expect((await stacks.run("up", without, { approved: approve({ [d.host(2).name]: { digest: null, remove: true } }) })).result).toBe("succeeded");
    expect(names(d.department)).toHaveLength(3);
  });
});

describe("a refresh", () => {
  it("sees what is gone and what crashed, from one listing; the next update mends it", async () => {
    const d = department();
    const spec = estate({ department: d.department, hosts: [d.host(1), d.host(2), d.host(3)], volumes: [d.volume(1)] });
    await stacks.run("up", spec);
    world.paper.remove(world.paper.find("host", d.host(1).name)!);
    world.paper.write({ ...world.paper.find("host", d.host(2).name)!, state: "crashed" });

    const listings = () => world.paper.diary().filter((line) => line === "list").length;
    const before = listings();
    const refresh = await stacks.run("refresh", spec);
    expect(refresh.result).toBe("succeeded");
    expect(listings() - before, "its own, and all for what is missing there").toBe(2);
    expect(plan(refresh)).toEqual([`delete ${d.host(1).name}`, `update ${d.host(2).name}`, `same ${d.host(3).name}`, `same ${d.volume(1).name}`].sort());

    const mend = await stacks.run("preview", spec);
    expect(plan(mend)).toEqual([`create ${d.host(1).name}`, `update ${d.host(2).name}`, `same ${d.host(3).name}`, `same ${d.volume(1).name}`].sort());
    expect(mend.steps.find((step) => step.action === "update")?.changes).toEqual([{ path: "power", before: "stopped", after: "running" }]);
    expect(await stacks.run("up", spec)).toMatchObject({ result: "succeeded" });
    expect(names(d.department)).toHaveLength(4);
  }, 60_000);
});

describe("what is out of sight", () => {
  it("stays as it was known, with what is attached to it, in drift, refresh and update: its machine doesn't answer", async () => {
    const d = department();
    const spec = estate({ department: d.department, hosts: [d.host(1), d.host(2)], volumes: [d.volume(1)], attachments: [d.attachment(1, 1, 1)] });
    await stacks.run("up", spec);
    world.paper.write({ ...world.paper.find("host", d.host(1).name)!, state: "unreachable" });
    world.paper.write({ ...world.paper.find("host", d.host(2).name)!, really: { flavour: { ...d.host(2).flavour, vcpu: 7 } } });
    const found = await stacks.run("drift", spec);
    expect(found).toMatchObject({ result: "succeeded", failures: [] });
    expect(found.steps.filter((step) => step.changes.length > 0).map((step) => step.name)).toEqual([d.host(2).name]);
    expect(found.steps.some((step) => step.action === "delete")).toBe(false);
    expect(await stacks.run("refresh", spec)).toMatchObject({ result: "succeeded" });
    const state = JSON.stringify(await world.state(d.department));
    expect(state).toContain('"unknown"');
    expect(plan(await stacks.run("preview", spec)).filter((step) => !step.startsWith("same"))).toEqual([`update ${d.host(2).name}`]);
    expect(names(d.department)).toHaveLength(4);
  }, 60_000);
});

describe("drift", () => {
  it("is told by a refresh that changes nothing, property by property, and put back by decision alone", async () => {
    const d = department();
    const spec = estate({
      department: d.department,
      hosts: [d.host(1), d.host(2), d.host(3)],
      volumes: [d.volume(1), d.volume(2)],
      attachments: [d.attachment(1, 1, 1)],
    });
    await stacks.run("up", spec);
    const thing = (kind: string, name: string) => world.paper.find(kind, name)!;
    const [one, two] = [d.host(1), d.host(2)];
    const { flavour } = one;
    world.paper.write({ ...thing("host", one.name), really: { flavour: { ...flavour, vcpu: 7 } }, strange: ["eth1 = nic"] });
    world.paper.write({ ...thing("host", two.name), really: { flavour: { ...flavour, memoryMib: null } }, state: "stopped" });
    world.paper.remove(thing("volume", d.volume(2).name));
    const state = await world.state(d.department);
    const found = await stacks.run("drift", spec);
    expect(found).toMatchObject({ result: "succeeded", failures: [] });
    expect(
      found.steps.flatMap(({ action, name, changes }) => (action === "same" ? [] : [{ name, action, changes }])).toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    ).toEqual([
      {
        name: one.name,
        action: "update",
        changes: [
          { path: "flavour.vcpu", before: 1, after: 7 },
          { path: "strange", before: undefined, after: ["eth1 = nic"] },
        ],
      },
      {
        name: two.name,
        action: "update",
        changes: [
          { path: "flavour.memoryMib", before: 64, after: undefined },
          { path: "power", before: "running", after: "stopped" },
        ],
      },
      { name: d.volume(2).name, action: "delete", changes: [] },
    ]);
    expect(await world.state(d.department)).toEqual(state);
    expect(plan(await stacks.run("preview", spec)).every((step) => step.startsWith("same"))).toBe(true);
    // An apply of something else leaves it alone; only what is put back is touched, and it is what it was.
    const approved = [
      ...spec.hosts.map((host) => ({ kind: "host" as const, spec: host })),
      ...spec.volumes.map((volume) => ({ kind: "volume" as const, spec: volume })),
    ].map(({ kind, spec: of }) => ({ name: of.name, digest: specDigest(kind, of), remove: of.name === d.volume(2).name }));
    const diary = world.paper.diary().length;
    const putBack = [
      { name: one.name, anew: false },
      { name: d.volume(2).name, anew: true },
    ];
    expect(await stacks.run("up", spec, { approved, putBack })).toMatchObject({ result: "succeeded", failures: [] });
    expect(world.paper.diary().slice(diary).toSorted()).toEqual([`create volume ${d.volume(2).name}`, `update host ${one.name}`]);
    expect(thing("host", one.name)).toMatchObject({ spec: { flavour } });
    expect(thing("host", one.name)).not.toHaveProperty("strange");
    expect(thing("host", two.name).really, "not decided on").toBeDefined();
    const after = await stacks.run("drift", spec);
    expect(after.steps.filter((step) => step.action !== "same").map((step) => step.name)).toEqual([two.name]);
  }, 60_000);
});

describe("what an interrupted operation left", () => {
  it("is taken over where it is what is wanted, and brought up to date", async () => {
    const d = department();
    const driver = loadDriver("paper", path.join(world.directory, "cloud"));
    const left = await driver.createVolume(d.volume(1), { scope: d.department, fence: 0 });
    expect(await stacks.run("up", estate({ department: d.department, volumes: [d.volume(1, { sizeGib: 4 })] }))).toMatchObject({ result: "succeeded" });
    expect(world.paper.find("volume", d.volume(1).name)).toMatchObject({ id: left.id, spec: { sizeGib: 4 } });
  }, 60_000);

  it("is recorded as it is where it must be replaced, so that it can neither be orphaned nor lost", async () => {
    const d = department();
    const driver = loadDriver("paper", path.join(world.directory, "cloud"));
    await driver.createHost(d.host(1, { image: "older" }), { scope: d.department, fence: 0 });
    const spec = estate({ department: d.department, hosts: [d.host(1)] });
    const first = await stacks.run("up", spec);
    expect(first.failures).toEqual([expect.objectContaining({ name: d.host(1).name, code: "conflict" })]);
    const second = await stacks.run("up", spec);
    expect(second).toMatchObject({ result: "succeeded", steps: [expect.objectContaining({ action: "replace" })] });
    expect(world.paper.find("host", d.host(1).name)).toMatchObject({ id: `${d.host(1).name}.2`, spec: { image: "base" } });
    await stacks.run("up", estate({ department: d.department }));
    expect(names(d.department)).toEqual([]);
  }, 60_000);
});

describe("an operation", () => {
  it("is refused by the driver when its lease has passed on", async () => {
    const d = department();
    await stacks.run("up", estate({ department: d.department, hosts: [d.host(1)] }), { fence: 9_000 });
    const late = await stacks.run("up", estate({ department: d.department, hosts: [d.host(1), d.host(2)] }), { fence: 8_000 });
    expect(late.failures).toEqual([expect.objectContaining({ name: d.host(2).name, code: "stale-fence" })]);
    expect(names(d.department)).toEqual([d.host(1).name]);
  }, 60_000);

  it("can be cancelled: what waits is given up, nothing is left behind", async () => {
    const d = department();
    const spec = estate({ department: d.department, hosts: [d.host(1), d.host(2, { image: "slow" })] });
    const abort = new AbortController();
    const outcome = await stacks.run("up", spec, {
      signal: abort.signal,
      onProgress: (progress) => {
        if (progress.type === "step-done" && progress.step.name === d.host(1).name) abort.abort();
      },
    });
    expect(outcome.result).toBe("cancelled");
    expect(names(d.department)).toEqual([d.host(1).name]);
    expect(await stacks.run("up", { ...spec, hosts: [d.host(1)] })).toMatchObject({ result: "succeeded" });
  }, 60_000);

  it("says plainly when the state service is not to be reached", async () => {
    const d = department();
    const operation = await world.operation("up", estate({ department: d.department }));
    const { runOperation } = await import("../../infra/stack.ts");
    const outcome = await runOperation(
      { ...operation, state: { ...operation.state, token: "wrong-token-of-nobody" } },
      { engineRoot: world.engine.root, slotDir: path.join(world.directory, "slot-alone"), providerPort: 1 },
    );
    expect(outcome.result).toBe("failed");
    expect(outcome.message).toMatch(/./);
    expect(outcome.message).not.toContain("wrong-token-of-nobody");
    await world.end(operation);
  }, 60_000);

  it("runs beside operations of other departments in one process", async () => {
    const many = Array.from({ length: 3 }, () => department());
    const outcomes = await Promise.all(many.map((d) => stacks.run("up", estate({ department: d.department, hosts: [d.host(1), d.host(2)] }))));
    expect(outcomes.map((outcome) => outcome.result)).toEqual(["succeeded", "succeeded", "succeeded"]);
    for (const d of many) expect(names(d.department)).toHaveLength(2);
  }, 60_000);
});

describe("a secret", () => {
  it("is nowhere in the clear: not in state, logs, work directories, database, progress or outcomes", async () => {
    const secret = "correct-horse-battery-staple";
    const d = department();
    const userData = `#!/bin/sh\necho ${secret}`;
    const spec = (more = {}) => estate({ department: d.department, hosts: [d.host(1, { userData, ...more }), d.host(2, { userData, image: "nope" })] });
    const said = [
      await stacks.run("preview", spec()),
      await stacks.run("up", spec()),
      await stacks.run("up", spec({ power: "stopped" })),
      await stacks.run("preview", spec({ userData: "other-secret-entirely" })),
      await stacks.run("refresh", spec()),
    ];
    // The driver did get it.
    expect(world.paper.find("host", d.host(1).name)?.spec.userData).toBe(userData);
    expect(said[3]!.steps.find((step) => step.action === "replace")?.changes).toContainEqual({ path: "userData", before: "[secret]", after: "[secret]" });
    expect(JSON.stringify([said, stacks.heard, await world.state(d.department)])).not.toContain(secret);
    const files = await filesWith(world.directory, secret);
    expect(files.filter((file) => !file.startsWith(path.join(world.directory, "cloud")))).toEqual([]);
  }, 60_000);
});

describe("a department's state", () => {
  it("says nothing of where our source lies", async () => {
    const d = department();
    await stacks.run("up", estate({ department: d.department, hosts: [d.host(1)] }));
    const state = JSON.stringify(await world.state(d.department));
    expect(state).toContain(d.host(1).name);
    expect(state).not.toMatch(/stackTrace|sourcePosition|\.ts\b/);
  }, 60_000);
});

describe("a slot's directory", () => {
  it("keeps neither work directories nor the engine's logs", async () => {
    const d = department();
    await stacks.run("up", estate({ department: d.department, volumes: [d.volume(1)] }));
    for (const slot of (await readdir(world.directory)).filter((name) => name.startsWith("slot-"))) {
      expect(await readdir(path.join(world.directory, slot))).toEqual(["home"]);
      expect((await stat(path.join(world.directory, slot, "home", "logs"))).size).toBe(0);
    }
  }, 60_000);
});
