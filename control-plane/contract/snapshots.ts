/** Snapshots (快照) of volumes, and putting a volume back to one. */
import { z } from "zod";
import { Code, Id, PageQuery, Reference, Revision, Time } from "./common.ts";

/** An ask for a revert that nobody answered lapses, days. */
export const revertAskDays = 7;

export const SnapshotState = z.enum(["pending", "running", "complete", "failed", "deleting", "deleted"]);
export const Snapshot = z
  .object({
    id: Id,
    department: Id,
    volume: Id,
    volumeName: z.string(),
    name: Code,
    note: z.string(),
    state: SnapshotState,
    takenAt: Time.nullable().meta({ description: "The moment of its content" }),
    sizeBytes: z.int().nullable().meta({ description: "Bytes that it takes on the volume's storage; null where the driver cannot tell" }),
    expiresAt: Time.nullable().meta({ description: "It is deleted after that; null: it stays until somebody deletes it, or its volume is retired" }),
    requestedBy: z.string(),
    requestedByName: z.string().nullable(),
    createdAt: Time,
    completedAt: Time.nullable(),
    deletedBy: z.string().nullable(),
    deletedAt: Time.nullable(),
    endReason: z.enum(["asked", "expired", "volume-gone"]).nullable(),
    error: z.string().nullable(),
    revision: Revision,
  })
  .meta({
    id: "Snapshot",
    description:
      "A volume's content at a moment, on the volume's own storage: lost with it, so no backup. It is crash-consistent: what programs had not written to the volume yet is not in it",
  });
export type Snapshot = z.infer<typeof Snapshot>;

const Note = z.string().trim().max(500);
export const NewSnapshot = z
  .strictObject({
    volume: Id,
    name: Code,
    note: Note.default(""),
    expiresAt: Time.nullable().default(null).meta({ description: "In the future; null: it stays" }),
  })
  .meta({ id: "NewSnapshot" });
export const SnapshotChange = z.strictObject({ note: Note.optional(), expiresAt: Time.nullable().optional() }).meta({ id: "SnapshotChange" });
export type SnapshotChange = z.infer<typeof SnapshotChange>;
export const SnapshotQuery = PageQuery.extend({
  department: Reference.optional(),
  volume: Id.optional(),
  state: z
    .enum([...SnapshotState.options, "kept", "all"])
    .default("kept")
    .optional()
    .meta({ description: "kept: what is there or is being taken or deleted (the default)" }),
});

export const RevertState = z.enum(["asked", "refused", "withdrawn", "lapsed", "pending", "running", "complete", "failed"]).meta({
  description: "asked: waits for a second person · lapsed: nobody answered in time · pending: agreed to, about to be done",
});
export type RevertState = z.infer<typeof RevertState>;
export const SnapshotRevert = z
  .object({
    id: Id,
    department: Id,
    snapshot: Id,
    snapshotName: z.string(),
    takenAt: Time.nullable(),
    volume: Id,
    volumeName: z.string(),
    state: RevertState,
    reason: z.string(),
    askedBy: z.string(),
    askedByName: z.string().nullable(),
    askedAt: Time,
    decidedBy: z.string().nullable(),
    decidedByName: z.string().nullable(),
    decidedAt: Time.nullable(),
    decisionReason: z.string().nullable(),
    startedAt: Time.nullable(),
    endedAt: Time.nullable(),
    error: z.string().nullable(),
    revision: Revision,
  })
  .meta({ id: "SnapshotRevert", description: "Puts a volume back to one of its snapshots. What was written to it since is lost" });
export type SnapshotRevert = z.infer<typeof SnapshotRevert>;

const VolumeName = z.string().max(200).meta({ description: "The volume's name, typed once more" });
const Reason = z.string().trim().min(1).max(500);
/** It is destructive: what was written to the volume since the snapshot is lost. */
export const NewSnapshotRevert = z.strictObject({ snapshot: Id, volumeName: VolumeName, reason: Reason }).meta({ id: "NewSnapshotRevert" });
export const ConfirmRevert = z.strictObject({ volumeName: VolumeName, reason: z.string().trim().max(500).default("") }).meta({ id: "ConfirmRevert" });
export const CancelRevert = z.strictObject({ reason: Reason }).meta({ id: "CancelRevert" });
export const RevertQuery = PageQuery.extend({
  department: Reference.optional(),
  volume: Id.optional(),
  state: z
    .enum([...RevertState.options, "open"])
    .optional()
    .meta({ description: "open: asked, pending or running" }),
});

const policy = {
  perVolume: z.int().min(1).max(100).meta({ description: "The most snapshots that a volume has at a time" }),
};
export const SnapshotPolicy = z.object({ ...policy, revision: z.int().min(0) }).meta({ id: "SnapshotPolicy" });
export type SnapshotPolicy = z.infer<typeof SnapshotPolicy>;
export const SnapshotPolicyChange = z.strictObject(policy).meta({ id: "SnapshotPolicyChange" });
export type SnapshotPolicyChange = z.infer<typeof SnapshotPolicyChange>;
