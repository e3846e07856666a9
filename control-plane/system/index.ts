/** Copies of the whole system: what the jobs, the CLI and the composition root may use. */
export { writeArchive } from "./archive.ts";
export { refuseHalfRestored, refuseHalfRestoredDatabase, restoreArchive, type Restored, RestoreRefused } from "./restore.ts";
export { ArchiveInvalid } from "./tar.ts";
export { verifyArchive, type Verification } from "./verify.ts";
