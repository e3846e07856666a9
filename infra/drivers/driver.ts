/**
 * What every cloud driver does. One suite (`test/drivers/`) holds for all of them.
 *
 * Rules that the suite proves:
 * - `create*` is get-or-create by deterministic name: called twice it makes one thing; called after a kill in its middle it finishes or starts anew, never a twin.
 * - every effect has its undo registered on the line after it (`undo.ts`), so that a failed call leaves nothing behind.
 * - an `id` is `<name>.<generation>`: ids are never used twice. `delete*` and `update*` with an id of an older generation touch nothing.
 * - a `fence` lower than the highest one seen for its scope is refused (`StaleFence`), before any effect.
 * - drivers keep no truth in memory: any number of instances, in any process, see the same things.
 */
import type { Readable } from "node:stream";
import type { Allowance, AttachmentSpec, BackupPolicySpec, HostSpec, SpecKind, VolumeSpec } from "../spec.ts";

/** Who calls: the department (scope) and its current lease's fencing token; cancelled by `signal`. */
export interface Call {
  scope: string;
  fence: number;
  signal?: AbortSignal;
  /** What the scope may hold in all from now on; left out: as before. An engine that can, refuses what is above it. */
  allowance?: Allowance;
  /** An update also takes away what nobody of ours has set: what was changed behind our back is put back. Left out: that stays. */
  exact?: boolean;
  /** The deletion of an adopted host ends it, for that was asked for. Left out: it is let go of as it is. */
  end?: boolean;
  /** The owner of the host agreed to a restart, where the change can't be made while it runs. Left out: such a change is refused (`NeedsRestart`). */
  restart?: boolean;
}

/** What an update would make of a thing that is there. */
export type Change = { kind: "host"; id: string; spec: HostSpec } | { kind: "volume"; id: string; spec: VolumeSpec };
/** That a change can't be made while a host runs. */
export interface RestartNeed {
  /** Its name. */
  host: string;
  /** For people: a sentence. */
  why: string;
}

/** What this kernel and this user let the driver enforce. Shown to operations; never assumed. */
export interface Capabilities {
  /** cgroup version by which CPU and memory limits are enforced, or "absent" with the reason in `notes`. */
  cpuLimit: "cgroup1" | "cgroup2" | "absent" | "engine";
  memoryLimit: "cgroup1" | "cgroup2" | "absent" | "engine";
  /** Whether a volume cannot outgrow its size (loop-mounted ext4, or the engine's own). */
  volumeSizeEnforced: boolean;
  /** Whether attaching shows the volume inside a running host without a restart. */
  liveAttach: boolean;
  /** Whether hosts of the type `vm` can be made; otherwise `notes` says why not. */
  vm: boolean;
  /** Whether there are several members, between which hosts and volumes are moved. */
  moves: boolean;
  /** Whether the members share the storage of hosts' disks, so that one may be started on another when its own is dead. */
  sharedStorage: boolean;
  /** Linux namespaces that hosts get of their own. */
  namespaces: string[];
  /** Plain sentences: what is absent here and why. */
  notes: string[];
}

export type HostState = "running" | "stopped" | "crashed" | "unknown";

export interface HostReading {
  id: string;
  name: string;
  scope: string;
  hostname: string;
  pool: string;
  state: HostState;
  /** When it was last started, ms since epoch; absent when it does not run. */
  startedAt?: number;
  /** Host process id on this machine (embedded), for operations staff. */
  pid?: number;
  /** CPU time used since start, seconds. */
  cpuSeconds?: number;
  /** Memory in use now, bytes. */
  memoryBytes?: number;
  addresses: string[];
  /** The member that it is on, where there is more than one. */
  member?: string;
}

/** A machine of the endpoint; a server that is alone is its only one. */
export interface MemberReading {
  name: string;
  /** evacuated: takes no hosts, by decision of operations · offline: does not answer */
  state: "online" | "evacuated" | "offline";
  /** Cluster groups that it belongs to. */
  groups: string[];
  /** What the engine says of its state; empty when all is well. */
  message: string;
  /** Hardware threads; absent while it does not answer. */
  vcpu?: number;
  memory?: { totalBytes: number; freeBytes: number };
  /** Of the endpoint's storage pool on it. */
  disk?: { totalBytes: number; freeBytes: number };
}

