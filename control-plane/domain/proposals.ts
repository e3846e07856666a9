/** From the items of a request to proposed resources: references resolved, places chosen, charges counted. Pure. */
import type { AdoptedHost, Item, Placement } from "../contract/requests.ts";
import type { Application } from "../contract/applications.ts";
import {
  type AttachmentSpec,
  backupsOf,
  type BackupPolicySpec,
  type Flavour,
  type HostSpec,
  serverOf,
  type SpecKind,
  type VolumeSpec,
} from "../../infra/spec.ts";
import type { Members } from "./members.ts";
import { type Considered, memberPool, place, type Placed, type PoolView, type Wish } from "./placement.ts";
import { Refusal } from "./refusal.ts";
import { type AnySpec, metersOf, type Quantity } from "./resources.ts";

/** A resource of the application as it is held now. */
export interface Held {
  id: string;
  kind: SpecKind;
  name: string;
  phase: string;
  poolId: string | null;
  wanted: AnySpec;
  /** Number of another open request that changes or retires it; null: none. */
  changedBy: string | null;
  /** The project that pays for it, where that matters. */
  projectId?: string;
  /** Where a host was seen last, on a cluster. */
  member?: string | null;
}

/** A recovery point that a new volume may be made with. */
export interface BackupView {
  id: string;
  state: string;
  sha256: string | null;
  /** Of what it was made of; null: unknown, and restored to nothing but what it is of. */
  protectionLevel: number | null;
  volumeGib: number | null;
  /** Where the driver keeps it: a volume of the same alone can be made with it. */
  driver: string;
  endpoint: string;
}

/** Whose request it is. */
export interface Applicant extends Pick<Application, "id" | "protectionLevel" | "zone" | "antiAffinity"> {
  /** Ids of its department and of all above it. */
  departments: readonly string[];
}
export interface Context {
  application: Applicant;
  flavours: ReadonlyMap<string, Flavour>;
  images: ReadonlySet<string>;
  pools: readonly PoolView[];
  /** Of the pools' servers; left out: no pool has any. They are left as they were. */
  members?: Members;
  held: readonly Held[];
  /** Of the department, by id, those that items name. */
  backups?: ReadonlyMap<string, BackupView>;
  newId(kind: SpecKind): string;
}

export interface Proposal {
  position: number;
  action: Item["action"];
  kind: SpecKind;
  resourceId: string;
  name: string;
  /** What the resource is wanted to be; for `retire` what it is. */
  wanted: AnySpec;
  poolId: string | null;
  placement: string | null;
  /** Why its member, and why nowhere else. */
  memberReason?: string | undefined;
  considered?: Considered[] | undefined;
  /** What it adds to the quota; negative where it gives back after the apply. */
  charge: Quantity[];
  expiresAt: string | null;
}

/** Whether it makes something new or takes more: what a project's stage, year and budget may block. */
export const grows = (one: Pick<Proposal, "action" | "charge">): boolean => one.action === "create" || one.charge.some((charge) => charge.quantity > 0);

export interface Proposals {
  items: Proposal[];
  /** What has no room in any pool now: it is placed where it may be, and takes nothing; after its approval the request waits for capacity. */
  shortages: string[];
}

/**
 * @throws Refusal invalid-body with a pointer to each item that cannot be, or conflict while another open request changes the same thing:
 * each change is counted from what the thing is now, so two at once would be charged wrongly
 */
export function propose(items: readonly Item[], context: Context): Proposals {
  const taken: (() => void)[] = [];
  try {
    return proposed(items, context, taken);
  } finally {
    // Whether it is taken in is decided afterwards.
    for (const giveBack of taken.toReversed()) giveBack();
  }
}

/** Who makes a proposal true takes its hosts' members too. */
export function takeMembers(proposals: readonly Proposal[], application: Pick<Applicant, "id">, pools: readonly PoolView[], members: Members): void {
  for (const one of proposals) {
    const pool = one.action === "create" && one.kind === "host" ? pools.find(({ id }) => id === one.poolId) : undefined;
    if (!pool) continue;
    const { member, flavour } = one.wanted as HostSpec;
    members.take(memberPool(pool), member ?? "", { application: application.id, ...flavour });
  }
}

