/**
 * A cloud on paper: a driver whose machines are files, for tests of everything above the drivers. Like every driver it
 * keeps no truth in memory, so that any process sees the same things and a kill leaves what was written.
 *
 * An image says how a host behaves: `nope` is unknown, `slow` takes until `<endpoint>/release` is there (or the call is
 * cancelled), `endless` for ever, `deaf` for ever whatever anybody says, `fatal` kills the process right after the host was made, once.
 */
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { InUse, NotFound, StaleFence, UnknownImage, type Call, type Driver, type Made } from "../../infra/drivers/driver.ts";
import type { HostSpec, SpecKind } from "../../infra/spec.ts";

export interface Thing {
  kind: SpecKind;
  id: string;
  name: string;
  scope: string;
  // eslint-disable-next-line typescript/no-explicit-any -- four kinds of spec, which tests look into
  spec: any;
  /** Written by tests to let a host crash. */
  state?: string;
  /** Written by tests to change it behind our back. */
  really?: Record<string, unknown>;
  strange?: string[];
}

export class Paper {
  readonly #root: string;
  constructor(root: string) {
    this.#root = root;
    mkdirSync(path.join(root, "things"), { recursive: true });
  }

  #file(kind: string, name: string) {
    return path.join(this.#root, "things", `${kind} ${name}.json`);
  }

