/** What the provider does, in plain values; `server.ts` puts it on the wire. */
import { isDeepStrictEqual } from "node:util";
import type { z } from "zod";
import { type Actual, DriverError, NotFound, type Driver } from "../drivers/driver.ts";
import type { Definition } from "./definition.ts";
import { strangeKey } from "../spec.ts";
import { currentOf } from "./diff.ts";
import { OutOfSight, overlaid } from "./listing.ts";
import type { Scope } from "./scopes.ts";
import type { Properties } from "./wire.ts";

/** A thing that is there but is not what was asked for: recorded in state as it is, so that it can't be orphaned. */
export class PartlyMade extends DriverError {
  readonly id: string;
  readonly properties: Properties;
  constructor(code: string, message: string, id: string, properties: Properties, options?: ErrorOptions) {
    super(code, message, options);
    this.id = id;
    this.properties = properties;
  }
}

const complaint = (error: z.ZodError) => error.issues.map((issue) => [issue.path.join("."), issue.message].filter(Boolean).join(": ")).join("; ");

/**
 * Inputs with their defaults. Wrong ones come back as they are: Pulumi gives up a whole department when a check fails,
 * so they are refused where only the one resource fails, in create and update.
 */
export function checked(definition: Definition, inputs: Properties): Properties {
  const result = definition.inputs.safeParse(inputs);
  return result.success ? result.data : inputs;
}

/** @throws DriverError invalid-inputs, saying which property and why */
function valid(definition: Definition, inputs: Properties) {
  const result = definition.inputs.safeParse(inputs);
  if (!result.success) throw new DriverError("invalid-inputs", complaint(result.error));
  return result.data as { name: string } & Properties;
}

function refuse(definition: Definition, before: Properties, after: Properties) {
  const reason = definition.refuses?.(before, after);
  if (reason) throw new DriverError("unsupported", reason);
}

/** Outputs: all inputs but the secret ones, and what is read-only. */
function outputsOf(definition: Definition, inputs: Properties): Properties {
  const shown = Object.entries(inputs).filter(([key]) => !definition.secrets.includes(key));
  return { ...Object.fromEntries(shown), ...definition.made(inputs) };
}

export async function create(definition: Definition, scope: Scope, properties: Properties, preview: boolean) {
  const inputs = valid(definition, properties);
  if (preview) return { id: "", properties: outputsOf(definition, inputs) };
  scope.requireApproved(definition.kind, inputs);
  const driver = await scope.driver(definition.pool(inputs));
  const made = await definition.create(driver, inputs, scope.call);
  if (made.adopted) await takeOver(definition, scope, driver, made.id, inputs);
  return { id: made.id, properties: outputsOf(definition, inputs) };
}

/** Brings what an interrupted operation left behind to what is wanted now; where that takes a replacement, says what is there. */
async function takeOver(definition: Definition, scope: Scope, driver: Driver, id: string, inputs: { name: string } & Properties) {
  const found = await driver.find(definition.kind, inputs.name);
  const before = (found?.spec ?? {}) as Properties;
  const there = outputsOf(definition, { ...inputs, ...before });
  const differs = definition.replaceOn.filter((key) => key in before && !definition.secrets.includes(key) && !isDeepStrictEqual(before[key], inputs[key]));
  if (differs.length > 0) {
    throw new PartlyMade(
      "conflict",
      `${differs.join(", ")}: an interrupted operation left ${inputs.name} with other values; it is replaced by the next attempt`,
      id,
      there,
    );
  }
  try {
    refuse(definition, before, inputs);
    await definition.update?.(driver, id, inputs, scope.call);
  } catch (error) {
    const { code, message } = named(error);
    throw new PartlyMade(code, message, id, there, { cause: error });
  }
}

export interface Update {
  id: string;
  outputs: Properties;
  oldInputs: Properties;
  inputs: Properties;
  preview: boolean;
}

export async function update(definition: Definition, scope: Scope, change: Update) {
  const inputs = valid(definition, change.inputs);
  await refuseUnlessThere(definition, scope, change, inputs);
  if (!change.preview) {
    scope.requireApproved(definition.kind, inputs);
    const driver = await scope.driver(definition.pool(inputs));
    await definition.update?.(driver, change.id, inputs, scope.updating(inputs.name));
  }
  return { properties: outputsOf(definition, inputs) };
}

/** What cannot be made in place may be there already: somebody made it so behind our back, and that is wanted from now on. */
async function refuseUnlessThere(definition: Definition, scope: Scope, { id, outputs, oldInputs }: Update, inputs: Properties) {
  const known = currentOf(definition, outputs, oldInputs);
  if (definition.refuses?.(known, inputs) === undefined) return;
  const actual = await (await scope.listing(definition.pool(known))).actual(id, hostOf(known));
  refuse(definition, actual ? overlaid(known, actual.spec) : known, inputs);
}

/** Deletes that generation; one that is gone already is no error. */
export async function remove(definition: Definition, scope: Scope, id: string, inputs: Properties) {
  scope.requireRemovable(String(inputs["name"]));
  const driver = await scope.driver(definition.pool(inputs));
  try {
    await definition.delete(driver, id, scope.ends(String(inputs["name"])) ? { ...scope.call, end: true } : scope.call);
  } catch (error) {
    if (!(error instanceof NotFound)) throw error;
  }
}

const hostOf = (inputs: Properties) => (typeof inputs["host"] === "string" ? inputs["host"] : undefined);

/** What is there now; undefined when it is gone. What is out of sight stays as it was known. */
export async function read(definition: Definition, scope: Scope, id: string, outputs: Properties, oldInputs: Properties) {
  const current = currentOf(definition, outputs, oldInputs);
  const listing = await scope.listing(definition.pool(current));
  let actual: Actual | undefined;
  try {
    actual = await listing.actual(id, hostOf(current));
    if (!actual && current["adopted"] !== undefined) await requireGone(definition, scope, current);
  } catch (error) {
    if (error instanceof OutOfSight) return { inputs: oldInputs, properties: { ...outputs, ...definition.unseen } };
    throw error;
  }
  if (!actual) return undefined;
  const asked = Object.fromEntries(Object.entries(actual.spec).filter(([key]) => key in definition.inputs.shape && !definition.secrets.includes(key)));
  const { inputs = {}, outputs: shown = {} } = definition.read?.(actual) ?? {};
  const seen = { ...asked, ...inputs };
  const { [strangeKey]: _before, ...rest } = outputs;
  return {
    inputs: overlaid(oldInputs, seen),
    properties: { ...overlaid(rest, seen), ...shown, ...(actual.strange.length > 0 ? { [strangeKey]: actual.strange } : {}) },
  };
}

/** What was taken over bears no name of ours: where a member doesn't answer, it may be on that one. @throws OutOfSight */
async function requireGone(definition: Definition, scope: Scope, current: Properties): Promise<void> {
  const name = String(current["name"]);
  try {
    await (await scope.driver(definition.pool(current))).find(definition.kind, name);
  } catch (error) {
    throw error instanceof DriverError && error.code === "unreachable" ? new OutOfSight(name) : error;
  }
}

/** Any error as a code and a message for people. */
export function named(error: unknown): { code: string; message: string } {
  if (error instanceof DriverError) return { code: error.code, message: error.message };
  return { code: "internal", message: error instanceof Error ? error.message : String(error) };
}
