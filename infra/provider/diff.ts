import { isDeepStrictEqual } from "node:util";
import type { Definition } from "./definition.ts";
import { strangeKey } from "../spec.ts";
import { isUnknown, type Properties } from "./wire.ts";

/** One input that differs; `path` goes into objects (flavour.vcpu) but not into lists. */
export interface Difference {
  path: string;
  kind: "add" | "delete" | "update";
  replace: boolean;
}

const isObject = (value: unknown): value is Properties => value !== null && typeof value === "object" && !Array.isArray(value);
const isEmpty = (value: unknown) => value === undefined || value === null;

function compare(path: string, before: unknown, after: unknown, replace: boolean): Difference[] {
  if (isEmpty(before) && isEmpty(after)) return [];
  if (isObject(before) && isObject(after)) {
    return [...new Set([...Object.keys(before), ...Object.keys(after)])].sort().flatMap((key) => compare(`${path}.${key}`, before[key], after[key], replace));
  }
  if (!isUnknown(after) && isDeepStrictEqual(before, after)) return [];
  return [{ path, kind: isEmpty(before) ? "add" : isEmpty(after) ? "delete" : "update", replace }];
}

/**
 * What differs between what is there and what is wanted. What is there is taken from the outputs, which a refresh or
 * an interrupted create keeps true, and from the old inputs only where there is no output (secrets).
 */
export function differences(definition: Definition, outputs: Properties, oldInputs: Properties, inputs: Properties): Difference[] {
  const before = currentOf(definition, outputs, oldInputs);
  const lasting = Object.keys(definition.inputs.shape).filter((key) => !definition.firstOnly?.includes(key));
  const own = lasting.flatMap((key) => compare(key, before[key], inputs[key], definition.replaceOn.includes(key)));
  const strange = (outputs[strangeKey] ?? []) as unknown[];
  return strange.length > 0 ? [...own, { path: strangeKey, kind: "delete", replace: false }] : own;
}

/** The inputs that describe what is there now. */
export function currentOf(definition: Definition, outputs: Properties, oldInputs: Properties): Properties {
  return Object.fromEntries(
    Object.keys(definition.inputs.shape).map((key) => [key, key in outputs && !definition.secrets.includes(key) ? outputs[key] : oldInputs[key]]),
  );
}
