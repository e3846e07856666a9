/** Copies of the whole system: what the jobs, the CLI and the composition root may use. */
import { findKeys, type Keys } from "../state/index.ts";

export { writeArchive } from "./archive.ts";
export { refuseHalfRestored, refuseHalfRestoredDatabase, restoreArchive, type Restored, RestoreRefused } from "./restore.ts";
export { ArchiveInvalid } from "./tar.ts";
export { verifyArchive, type Verification } from "./verify.ts";

/** The master key of a fingerprint, if it is at hand: in the environment, or in the data directory. */
export const findMasterKey = (directory: string, environment: Record<string, string | undefined>, fingerprint: string): Keys | undefined =>
  findKeys({ directory, environment }, fingerprint);
export { rotateMasterKey } from "./rotate.ts";
export { makeEscrowPair, openEscrow } from "../state/index.ts";
