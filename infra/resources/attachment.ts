import { CustomResource, type CustomResourceOptions } from "@pulumi/pulumi";
import { TYPES } from "../naming.ts";
import type { AttachmentSpec } from "../spec.ts";
import type { Args } from "./args.ts";

/** `hostId` and `volumeId` tie it to one generation of each: when either is replaced, the attachment is made anew. */
export type AttachmentArgs = Args<AttachmentSpec & { pool: string; hostId: string; volumeId: string }>;

/** A volume shown inside a host. */
export class Attachment extends CustomResource {
  constructor(name: string, args: AttachmentArgs, options?: CustomResourceOptions) {
    super(TYPES.attachment, name, args, options);
  }
}
