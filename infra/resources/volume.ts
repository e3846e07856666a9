import { CustomResource, type CustomResourceOptions } from "@pulumi/pulumi";
import { TYPES } from "../naming.ts";
import type { VolumeSpec } from "../spec.ts";
import type { Args } from "./args.ts";

/** A volume. It grows in place and never shrinks; its pool and tier are for life. */
export class Volume extends CustomResource {
  constructor(name: string, args: Args<VolumeSpec>, options?: CustomResourceOptions) {
    super(TYPES.volume, name, args, options);
  }
}