function proposed(items: readonly Item[], context: Context, takenMembers: (() => void)[]): Proposals {
  const errors: { pointer: string; detail: string }[] = [];
  const shortages: string[] = [];
  const proposals: Proposal[] = [];
  const pools = context.pools.map((pool) => ({ ...pool, free: { ...pool.free } }));
  const retiring = new Set(items.flatMap((item) => (item.action === "retire" ? [item.id] : [])));
  const names = new Set(context.held.filter((one) => !retiring.has(one.id)).map((one) => `${one.kind} ${one.name}`));

  const named = new Set<string>();
  let conflicts = 0;

  const fail = (position: number, field: string, detail: string) => void errors.push({ pointer: `/items/${position}${field}`, detail });
  const conflict = (position: number, field: string, detail: string) => {
    conflicts++;
    fail(position, field, detail);
  };
  const poolOf = (id: string | null) => pools.find((pool) => pool.id === id);
  const find = (kind: SpecKind, reference: string) =>
    proposals.find((one) => one.kind === kind && one.action === "create" && one.name === reference) ??
    context.held.find(
      (one) =>
        one.kind === kind && (one.id === reference || one.name === reference) && (one.phase === "live" || one.phase === "wanted") && !retiring.has(one.id),
    );
  const idOf = (found: Proposal | Held) => ("resourceId" in found ? found.resourceId : found.id);

  const { application } = context;
  const owner = { application: application.id, departments: application.departments, protectionLevel: application.protectionLevel, zone: application.zone };
  type Put = Extract<Placed, { pool: PoolView }> & { vm: boolean };
  const put = (position: number, wish: Omit<Wish, "owner" | "host">, host?: Pick<HostSpec, "flavour" | "type">): Put | undefined => {
    const tryAs = (vm: boolean) => {
      const asHost = host && { vm, vcpu: host.flavour.vcpu, memoryMib: host.flavour.memoryMib, apart: application.antiAffinity };
      return { vm, placed: place({ ...wish, owner, host: asHost }, pools, context.members) };
    };
    let { vm, placed } = tryAs(host?.type === "vm");
    // Where no pool may take it as a container, one may take it as a virtual machine.
    if (!placed.pool && !placed.later && host && host.type === undefined) {
      const asVm = tryAs(true);
      if (asVm.placed.pool ?? asVm.placed.later) ({ vm, placed } = asVm);
    }
    if (placed.pool) {
      const { pool, member } = placed;
      for (const { dimension, quantity } of wish.needs) pool.free[dimension] = (pool.free[dimension] ?? 0) - quantity;
      if (host && context.members) {
        const [of, need] = [memberPool(pool), { application: application.id, ...host.flavour }];
        context.members.take(of, member ?? "", need);
        takenMembers.push(() => context.members!.take(of, member ?? "", need, -1));
      }
      return { ...placed, vm };
    }
    if (placed.later) {
      shortages.push(placed.reason);
      return { pool: placed.later, reason: `waits for capacity in ${placed.later.code} (${placed.reason})`, considered: placed.considered, vm };
    }
    fail(position, "/spec", `No pool may take this: ${placed.reason}`);
    return undefined;
  };
  /** Where the other end of an attachment that this request asks for lies already: what is attached must be reachable. */
  const besideOf = (kind: "host" | "volume", name: string) => {
    for (const item of items) {
      if (item.action !== "create" || item.kind !== "attachment" || item.spec[kind] !== name) continue;
      const other = kind === "host" ? find("volume", item.spec.volume) : find("host", item.spec.host);
      const pool = other && poolOf(other.poolId);
      if (pool) return serverOf(pool);
    }
    return undefined;
  };
  /** The backup that a new volume is to be made with, when that may be. */
  const backupOf = (position: number, id: string, sizeGib: number): BackupView | undefined => {
    const backup = context.backups?.get(id);
    const level = context.application.protectionLevel;
    const why = !backup
      ? `The department has no backup ${id}.`
      : backup.state !== "complete" || backup.sha256 === null
        ? `The backup is ${backup.state}: only a complete one can be restored.`
        : backup.protectionLevel === null
          ? "Of which protection level the backup is, is not known: it can be restored to its own volume only."
          : backup.protectionLevel > level
            ? `The backup is of protection level ${backup.protectionLevel}: it cannot be restored for an application of level ${level}.`
            : undefined;
    if (why !== undefined) fail(position, "/spec/backup", why);
    if (backup?.volumeGib && sizeGib < backup.volumeGib)
      fail(position, "/spec/sizeGib", `The backup is of a volume of ${backup.volumeGib} GiB: a new one has as much at least.`);
    return why === undefined ? backup : undefined;
  };
  const unplaced = (kind: PoolView["kind"]) => pools.find((pool) => pool.kind === kind)?.id ?? context.newId("host");

  for (const [position, item] of items.entries()) {
    // A transfer is the only item of its request, and is proposed elsewhere (store/transferring.ts).
    if (item.action === "transfer") {
      fail(position, "/action", "A transfer is the only item of its request.");
      continue;
    }
    if (item.action === "create") {
      const resourceId = context.newId(item.kind);
      const proposal = {
        position,
        action: item.action,
        kind: item.kind,
        resourceId,
        placement: null,
        poolId: null as string | null,
        expiresAt: null as string | null,
      };
      if (item.kind === "host" && "adopted" in item.spec) {
        const { pool, expiresAt, name, flavour, weaknesses, ...rest } = item.spec;
        const wanted: HostSpec = { ...rest, name: resourceId, hostname: name, pool: "", flavour, sshKeys: [], ports: [], application: context.application.id };
        if (context.application.protectionLevel >= 3 && weaknesses.length > 0)
          fail(
            position,
            "/spec",
            `An application of level ${context.application.protectionLevel} takes no host whose isolation is weaker: ${weaknesses.join("; ")}.`,
          );
        const charge = metersOf("host", wanted);
        const placed = put(position, { kind: "compute", pool, needs: charge });
        wanted.pool = placed?.pool.id ?? unplaced("compute");
        const where = `${rest.adopted.instance} in the project ${rest.adopted.project}, taken over where it is`;
        const placement = placed && [where, ...(weaknesses.length > 0 ? [`weaker isolation: ${weaknesses.join(", ")}`] : []), placed.reason].join("; ");
        proposals.push({ ...proposal, name, wanted, poolId: placed?.pool.id ?? null, placement: placement ?? null, charge, expiresAt: expiresAt ?? null });
      } else if (item.kind === "host") {
        const asked = item.spec as Exclude<typeof item.spec, AdoptedHost>;
        const flavour = context.flavours.get(asked.flavour);
        if (!flavour) fail(position, "/spec/flavour", `There is no flavour ${asked.flavour}; there are ${[...context.flavours.keys()].join(", ")}.`);
        if (!context.images.has(asked.image)) fail(position, "/spec/image", `There is no image ${asked.image}; there are ${[...context.images].join(", ")}.`);
        if (!flavour) continue;
        const { flavour: _code, pool, expiresAt, name, ...rest } = asked;
        const wanted: HostSpec = { ...rest, name: resourceId, hostname: name, pool: "", flavour, power: "running", application: context.application.id };
        const charge = metersOf("host", wanted);
        const placed = put(position, { kind: "compute", pool, needs: charge, beside: besideOf("host", name) }, wanted);
        wanted.pool = placed?.pool.id ?? unplaced("compute");
        if (placed?.vm) wanted.type = "vm";
        if (placed?.member !== undefined) wanted.member = placed.member;
        proposals.push({ ...proposal, name, wanted, ...whereOf(placed), charge, expiresAt: expiresAt ?? null });
      } else if (item.kind === "volume") {
        const backup = item.spec.backup === undefined ? undefined : backupOf(position, item.spec.backup, item.spec.sizeGib);
        const wanted: VolumeSpec = {
          name: resourceId,
          pool: "",
          tier: item.spec.tier,
          sizeGib: item.spec.sizeGib,
          application: context.application.id,
          ...(backup ? { backup: { name: backup.id, sha256: backup.sha256! } } : {}),
        };
        const charge = metersOf("volume", wanted);
        const placed = put(position, {
          kind: "storage",
          tier: item.spec.tier,
          pool: item.spec.pool,
          needs: charge,
          beside: backup ? serverOf(backup) : besideOf("volume", item.spec.name),
        });
        if (placed && backup && backupsOf(placed.pool) !== backupsOf(backup))
          fail(position, "/spec/backup", `The pool ${placed.pool.code} keeps its backups elsewhere than where this one is: name a pool that reaches it.`);
        wanted.pool = placed?.pool.id ?? unplaced("storage");
        proposals.push({ ...proposal, name: item.spec.name, wanted, ...whereOf(placed), charge, expiresAt: item.spec.expiresAt ?? null });
      } else if (item.kind === "attachment") {
        const host = find("host", item.spec.host);
        const volume = find("volume", item.spec.volume);
        if (!host) fail(position, "/spec/host", `There is no host ${item.spec.host} in this application or earlier in this request.`);
        if (!volume) fail(position, "/spec/volume", `There is no volume ${item.spec.volume} in this application or earlier in this request.`);
        if (!host || !volume) continue;
        if ((host.wanted as HostSpec).adopted)
          fail(position, "/spec/host", `${host.name} was taken over where it is, in a project of its server where no volume of ours can be shown.`);
        const [here, there] = [poolOf(host.poolId), poolOf(volume.poolId)];
        if (here && there && serverOf(here) !== serverOf(there))
          fail(position, "/spec", `The volume's pool ${there.code} cannot be reached from the host's pool ${here.code}.`);
        const taken = [...context.held, ...proposals].find(
          (one) => one.kind === "attachment" && (one.wanted as AttachmentSpec).volume === idOf(volume) && !retiring.has("id" in one ? one.id : ""),
        );
        if (taken) fail(position, "/spec/volume", "The volume is attached already.");
        const wanted: AttachmentSpec = { name: resourceId, host: idOf(host), volume: idOf(volume), path: item.spec.path };
        proposals.push({ ...proposal, name: `${host.name}-${volume.name}`, wanted, charge: [] });
      } else {
        const volume = find("volume", item.spec.volume);
        if (!volume) {
          fail(position, "/spec/volume", `There is no volume ${item.spec.volume} in this application or earlier in this request.`);
          continue;
        }
        const wanted: BackupPolicySpec = {
          name: resourceId,
          volume: idOf(volume),
          pool: "",
          schedule: item.spec.schedule,
          timezone: item.spec.timezone,
          keep: item.spec.keep,
        };
        const charge = metersOf("backup-policy", wanted, (volume.wanted as VolumeSpec).sizeGib);
        const placed = put(position, { kind: "backup", pool: item.spec.pool, needs: charge });
        wanted.pool = placed?.pool.id ?? unplaced("backup");
        proposals.push({ ...proposal, name: item.spec.name, wanted, ...whereOf(placed), charge });
      }
      const last = proposals.at(-1);
      if (last?.position === position) {
        if (names.has(`${last.kind} ${last.name}`)) fail(position, "/spec/name", `The application has a ${last.kind} ${last.name} already.`);
        names.add(`${last.kind} ${last.name}`);
      }
      continue;
    }

    const held = context.held.find((one) => one.id === item.id && one.kind === item.kind);
    if (!held || held.phase !== "live") {
      fail(position, "/id", held ? `${held.name} is ${held.phase}, not live.` : `This application has no ${item.kind} ${item.id}.`);
      continue;
    }
    // An extension changes only the register: it may go along with one other change.
    const key = `${held.id} ${item.action === "extend" ? "extend" : ""}`;
    if (named.has(key)) {
      fail(position, "/id", `${held.name} is changed by another item of this request already.`);
      continue;
    }
    named.add(key);
    if (held.changedBy !== null && item.action !== "extend") {
      conflict(position, "/id", `${held.name} is being changed by request ${held.changedBy}: wait until that is done, or withdraw it.`);
      continue;
    }
    const change = {
      position,
      action: item.action,
      kind: held.kind,
      resourceId: held.id,
      name: held.name,
      poolId: held.poolId,
      placement: null,
      expiresAt: null as string | null,
    };
    if (item.action === "retire") {
      const users = context.held.filter((one) => (one.wanted as AttachmentSpec).volume === held.id && one.kind !== "volume" && !retiring.has(one.id));
      if (held.kind === "volume" && users.length > 0)
        conflict(position, "/id", `${held.name} is still used by ${users.map((one) => `${one.kind} ${one.name} (${one.id})`).join(", ")}: retire these too.`);
      const attachments =
        held.kind === "host"
          ? context.held.filter((one) => one.kind === "attachment" && (one.wanted as AttachmentSpec).host === held.id && !retiring.has(one.id))
          : [];
      if (attachments.length > 0)
        conflict(position, "/id", `${held.name} still has ${attachments.map((one) => `attachment ${one.name} (${one.id})`).join(", ")}: retire these too.`);
      proposals.push({ ...change, wanted: held.wanted, charge: [] });
    } else if (item.action === "extend") {
      proposals.push({ ...change, wanted: held.wanted, charge: [], expiresAt: item.spec.expiresAt });
    } else if (item.action === "keys") {
      proposals.push({ ...change, wanted: { ...(held.wanted as HostSpec), sshKeys: item.spec.sshKeys }, charge: [] });
    } else if (item.action === "redeploy") {
      const before = held.wanted as HostSpec;
      if (before.adopted) fail(position, "/id", `${held.name} was taken over as it was: it cannot be made anew from an image.`);
      const image = item.spec.image ?? before.image;
      if (!context.images.has(image)) fail(position, "/spec/image", `There is no image ${image}; there are ${[...context.images].join(", ")}.`);
      // It stays where it is: beside its volumes, and where its capacity is counted.
      const pool = poolOf(held.poolId);
      const host = { vm: before.type === "vm", ...before.flavour, apart: "preferred" as const };
      const placed = pool && place({ kind: "compute", pool: pool.id, needs: [], owner, host }, pools);
      if (placed && !placed.pool)
        fail(
          position,
          "/id",
          `${held.name} cannot be made anew where it is: ${placed.reason.split("; ").find((why) => why.startsWith(`${pool.code}:`)) ?? placed.reason}`,
        );
      const placement = placed?.pool ? "stays where it is" : null;
      const wanted: HostSpec = { ...before, image, generation: (before.generation ?? 0) + 1 };
      if (held.member) wanted.member = held.member;
      proposals.push({ ...change, placement, wanted, charge: [] });
    } else if (item.action === "start" || item.action === "stop") {
      proposals.push({ ...change, wanted: { ...(held.wanted as HostSpec), power: item.action === "start" ? "running" : "stopped" }, charge: [] });
    } else {
      const before = metersOf(held.kind, held.wanted);
      let wanted: AnySpec;
      if (item.action === "adopt") {
        // As it is there by now: less gives back, also of a disk.
        const { flavour, ...rest } = item.spec;
        const own = held.wanted as HostSpec;
        wanted = { ...held.wanted, ...rest, ...(flavour ? { flavour: { ...own.flavour, ...flavour } } : {}) };
      } else if (item.kind === "host") {
        const flavour = context.flavours.get(item.spec.flavour);
        if (!flavour) {
          fail(position, "/spec/flavour", `There is no flavour ${item.spec.flavour}; there are ${[...context.flavours.keys()].join(", ")}.`);
          continue;
        }
        // A disk never shrinks: with a smaller flavour the host keeps the one it has, and goes on paying for it.
        const diskGib = Math.max(flavour.diskGib, (held.wanted as HostSpec).flavour.diskGib);
        wanted = { ...(held.wanted as HostSpec), flavour: { ...flavour, diskGib } };
      } else {
        if (item.spec.sizeGib < (held.wanted as VolumeSpec).sizeGib)
          fail(position, "/spec/sizeGib", `A volume cannot shrink: ${held.name} has ${(held.wanted as VolumeSpec).sizeGib} GiB.`);
        wanted = { ...(held.wanted as VolumeSpec), sizeGib: item.spec.sizeGib };
      }
      const charge = metersOf(held.kind, wanted)
        .map(({ dimension, quantity }) => ({ dimension, quantity: quantity - (before.find((one) => one.dimension === dimension)?.quantity ?? 0) }))
        .filter((one) => one.quantity !== 0);
      const pool = poolOf(held.poolId);
      const short = charge.find(({ dimension, quantity }) => quantity > 0 && pool && (pool.free[dimension] ?? 0) < quantity);
      if (short) shortages.push(`${pool?.code}: ${short.dimension} has ${pool?.free[short.dimension] ?? 0} left, ${short.quantity} needed`);
      proposals.push({ ...change, wanted, charge });
    }
  }
  if (errors.length > 0) throw new Refusal(conflicts === errors.length ? "conflict" : "invalid-body", errors[0]!.detail, { errors });
  return { items: proposals, shortages };
}

const whereOf = (placed: Extract<Placed, { pool: PoolView }> | undefined): Pick<Proposal, "poolId" | "placement" | "memberReason" | "considered"> => ({
  poolId: placed?.pool.id ?? null,
  placement: placed?.reason ?? null,
  memberReason: placed?.memberReason,
  considered: placed?.considered,
});

/** As it is shown to people. @param pool its code */
export function shownPlacement(
  { placement, wanted, memberReason, considered = [] }: Pick<Proposal, "placement" | "memberReason" | "considered"> & { wanted: unknown },
  pool: string,
): Placement {
  const { member } = wanted as HostSpec;
  return { pool, reason: placement ?? "", ...(member ? { member } : {}), ...(memberReason ? { memberReason } : {}), considered };
}
