import { z } from "zod";
import { Code, Count, Dimension, Id, Reference, Revision, SecurityLevel, Tier, Time, Title, Zone } from "./common.ts";

/** Whether the control plane asks the machines behind a pool. */
export const PoolCircuit = z
  .object({
    state: z
      .enum(["closed", "half-open", "open"])
      .meta({ description: "closed: it does · open: given up for a moment since it did not answer · half-open: tried again" }),
    since: Time.nullable(),
    error: z.string().nullable().meta({ description: "Why it was given up last" }),
  })
  .meta({ id: "PoolCircuit" });
export type PoolCircuit = z.infer<typeof PoolCircuit>;
const amounts = z.partialRecord(Dimension, Count);
const capacity = amounts.meta({ description: "What there is, per dimension" });
const state = z
  .enum(["open", "maintenance", "closed"])
  .meta({ description: "open: takes what is new · maintenance, closed: takes nothing new, what is there stays" });
const strategy = z.enum(["spread", "pack"]).meta({ description: "How new hosts go to the members of its cluster: evenly, or the fullest that has room first" });
const overcommitPercent = z.int().min(100).max(1600).meta({ description: "vCPU given out for 100 that there are. Memory and storage are given out once" });
export const MemberLossAction = z.enum(["wait", "propose", "restart"]).meta({
  description:
    "wait: nothing by itself · propose: it is filed that the member is given up, for two people to decide · restart: hosts whose storage the members share are started on another one",
});
export type MemberLossAction = z.infer<typeof MemberLossAction>;
const onMemberLoss = z
  .strictObject({
    action: MemberLossAction,
    afterSeconds: z.int().min(10).max(604_800).default(600).meta({ description: "So long its cluster itself must have said that the member is offline" }),
    fenced: z.boolean().default(false).meta({
      description:
        "For restart: you have made sure that a machine that lost its cluster is off by then (a watchdog, or its power is cut): else its hosts could run twice",
    }),
  })
  .meta({ description: "What becomes of its hosts when their member doesn't answer" });
export type OnMemberLoss = z.infer<typeof onMemberLoss>;
const Bytes = z.object({ totalBytes: Count, freeBytes: Count });

/** Capacity of a site (资源池). */
export const Pool = z
  .object({
    id: Id,
    code: Code,
    name: Title,
    kind: z.enum(["compute", "storage", "backup"]),
    site: Title,
    tier: Tier,
    securityLevel: SecurityLevel,
    zone: Zone,
    dedicatedTo: z
      .object({ department: Id, departmentName: z.string(), application: Id.nullable(), applicationName: z.string().nullable() })
      .nullable()
      .meta({ description: "Only for this department and what is below it, or this application; null: for all" }),
    strategy,
    overcommitPercent,
    driver: z.string(),
    endpoint: z.string(),
    server: z.string().meta({ description: "Driver and endpoint without its settings: pools of one server serve each other" }),
    group: z.string().nullable().meta({ description: "Cluster group that takes its hosts; null: all members do" }),
    vm: z.boolean().meta({ description: "Whether virtual machines can be made there, as was read last" }),
    sharedStorage: z
      .boolean()
      .nullable()
      .meta({ description: "Whether its members share the storage of its hosts' disks, as was read last; null: not read yet" }),
    onMemberLoss: z
      .object({
        action: MemberLossAction,
        afterSeconds: z.int(),
        fenced: z.boolean(),
        setBy: z.string().nullable(),
        setByName: z.string().nullable(),
        setAt: Time.nullable(),
      })
      .meta({ description: "What becomes of its hosts when their member doesn't answer, and who settled that" }),
    state,
    circuit: PoolCircuit,
    capacity,
    offered: amounts.meta({ description: "What may be given out: vCPU by the overcommit ratio" }),
    taken: amounts.meta({ description: "By what was asked for and is not refused" }),
    queued: amounts.meta({ description: "What approved requests wait for" }),
    used: z
      .object({ disk: Bytes.nullable(), memory: Bytes.nullable() })
      .nullable()
      .meta({ description: "Of the machines behind, as they were read last; null: they could not be read" }),
    members: z.object({ online: z.int(), evacuated: z.int(), offline: z.int() }).meta({ description: "Those that its hosts go to, by state" }),
    revision: Revision,
    createdAt: Time,
    updatedAt: Time,
  })
  .meta({ id: "Pool" });
export type Pool = z.infer<typeof Pool>;

/** A machine behind a pool. */
export const PoolMember = z
  .object({
    name: z.string(),
    state: z.enum(["online", "evacuated", "offline"]).meta({ description: "evacuated: takes no hosts, by decision of operations · offline: does not answer" }),
    since: Time,
    message: z.string(),
    groups: z.array(z.string()),
    inGroup: z.boolean().meta({ description: "Whether the pool's hosts go to it" }),
    vcpu: z.int().nullable(),
    memory: Bytes.nullable(),
    disk: Bytes.nullable().meta({ description: "Of the pool's storage on it" }),
    hosts: z.int().meta({ description: "Of all pools of the server, those that are to be made there included" }),
    taken: z.object({ vcpu: z.int(), memoryMib: z.int() }).meta({ description: "By these hosts" }),
    seenAt: Time,
  })
  .meta({ id: "PoolMember" });
export type PoolMember = z.infer<typeof PoolMember>;

const dedicatedTo = z.strictObject({ department: Reference, application: Reference.optional() }).nullable().meta({
  description: "A department with all below it, or one application of it. From level 3 on a compute pool that is not dedicated takes virtual machines only",
});
export const NewPool = z
  .strictObject({
    code: Code,
    name: Title,
    kind: z.enum(["compute", "storage", "backup"]),
    site: Title,
    tier: Tier.default("standard"),
    securityLevel: SecurityLevel.default(3),
    zone: Zone.default("extranet"),
    dedicatedTo: dedicatedTo.optional(),
    strategy: strategy.default("spread"),
    overcommitPercent: overcommitPercent.default(100),
    onMemberLoss: onMemberLoss.optional(),
    driver: z.string().min(1).max(32).default("embedded"),
    endpoint: z.string().max(500).default("").meta({ description: "Empty: the embedded driver's own directory in the data directory" }),
    capacity,
  })
  .meta({ id: "NewPool" });
export const PoolChange = z
  .strictObject({ name: Title, state, capacity, overcommitPercent, strategy, dedicatedTo, onMemberLoss })
  .partial()
  .meta({ id: "PoolChange" });
export type PoolChange = z.infer<typeof PoolChange>;