/** A volume's content as it was at a moment, on the volume's own storage: lost with it, so no backup. */
export interface SnapshotReading {
  name: string;
  createdAt: number;
  /** Bytes that it takes on the volume's storage; absent where the engine cannot tell. */
  sizeBytes?: number;
}

export interface VolumeReading {
  id: string;
  name: string;
  scope: string;
  pool: string;
  sizeGib: number;
  /** Bytes really used on the pool. */
  usedBytes: number;
  /** Name of the host that it is attached to, if any. */
  attachedTo?: string;
  /** The member that it lies on, where there is more than one and its storage is local to it. */
  member?: string;
  snapshots?: SnapshotReading[];
}

/** One recovery point as the driver holds it. */
export interface BackupReading {
  id: string;
  name: string;
  scope: string;
  volume: string;
  pool: string;
  /** Bytes stored in the backup pool. */
  sizeBytes: number;
  /** Lowercase hex SHA-256 of the stored data. */
  sha256: string;
  createdAt: number;
}

/** A thing as it really is, in the words of its specification: how it is found that somebody changed it behind our back. */
export interface Actual {
  kind: SpecKind;
  id: string;
  name: string;
  /** Its properties as they are there now, in the specification's shape. What cannot be seen is left out; a limit that is not set is null. */
  spec: Readonly<Record<string, unknown>>;
  /** What is set on it that nobody of ours asked for, a line each; none: []. */
  strange: readonly string[];
  /** Of a host. */
  state?: HostState;
}

/** What a scope really has. */
export interface Actuals {
  things: Actual[];
  /** Names of hosts that are there, but on a machine that doesn't answer: neither they nor what is attached to them must pass for gone. */
  unreachable: readonly string[];
}

/** An instance on an endpoint that belongs to nobody of ours. */
export interface ForeignInstance {
  project: string;
  instance: string;
  member?: string;
  type: "container" | "vm";
  /** null: no limit is set. */
  vcpu: number | null;
  memoryMib: number | null;
  diskGib: number | null;
  image: string;
  state: "running" | "stopped";
  /** It is deleted when it stops. */
  ephemeral: boolean;
  memoryUsedBytes: number;
  addresses: string[];
  /** Volumes that are attached to it. */
  volumes: string[];
  /** What of its isolation is weaker than our own hosts'; plain words. */
  weaknesses: string[];
}

/** Everything observed in one bulk call, however many things there are. */
export interface PoolReading {
  at: number;
  hosts: HostReading[];
  volumes: VolumeReading[];
  backups: BackupReading[];
  members?: MemberReading[];
  /** Names of hosts that are there, but on a machine that doesn't answer: nothing else is known of them now. */
  unreachable?: string[];
  /** Real use of the machine or cluster behind the pool, bytes; absent where unknown. */
  disk?: { totalBytes: number; freeBytes: number };
  memory?: { totalBytes: number; freeBytes: number };
}

/** An image as a file of this machine. */
export interface ImageFile {
  path: string;
  sizeBytes: number;
  /** Lowercase hex. */
  sha256: string;
}

export interface Made {
  id: string;
  /** True when the thing was there already and was taken over. */
  adopted: boolean;
}

/** A program on a terminal inside a host. Whoever stops reading its output holds it up. */
export interface Shell {
  /** What the terminal shows, as bytes; ends when the program has. */
  readonly output: Readable;
  /** The program's exit code (128 and the number of the signal that ended it). @throws DriverError when the host was lost on the way */
  readonly exited: Promise<number>;
  write(input: Buffer): void;
  resize(cols: number, rows: number): void;
  /** @param number such as 15 for SIGTERM */
  signal(number: number): void;
  /** Ends the program at once, with what it started on its terminal. Again is no error. A caller that is killed ends it too. */
  end(): void;
}

export interface ShellAsk {
  /** Left out: the host's own shell. */
  argv?: string[] | undefined;
  cols: number;
  rows: number;
}

export interface Driver {
  readonly kind: string;
  capabilities(): Promise<Capabilities>;

