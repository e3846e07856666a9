import { CustomResource, type CustomResourceOptions, type Output } from "@pulumi/pulumi";
import { TYPES } from "../naming.ts";
import type { HostSpec } from "../spec.ts";
import type { Args } from "./args.ts";

/** A virtual host. Image and pool are for life; flavour, keys, addresses, ports and power change in place. */
export class Host extends CustomResource {
  /** What the driver last said of it: running, stopped, crashed or unknown. */
  declare readonly state: Output<string>;

  constructor(name: string, args: Args<HostSpec>, options?: CustomResourceOptions) {
    super(TYPES.host, name, { ...args, state: undefined }, options);
  }
}
