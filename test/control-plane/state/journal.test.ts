import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Deployment, emptyDeployment, type JournalEntry, Kind, type Resource } from "../../../control-plane/state/deployment.ts";
import { integrityFault } from "../../../control-plane/state/integrity.ts";
import { replay } from "../../../control-plane/state/journal.ts";

const stamp = { now: new Date("2026-11-23T00:00:00Z"), engine: "3.250.0" };
const urn = (name: string) => `urn:pulumi:s::p::t:t:T::${name}`;
const resource = (name: string, more: Partial<Resource> = {}): Resource => ({ urn: urn(name), type: "t:t:T", custom: true, id: name, ...more });
const base = (...resources: Resource[]): Deployment => ({ ...emptyDeployment(), resources });

let sequence = 0;
const entry = (kind: number, more: Partial<JournalEntry> = {}): JournalEntry => ({ version: 1, kind, sequenceID: ++sequence, operationID: 0, ...more });
const fold = (from: Deployment, ...entries: JournalEntry[]) => replay(from, entries, stamp);
const ids = ({ deployment }: { deployment: Deployment }) => (deployment.resources ?? []).map(({ id }) => id);

describe("replay", () => {
  it("puts what the update recorded before what it left alone", () => {
    expect(ids(fold(base(resource("a"), resource("b")), entry(Kind.success, { operationID: 1, state: resource("c") })))).toEqual(["c", "a", "b"]);
  });

  it("takes 0 for an index of the base", () => {
    expect(ids(fold(base(resource("a"), resource("b")), entry(Kind.success, { operationID: 1, removeOld: 0 })))).toEqual(["b"]);
    expect(ids(fold(base(resource("a")), entry(Kind.success, { operationID: 1, removeOld: null })))).toEqual(["a"]);
  });

  it("drops and marks what this update itself recorded", () => {
    const made = [1, 2, 3].map((operationID) => entry(Kind.success, { operationID, state: resource(`n${operationID}`) }));
    const { deployment } = fold(
      base(),
      ...made,
      entry(Kind.success, { operationID: 4, removeNew: 1 }),
      entry(Kind.success, { operationID: 5, deleteNew: 2 }),
      entry(Kind.success, { operationID: 6, pendingReplacementNew: 3 }),
    );
    expect(deployment.resources).toEqual([resource("n2", { delete: true }), resource("n3", { pendingReplacement: true })]);
  });

  it("marks resources of the base, and a new state wins over marks", () => {
    const { deployment } = fold(
      base(resource("a"), resource("b"), resource("c")),
      entry(Kind.success, { operationID: 1, deleteOld: 0 }),
      entry(Kind.success, { operationID: 2, pendingReplacementOld: 1 }),
      entry(Kind.success, { operationID: 3, deleteOld: 2 }),
      entry(Kind.outputs, { operationID: 4, removeOld: 2, state: resource("c", { outputs: { x: 1 } }) }),
    );
    expect(deployment.resources).toEqual([resource("a", { delete: true }), resource("b", { pendingReplacement: true }), resource("c", { outputs: { x: 1 } })]);
  });

  it("replaces in place by outputs and refreshes, and drops what a refresh found gone", () => {
    const { deployment } = fold(
      base(resource("a"), resource("b"), resource("c", { dependencies: [urn("b")] })),
      entry(Kind.success, { operationID: 1, state: resource("n") }),
      entry(Kind.outputs, { operationID: 2, removeNew: 1, state: resource("n", { outputs: { x: 1 } }) }),
      entry(Kind.refreshSuccess, { operationID: 3, removeOld: 0, state: resource("a", { outputs: { y: 1 } }) }),
      entry(Kind.refreshSuccess, { operationID: 4, removeOld: 1 }),
    );
    expect(deployment.resources).toEqual([resource("n", { outputs: { x: 1 } }), resource("a", { outputs: { y: 1 } }), resource("c", { dependencies: [] })]);
  });

  it("prunes every kind of reference to what a refresh found gone", () => {
    const { deployment } = fold(
      base(
        resource("a"),
        resource("b"),
        resource("c", {
          parent: urn("a"),
          dependencies: [urn("a"), urn("b")],
          propertyDependencies: { x: [urn("a")], y: [urn("a"), urn("b")], z: [] },
          deletedWith: urn("a"),
          replaceWith: [urn("a"), urn("b")],
        }),
      ),
      entry(Kind.refreshSuccess, { operationID: 1, removeOld: 0 }),
    );
    expect(deployment.resources?.[1]).toEqual(resource("c", { dependencies: [urn("b")], propertyDependencies: { y: [urn("b")] }, replaceWith: [urn("b")] }));
    expect(integrityFault(deployment)).toBeUndefined();
  });

  it("knows what was begun and never ended, and keeps the base's pending creates only", () => {
    const pending = (name: string, type: "creating" | "deleting") => ({ type, resource: resource(name) });
    const { deployment } = fold(
      { ...base(), pending_operations: [pending("x", "creating"), pending("y", "deleting")] },
      entry(Kind.begin, { operationID: 1, operation: pending("a", "creating") }),
      entry(Kind.begin, { operationID: 2, operation: pending("b", "creating") }),
      entry(Kind.begin, { operationID: 3, operation: pending("c", "deleting") }),
      entry(Kind.begin, { operationID: 4 }),
      entry(Kind.success, { operationID: 1, state: resource("a") }),
      entry(Kind.failure, { operationID: 2 }),
    );
    expect(deployment.pending_operations).toEqual([pending("c", "deleting"), pending("x", "creating")]);
  });

  it("takes a written state for its new base, and folds at a rebuilt one", () => {
    const { deployment } = fold(
      base(resource("gone")),
      entry(Kind.write, { newSnapshot: base(resource("a"), resource("b")) }),
      entry(Kind.refreshSuccess, { operationID: 1, removeOld: 0 }),
      entry(Kind.rebuiltBaseState),
      entry(Kind.success, { operationID: 2, state: resource("b", { outputs: { x: 1 } }), removeOld: 0 }),
    );
    expect(deployment.resources).toEqual([resource("b", { outputs: { x: 1 } })]);
  });

  it("keeps secrets provider, metadata, extensions and snippets", () => {
    const provider = { type: "service", state: { url: "u" } };
    const { deployment, version, features } = fold(
      { ...base(), metadata: { m: 1 }, extensions: { e: 1 } },
      entry(Kind.secretsManager, { secretsProvider: provider }),
      entry(Kind.extensionParameterize, { extensionRef: "f", extension: 2 }),
      entry(Kind.snippets, { snippets: [{ uuid: "1", references: { a: urn("old") } }] }),
      entry(Kind.success, { operationID: 1, state: resource("new", { aliases: [urn("old")], taint: true }) }),
    );
    expect(deployment).toMatchObject({
      secrets_providers: provider,
      metadata: { m: 1 },
      extensions: { e: 1, f: 2 },
      snippets: [{ uuid: "1", references: { a: urn("new") } }],
    });
    expect({ version, features }).toEqual({ version: 4, features: ["snippets-prototype", "taint"] });
    expect(fold(base(), entry(Kind.snippets)).version).toBe(3);
  });

  it("rewrites every reference to a former name, children's included", () => {
    const component = "urn:pulumi:s::p::t:c:Old::c";
    const renamed = "urn:pulumi:s::p::t:c:New::c";
    const { deployment } = fold(
      base(
        { urn: component, type: "t:c:Old", custom: false },
        { urn: "urn:pulumi:s::p::t:c:Old$pulumi:providers:t::prov", type: "pulumi:providers:t", custom: true, id: "1", parent: component },
        resource("x", {
          parent: component,
          dependencies: [component],
          propertyDependencies: { k: [component] },
          deletedWith: component,
          provider: "urn:pulumi:s::p::t:c:Old$pulumi:providers:t::prov::1",
        }),
      ),
      entry(Kind.success, { operationID: 1, removeOld: 0, state: { urn: renamed, type: "t:c:New", custom: false, aliases: [component, component] } }),
    );
    expect(deployment.resources).toEqual([
      { urn: renamed, type: "t:c:New", custom: false },
      { urn: "urn:pulumi:s::p::t:c:New$pulumi:providers:t::prov", type: "pulumi:providers:t", custom: true, id: "1", parent: renamed },
      resource("x", {
        urn: "urn:pulumi:s::p::t:c:New$t:t:T::x",
        parent: renamed,
        dependencies: [renamed],
        propertyDependencies: { k: [renamed] },
        deletedWith: renamed,
        provider: "urn:pulumi:s::p::t:c:New$pulumi:providers:t::prov::1",
      }),
    ]);
    expect(integrityFault(deployment)).toBeUndefined();
  });

  it.each<[string, JournalEntry]>([
    ["a resource outside the base", entry(Kind.success, { operationID: 1, removeOld: 1 })],
    ["a negative index", entry(Kind.success, { operationID: 1, deleteOld: -1 })],
    ["an operation that recorded nothing", entry(Kind.success, { operationID: 1, removeNew: 9 })],
    ["an unknown kind", entry(10)],
    ["a base without one", entry(Kind.write)],
  ])("refuses an entry with %s", (_, wrong) => {
    expect(() => fold(base(resource("a")), wrong)).toThrow(expect.objectContaining({ name: "InvalidState" }));
  });

  it("refuses one alias for two", () => {
    expect(() => fold(base(resource("a", { aliases: [urn("o")] }), resource("b", { aliases: [urn("o")] })))).toThrow("same alias");
  });

  it("leaves its arguments alone", () => {
    const from = freeze(base(resource("a", { aliases: [urn("o")] }), resource("b", { dependencies: [urn("o")] })));
    const entries = freeze([
      entry(Kind.success, { operationID: 1, state: resource("c") }),
      entry(Kind.success, { operationID: 2, deleteNew: 1, deleteOld: 0, isRefresh: true }),
    ]);
    expect(() => replay(from, entries, stamp)).not.toThrow();
  });
});

function freeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) Object.values(Object.freeze(value)).forEach(freeze);
  return value;
}

/** What an engine may do to one resource, by the resource's number. */
type Act = { act: "make" | "change" | "keep" | "remove" | "replace" | "refresh" | "lose" | "fail"; on: number };
const acts = fc.array(
  fc.record({ act: fc.constantFrom<Act["act"]>("make", "change", "keep", "remove", "replace", "refresh", "lose", "fail"), on: fc.nat(9) }),
  { maxLength: 40 },
);

/** An engine that writes a journal, beside the plain list of what ought to be there after each entry. */
function engine(from: string[], wanted: Act[]): { entries: JournalEntry[]; after: Set<string>[] } {
  const entries: JournalEntry[] = [];
  const after: Set<string>[] = [];
  const old = new Map(from.map((id, index) => [id.split(".")[0]!, { id, index }]));
  const made = new Map<string, { id: string; operation: number }>();
  const living = new Set(from);
  // An engine rebuilds its base after a refresh, before it replaces anything: in the old base, a refreshed state hides the mark of a replacement.
  const refreshed = new Set<string>();
  let operations = 0;
  const write = (kind: number, more: Partial<JournalEntry>) => {
    entries.push({ version: 1, kind, sequenceID: entries.length + 1, operationID: operations, ...more });
    after.push(new Set(living));
  };
  const where = (name: string): Partial<JournalEntry> => {
    const own = made.get(name);
    return own ? { removeNew: own.operation } : { removeOld: old.get(name)!.index };
  };
  const state = (name: string, id: string): Resource => ({ ...resource(name), id });
  const record = (name: string, id: string) => {
    const before = made.get(name)?.id ?? old.get(name)?.id;
    if (before) living.delete(before);
    living.add(id);
    made.set(name, { id, operation: operations });
  };
  for (const { act, on } of wanted) {
    const name = `r${on}`;
    const present = made.get(name) ?? old.get(name);
    const alive = present !== undefined && living.has(present.id);
    operations++;
    const next = `${name}.${operations}`;
    if (act === "make" && !alive) {
      write(Kind.begin, { operation: { type: "creating", resource: state(name, "") } });
      record(name, next);
      old.delete(name);
      write(Kind.success, { state: state(name, next) });
    } else if (act === "fail") {
      write(Kind.begin, { operation: { type: alive ? "updating" : "creating", resource: state(name, "") } });
      write(Kind.failure, {});
    } else if (!alive || (act === "replace" && refreshed.has(name) && !made.has(name))) continue;
    else if (act === "remove") {
      write(Kind.begin, { operation: { type: "deleting", resource: state(name, present.id) } });
      living.delete(present.id);
      write(Kind.success, where(name));
    } else if (act === "lose") {
      living.delete(present.id);
      write(Kind.refreshSuccess, where(name));
    } else if (act === "refresh") {
      living.delete(present.id);
      living.add(next);
      const at = where(name);
      const own = made.get(name);
      if (own) own.id = next;
      else {
        old.get(name)!.id = next;
        refreshed.add(name);
      }
      write(Kind.refreshSuccess, { ...at, state: state(name, next) });
    } else if (act === "replace") {
      const { removeOld, removeNew } = where(name);
      write(Kind.begin, { operation: { type: "creating", resource: state(name, "") } });
      const before = present.id;
      living.add(next);
      write(Kind.success, {
        state: state(name, next),
        ...(removeOld !== undefined && { deleteOld: removeOld! }),
        ...(removeNew !== undefined && { deleteNew: removeNew! }),
      });
      const created = operations++;
      write(Kind.begin, { operation: { type: "deleting", resource: state(name, before) } });
      living.delete(before);
      write(Kind.success, { removeOld, removeNew });
      made.set(name, { id: next, operation: created });
    } else {
      const id = act === "keep" ? present.id : next;
      const at = where(name);
      write(Kind.begin, act === "keep" ? {} : { operation: { type: "updating", resource: state(name, id) } });
      record(name, id);
      write(Kind.success, { ...at, state: state(name, id) });
    }
  }
  return { entries, after };
}

