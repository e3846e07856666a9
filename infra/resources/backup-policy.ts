import { CustomResource, type CustomResourceOptions } from "@pulumi/pulumi";
import { TYPES } from "../naming.ts";
import type { BackupPolicySpec } from "../spec.ts";
import type { Args } from "./args.ts";

/** `volumePool` is where the volume is (its driver keeps the policy); `pool` is where the recovery points go. */
export type BackupPolicyArgs = Args<BackupPolicySpec & { volumePool: string; volumeId: string }>;

/** When a volume is backed up, and how many recovery points are kept. */
export class BackupPolicy extends CustomResource {
  constructor(name: string, args: BackupPolicyArgs, options?: CustomResourceOptions) {
    super(TYPES["backup-policy"], name, args, options);
  }
}
