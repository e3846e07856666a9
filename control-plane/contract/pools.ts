import { z } from "zod";
import { Code, Count, Dimension, Id, Revision, SecurityLevel, Tier, Time, Title, Zone } from "./common.ts";

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
const capacity = z.partialRecord(Dimension, Count).meta({ description: "Capacity per dimension" });
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
    overcommitPercent: z.int().min(100).max(1600),
    driver: z.string(),
    endpoint: z.string(),
    state: z.enum(["open", "maintenance", "closed"]),
    circuit: PoolCircuit,
    capacity,
    taken: z.partialRecord(Dimension, Count),
    revision: Revision,
    createdAt: Time,
    updatedAt: Time,
  })
  .meta({ id: "Pool" });
export type Pool = z.infer<typeof Pool>;
export const NewPool = z
  .strictObject({
    code: Code,
    name: Title,
    kind: z.enum(["compute", "storage", "backup"]),
    site: Title,
    tier: Tier.default("standard"),
    securityLevel: SecurityLevel.default(3),
    zone: Zone.default("extranet"),
    overcommitPercent: z.int().min(100).max(1600).default(100),
    driver: z.string().min(1).max(32).default("embedded"),
    endpoint: z.string().max(500).default("").meta({ description: "Empty: the embedded driver's own directory in the data directory" }),
    capacity,
  })
  .meta({ id: "NewPool" });
export const PoolChange = z
  .strictObject({ name: Title, state: z.enum(["open", "maintenance", "closed"]), capacity, overcommitPercent: z.int().min(100).max(1600) })
  .partial()
  .meta({ id: "PoolChange" });