  createHost(spec: HostSpec, call: Call): Promise<Made>;
  /**
   * Whether an update, as things are now, can be made only with a restart of a host that runs; undefined: it is made live, or the host does not run.
   * Changes nothing. What an update really does agrees with it. @throws NotFound
   */
  needsRestart(change: Change): Promise<RestartNeed | undefined>;

  /** Brings limits, keys, ports, power to what the spec says; restarts only where it must. @throws NotFound @throws NeedsRestart where nobody agreed to that: nothing was done */
  updateHost(id: string, spec: HostSpec, call: Call): Promise<void>;
  deleteHost(id: string, call: Call): Promise<void>;

  /**
   * Empty, or with a backup's content: it is there only when that is complete, and what is there is never filled again.
   * @throws NotFound @throws Corrupt when the backup is not what the spec says
   */
  createVolume(spec: VolumeSpec, call: Call): Promise<Made>;
  /** Grows a volume. @throws NotFound @throws Unsupported when it would shrink @throws NeedsRestart */
  updateVolume(id: string, spec: VolumeSpec, call: Call): Promise<void>;
  /** @throws InUse while attached */
  deleteVolume(id: string, call: Call): Promise<void>;

  attach(spec: AttachmentSpec, call: Call): Promise<Made>;
  detach(id: string, call: Call): Promise<void>;

  putBackupPolicy(spec: BackupPolicySpec, call: Call): Promise<Made>;
  deleteBackupPolicy(id: string, call: Call): Promise<void>;

  /** A recovery point of a volume's content, named by the caller: called twice with one name it makes one. @throws NotFound */
  backup(volume: string, name: string, pool: string, call: Call): Promise<BackupReading>;
  /** Puts a recovery point's content back into a volume (made before by createVolume), byte for byte, all or nothing. @throws NotFound @throws Corrupt when the checksum does not hold */
  restore(backup: string, volume: string, call: Call): Promise<{ bytes: number; sha256: string }>;
  deleteBackup(name: string, call: Call): Promise<void>;

  /** The machines behind, as they are now. */
  members(): Promise<MemberReading[]>;
  /**
   * Whether a member takes hosts: `evacuated` or `online` again. What is on it is moved by `moveHost`, one by one. Twice does once.
   * @throws NotFound @throws Unsupported where there is one machine only
   */
  setMember(name: string, state: "online" | "evacuated"): Promise<void>;
  /**
   * Gives up a member that doesn't answer: it is no member any more, what lay on its own storage is gone from the records, and it cannot come back with it.
   * One that is no member already is no error. @throws InUse while it answers @throws Unsupported where there is one machine only
   */
  removeMember(name: string): Promise<void>;
  /**
   * Brings a host, with the volumes attached to it, to another member; it runs afterwards if it ran. Where the engine cannot move it while it runs, it is
   * stopped for it. Called twice moves once; after a kill in its middle it finishes.
   * @throws NotFound @throws NoSpace @throws Unsupported where there is one machine only
   */
  moveHost(id: string, member: string, call: Call): Promise<{ restarted: boolean }>;
  /**
   * Starts a host on another member when its own doesn't answer, where members share its storage: its cluster then says that it is there, and the old member
   * knows nothing of it any more when it comes back. Called twice does once; after a kill in its middle it finishes. What a machine that is only cut off still
   * runs, nothing here can end: the caller has made sure that it is off.
   * @throws InUse while that member answers @throws NotFound @throws Unsupported where its disk lies on the member alone
   */
  restartHost(id: string, from: string, to: string, call: Call): Promise<void>;
  /** As `moveHost`, for a volume that is attached to nothing. @throws InUse @throws NotFound @throws Unsupported */
  moveVolume(id: string, member: string, call: Call): Promise<void>;

  /** Named by the caller: twice makes one. @throws NotFound @throws Unsupported */
  snapshotVolume(volume: string, name: string, call: Call): Promise<SnapshotReading>;
  deleteSnapshot(volume: string, name: string, call: Call): Promise<void>;
  /** Puts a volume's content back to a snapshot's, all or nothing; it stays attached. @throws NotFound @throws Unsupported */
  revertVolume(volume: string, snapshot: string, call: Call): Promise<void>;

  /** The last of what a host's console showed, at most 256 KiB. @throws NotFound */
  consoleLog(host: string): Promise<string>;

