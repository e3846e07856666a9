/** Hosts, volumes, attachments and backup policies as they are read. They change only by requests. */
import { z } from "zod";
import { Code, Id, PageQuery, Reference, Revision, Tier, Time } from "./common.ts";

const Phase = z.enum(["proposed", "wanted", "live", "retiring", "gone", "failed"]);
const held = {
  id: Id,
  name: z.string(),
  department: Id,
  application: Id,
  project: Id,
  phase: Phase,
  request: Id,
  requestNumber: z.string(),
  openedAt: Time.nullable(),
  expiresAt: Time.nullable(),
  retiredAt: Time.nullable(),
  observedState: z.string(),
  observedAt: Time.nullable(),
  revision: Revision,
  createdAt: Time,
  updatedAt: Time,
};
export const Host = z
  .object({
    ...held,
    pool: Code,
    image: z.string(),
    flavour: z.object({ vcpu: z.int(), memoryMib: z.int(), diskGib: z.int() }),
    power: z.enum(["running", "stopped"]),
    sshKeys: z.array(z.string()),
    addresses: z.array(z.string()),
    ports: z.array(z.object({ protocol: z.string(), port: z.int() })),
    attachments: z.array(z.object({ id: Id, volume: Id, volumeName: z.string(), path: z.string() })),
    /** Seconds of the present calendar month (Asia/Shanghai) that it was up, and the share of the time it should have been. */
    uptimeSeconds: z.number().min(0),
    uptimeRatio: z.number().min(0).max(1).nullable(),
    maintenanceSeconds: z
      .number()
      .min(0)
      .meta({ description: "Seconds of the present month that it was down or unknown within maintenance windows: no part of the ratio" }),
    inMaintenance: z.boolean().meta({ description: "Whether a maintenance window holds for it now" }),
  })
  .meta({ id: "Host" });
export type Host = z.infer<typeof Host>;
export const Volume = z
  .object({
    ...held,
    pool: Code,
    tier: Tier,
    sizeGib: z.int(),
    usedBytes: z.int().nullable(),
    attachedTo: z.object({ attachment: Id, host: Id, hostName: z.string(), path: z.string() }).nullable(),
  })
  .meta({ id: "Volume" });
export type Volume = z.infer<typeof Volume>;
export const BackupPolicy = z
  .object({
    ...held,
    volume: Id,
    volumeName: z.string(),
    pool: Code,
    schedule: z.string(),
    timezone: z.string(),
    keep: z.int(),
    nextDueAt: Time.nullable(),
    lastSuccessAt: Time.nullable(),
  })
  .meta({ id: "BackupPolicy" });
export type BackupPolicy = z.infer<typeof BackupPolicy>;
export const ResourceQuery = PageQuery.extend({
  department: Reference.optional(),
  application: Reference.optional(),
  phase: Phase.optional(),
  subtree: z.enum(["true", "false"]).optional(),
});