  all(): Thing[] {
    return readdirSync(path.join(this.#root, "things"))
      .filter((file) => file.endsWith(".json"))
      .sort()
      .map((file) => JSON.parse(readFileSync(path.join(this.#root, "things", file), "utf8")) as Thing);
  }
  find(kind: string, name: string): Thing | undefined {
    const file = this.#file(kind, name);
    return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined;
  }
  write(thing: Thing) {
    const file = this.#file(thing.kind, thing.name);
    writeFileSync(`${file}.${process.pid}`, JSON.stringify(thing));
    renameSync(`${file}.${process.pid}`, file);
  }
  remove(thing: Thing) {
    rmSync(this.#file(thing.kind, thing.name));
  }
  /** What was asked of it, one line a call, so that tests can count. */
  diary(): string[] {
    const file = path.join(this.#root, "diary");
    return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
  }
  note(line: string) {
    writeFileSync(path.join(this.#root, "diary"), `${line}\n`, { flag: "a" });
  }
  released() {
    return existsSync(path.join(this.#root, "release"));
  }
  release() {
    writeFileSync(path.join(this.#root, "release"), "");
  }
  /** True the first time only. */
  once(what: string): boolean {
    try {
      writeFileSync(path.join(this.#root, `once ${what}`), "", { flag: "wx" });
      return true;
    } catch {
      return false;
    }
  }
  guard({ scope, fence }: Call) {
    const file = path.join(this.#root, `fence ${scope}`);
    const highest = existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
    if (fence < highest) throw new StaleFence(`the lease of ${scope} has passed to another (${fence} < ${highest})`);
    if (fence > highest) writeFileSync(file, String(fence));
  }
}

async function boot(paper: Paper, spec: HostSpec, call: Call) {
  // Answers nothing, whoever cancels.
  if (spec.image === "deaf") await new Promise(() => {});
  if (spec.image === "nope") throw new UnknownImage(`image ${spec.image} is not known here`);
  while (spec.image === "endless" || (spec.image === "slow" && !paper.released())) {
    call.signal?.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const never = () => {
  throw new Error("not on paper");
};

export function loadDriver(_name: string, endpoint: string): Driver {
  const paper = new Paper(endpoint);
  const make = async (kind: SpecKind, spec: { name: string }, call: Call): Promise<Made> => {
    paper.guard(call);
    paper.note(`create ${kind} ${spec.name}`);
    const there = paper.find(kind, spec.name);
    if (there) return { id: there.id, adopted: true };
    let generation = 1;
    while (!paper.once(`${spec.name}.${generation}`)) generation++;
    paper.write({ kind, id: `${spec.name}.${generation}`, name: spec.name, scope: call.scope, spec });
    return { id: `${spec.name}.${generation}`, adopted: false };
  };
  const change = async (id: string, spec: unknown, call: Call) => {
    paper.guard(call);
    const thing = paper.all().find((candidate) => candidate.id === id);
    if (!thing) throw new NotFound(`nothing has the id ${id}`);
    paper.note(`update ${thing.kind} ${thing.name}`);
    const { really: _really, strange, state: _state, ...rest } = thing;
    paper.write({ ...rest, spec, ...(strange && !call.exact ? { strange } : {}) });
  };
  const remove = async (id: string, call: Call) => {
    paper.guard(call);
    const thing = paper.all().find((candidate) => candidate.id === id);
    if (!thing) throw new NotFound(`nothing has the id ${id}`);
    const user = paper.all().find((other) => other.kind === "attachment" && (other.spec.host === thing.name || other.spec.volume === thing.name));
    if (user) throw new InUse(`${thing.name} is still attached by ${user.name}`);
    paper.note(`delete ${thing.kind} ${thing.name}`);
    paper.remove(thing);
  };
  return {
    kind: "paper",
    capabilities: never,
    createHost: async (spec, call) => {
      await boot(paper, spec, call);
      const made = await make("host", spec, call);
      if (spec.image === "fatal" && paper.once("fatal")) process.kill(process.pid, "SIGKILL");
      return made;
    },
    needsRestart: async () => undefined,
    updateHost: change,
    deleteHost: remove,
    createVolume: (spec, call) => make("volume", spec, call),
    updateVolume: change,
    deleteVolume: remove,
    attach: (spec, call) => make("attachment", spec, call),
    detach: remove,
    putBackupPolicy: async (spec, call) => {
      const made = await make("backup-policy", spec, call);
      await change(made.id, spec, call);
      return made;
    },
    deleteBackupPolicy: remove,
    backup: never,
    restore: never,
    deleteBackup: never,
    members: async () => [],
    setMember: never,
    moveHost: never,
    restartHost: never,
    moveVolume: never,
    removeMember: never,
    snapshotVolume: never,
    deleteSnapshot: never,
    revertVolume: never,
    consoleLog: never,
    importImage: never,
    exec: never,
    shell: never,
    purge: never,
    pass: async (_application, names, from, to) => {
      paper.guard(from);
      paper.guard(to);
      for (const thing of paper.all().filter((one) => names.includes(one.name))) paper.write({ ...thing, scope: to.scope });
    },
    find: async (kind, name) => paper.find(kind, name),
    list: async (scope) => {
      paper.note("list");
      return paper.all().filter((thing) => scope === undefined || thing.scope === scope);
    },
    // What a test has written into the thing beside its specification is what is really there.
    actual: async (scope) => {
      paper.note("list");
      const all = paper.all().filter((thing) => scope === undefined || thing.scope === scope);
      // A host of this state is on a machine that doesn't answer.
      const unreachable = all.filter((thing) => thing.state === "unreachable").map((thing) => thing.name);
      const things = all
        .filter((thing) => !unreachable.includes(thing.name) && !unreachable.includes(String(thing.spec.host)))
        .map(({ kind, id, name, spec, really, strange, state }) => ({
          kind,
          id,
          name,
          spec: { ...spec, ...really },
          strange: strange ?? [],
          ...(kind === "host" ? { state: (state ?? spec.power) as "running" } : {}),
        }));
      return { things, unreachable };
    },
    observe: async () => ({
      at: Date.now(),
      backups: [],
      hosts: paper
        .all()
        .filter(({ kind }) => kind === "host")
        .map(({ id, name, scope, spec, state }) => ({
          id,
          name,
          scope,
          hostname: spec.hostname,
          pool: spec.pool,
          state: (state ?? spec.power) as "running",
          addresses: [],
        })),
      volumes: paper
        .all()
        .filter(({ kind }) => kind === "volume")
        .map(({ id, name, scope, spec }) => ({ id, name, scope, pool: spec.pool, sizeGib: spec.sizeGib, usedBytes: 0 })),
    }),
  };
}