  /** Brings an image to the machines behind, under its name; twice makes one. @throws Unsupported where hosts have one image only */
  importImage(name: string, file: ImageFile): Promise<void>;

  /** One thing by name, for read and refresh and for resolving interrupted operations. */
  find(kind: "host" | "volume" | "attachment" | "backup-policy", name: string): Promise<{ id: string; spec: unknown } | undefined>;
  /** Names of everything that belongs to a scope (or all): how orphans and twins are counted. */
  list(scope?: string): Promise<{ kind: "host" | "volume" | "attachment" | "backup-policy" | "backup"; id: string; name: string; scope: string }[]>;
  /**
   * What a scope really has, from one bulk call a kind; of an engine with machines of its own only those are asked that have something of the scope.
   * What is gone is not in it; equal things read equal to their specification.
   */
  actual(scope?: string): Promise<Actuals>;
  /** What is there beside ours, from one bulk call. Left out: nothing can be taken over there. A host whose specification says `adopted` is one of these. */
  foreign?(): Promise<ForeignInstance[]>;
  /**
   * The bulk reading.
   * @param before an earlier one: what things use now (CPU time, memory, bytes, addresses) is taken from it where asking for that costs the engine much more
   * than all the rest; it is absent (of a volume: 0) for what is not in that one
   */
  observe(before?: PoolReading): Promise<PoolReading>;
  /**
   * Things of an application belong to another scope from now on: hosts, volumes, attachments, backup policies and backups, by their names; those that aren't here are
   * passed over. Nothing is stopped, moved or renamed, and both scopes may go on changing them until the control plane has settled whose they are. Twice does once.
   */
  pass(application: string, names: readonly string[], from: Call, to: Call): Promise<void>;
  /** Runs a program inside a running host; it is ended when `signal` says so, or when whoever asked is killed. @throws NotFound @throws NotRunning */
  exec(
    host: string,
    argv: string[],
    options?: { stdin?: string; timeoutMs?: number; signal?: AbortSignal },
  ): Promise<{ code: number; stdout: string; stderr: string }>;
  /** Runs a program on a terminal inside a running host. @throws NotFound @throws NotRunning @throws Unsupported where the host has no terminals */
  shell(host: string, ask: ShellAsk): Promise<Shell>;
  /** Ends and removes everything of the given scopes (or all): for demos and tests, never called for departments' data. */
  purge(scopes?: string[]): Promise<void>;
}

/** Most that `consoleLog` gives. */
export const consoleBytes = 256 * 1024;

/** Base of the named errors; `code` goes into results and problem documents. */
export class DriverError extends Error {
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.name = new.target.name;
  }
}
export class NotFound extends DriverError {
  constructor(message: string, options?: ErrorOptions) {
    super("not-found", message, options);
  }
}
export class InUse extends DriverError {
  constructor(message: string, options?: ErrorOptions) {
    super("in-use", message, options);
  }
}
export class Unsupported extends DriverError {
  constructor(message: string, options?: ErrorOptions) {
    super("unsupported", message, options);
  }
}
export class NoSpace extends DriverError {
  constructor(message: string, options?: ErrorOptions) {
    super("no-space", message, options);
  }
}
export class NotRunning extends DriverError {
  constructor(message: string, options?: ErrorOptions) {
    super("not-running", message, options);
  }
}
export class StaleFence extends DriverError {
  constructor(message: string, options?: ErrorOptions) {
    super("stale-fence", message, options);
  }
}
export class Corrupt extends DriverError {
  constructor(message: string, options?: ErrorOptions) {
    super("corrupt", message, options);
  }
}
/** The change takes a restart of a host that its owner has not agreed to: nothing was done. */
export class NeedsRestart extends DriverError {
  constructor(message: string, options?: ErrorOptions) {
    super(needsRestart, message, options);
  }
}
/** The code of `NeedsRestart`. */
export const needsRestart = "needs-restart";
/** The endpoint itself doesn't answer. (A member of a cluster that doesn't is a DriverError of the same code.) */
export class Unreachable extends DriverError {
  constructor(message: string, options?: ErrorOptions) {
    super("unreachable", message, options);
  }
}
export class UnknownImage extends DriverError {
  constructor(message: string, options?: ErrorOptions) {
    super("unknown-image", message, options);
  }
}
