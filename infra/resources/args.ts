import type { Input } from "@pulumi/pulumi";

/** Plain inputs, each of which may also be another resource's output. */
export type Args<T> = { [K in keyof T]: Input<T[K]> };
