import { TYPES } from "../naming.ts";
import { attachment } from "./attachment.ts";
import { backupPolicy } from "./backup-policy.ts";
import type { Definition } from "./definition.ts";
import { host } from "./host.ts";
import { volume } from "./volume.ts";

/** All resource types by their token. */
export const DEFINITIONS: ReadonlyMap<string, Definition> = new Map(
  [host, volume, attachment, backupPolicy].map((definition: Definition) => [TYPES[definition.kind], definition]),
);
