import type { z } from "zod";
import type { Actual, Call, Driver, Made } from "../drivers/driver.ts";
import type { SpecKind } from "../spec.ts";

/** Any zod object: which one is known only to the resource's own file. */
type Shape = z.ZodObject<z.ZodRawShape>;

/** One resource type of the provider: what it takes, what replaces it, and how a driver makes it. */
// eslint-disable-next-line typescript/no-explicit-any -- a table of all types must let each have inputs of its own
export interface Definition<I extends { name: string } = any> {
  kind: SpecKind;
  description: string;
  inputs: Shape;
  /** Read-only properties beside the inputs. */
  outputs: Shape;
  /** Inputs that are encrypted in state and are no outputs. */
  secrets: readonly string[];
  /** Inputs that a resource has for life: another value deletes it and makes it anew. */
  replaceOn: readonly string[];
  /** Inputs that matter at its creation alone: another value changes nothing of what is there. */
  firstOnly?: readonly string[];
  /** The pool whose driver has the resource. */
  pool(inputs: I): string;
  /** Why the change cannot be made in place, or undefined. `before` may lack what an earlier state did not have. */
  refuses?(before: Partial<I>, after: I): string | undefined;
  /** Outputs of a thing that was just made or changed to these inputs. */
  made(inputs: I): Record<string, unknown>;
  create(driver: Driver, inputs: I, call: Call): Promise<Made>;
  /** Absent when every change replaces. */
  update?(driver: Driver, id: string, inputs: I, call: Call): Promise<void>;
  delete(driver: Driver, id: string, call: Call): Promise<void>;
  /** Outputs of a thing that is out of sight, since its machine doesn't answer; all else stays as it was. Left out: none. */
  unseen?: Record<string, unknown>;
  /** What is said of a thing that is there, beside its properties: inputs that are known otherwise, and outputs. Left out: nothing. */
  read?(actual: Actual): { inputs?: Partial<I>; outputs?: Record<string, unknown> };
}