describe("any run of an engine", () => {
  const bases = fc.uniqueArray(fc.nat(9), { maxLength: 6 }).map((numbers) => numbers.map((number) => `r${number}.0`));
  const from = (present: string[]) => base(...present.map((id) => ({ ...resource(id.split(".")[0]!), id })));

  it("cut off anywhere, replays to what was there at that point, soundly", () => {
    fc.assert(
      fc.property(bases, acts, fc.nat(), (present, wanted, cut) => {
        const { entries, after } = engine(present, wanted);
        const length = entries.length === 0 ? 0 : cut % (entries.length + 1);
        const folded = replay(from(present), entries.slice(0, length), stamp);
        expect(new Set(ids(folded))).toEqual(length === 0 ? new Set(present) : after[length - 1]);
        expect(integrityFault(folded.deployment)).toBeUndefined();
      }),
      { numRuns: 500 },
    );
  });

  it("shuffled and repeated, replays to the same", () => {
    fc.assert(
      fc.property(bases, acts, fc.infiniteStream(fc.nat(1000)), (present, wanted, random) => {
        const { entries } = engine(present, wanted);
        const repeated = [...entries, ...entries.filter((_, index) => index % 3 === 0)];
        const order = repeated.map(() => random.next().value as number);
        const shuffled = repeated
          .map((each, index) => ({ each, key: order[index]! }))
          .sort((a, b) => a.key - b.key)
          .map(({ each }) => each);
        expect(replay(from(present), shuffled, stamp)).toEqual(replay(from(present), entries, stamp));
      }),
      { numRuns: 200 },
    );
  });

  it("folded in two updates, comes to the same as in one with a rebuilt base", () => {
    fc.assert(
      fc.property(bases, acts, acts, (present, first, second) => {
        const one = engine(present, first);
        const between = replay(from(present), one.entries, stamp);
        const { pending_operations: _, ...middle } = between.deployment;
        const two = engine(
          (middle.resources ?? []).map(({ id }) => id!),
          second.map((act) => ({ ...act })),
        );
        const offset = one.entries.length + 1;
        const joined = [
          ...one.entries,
          { version: 1, kind: Kind.rebuiltBaseState, sequenceID: offset, operationID: 0 },
          ...two.entries.map((each) => ({ ...each, sequenceID: each.sequenceID + offset })),
        ];
        expect(ids(replay(from(present), joined, stamp))).toEqual(ids(replay(middle, two.entries, stamp)));
      }),
      { numRuns: 200 },
    );
  });
});
