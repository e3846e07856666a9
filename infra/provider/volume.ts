import { z } from "zod";
import { VolumeSpec } from "../spec.ts";
import type { Definition } from "./definition.ts";

export const volume: Definition<VolumeSpec> = {
  kind: "volume",
  description: "A volume. It grows in place and never shrinks; its pool and tier are for life, and so is the backup that it was made with.",
  inputs: VolumeSpec,
  outputs: z.object({}),
  secrets: [],
  replaceOn: ["name", "pool", "tier", "backup"],
  pool: (inputs) => inputs.pool,
  refuses(before, after) {
    if (before.sizeGib === undefined || after.sizeGib >= before.sizeGib) return undefined;
    return `sizeGib: a volume cannot shrink from ${before.sizeGib} to ${after.sizeGib} GiB; ask for ${before.sizeGib} GiB or more, or for a new volume`;
  },
  made: () => ({}),
  create: (driver, inputs, call) => driver.createVolume(inputs, call),
  update: (driver, id, inputs, call) => driver.updateVolume(id, inputs, call),
  delete: (driver, id, call) => driver.deleteVolume(id, call),
};
