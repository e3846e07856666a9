/** What an installation settles about snapshots: how many a volume has. */
import type { SnapshotPolicy } from "../contract/snapshots.ts";
import { settledPolicy } from "./settled-policy.ts";

const policy = settledPolicy<SnapshotPolicy>("snapshot-policy", { perVolume: 8, revision: 0 });

export const snapshotPolicy = policy.read;
/** Holds for what is taken from now on; what is there stays. */
export const setSnapshotPolicy = policy.set;
