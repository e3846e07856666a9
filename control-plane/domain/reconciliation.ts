/** What a resource should be charged for, by what it is and what open requests ask for it. Pure. */
import type { Dimension } from "../contract/common.ts";
import type { SpecKind } from "../../infra/spec.ts";
import { type AnySpec, metersOf, type Quantity, sumByDimension } from "./resources.ts";

export interface ChargedResource {
  id: string;
  kind: SpecKind;
  department_id: string;
  phase: "proposed" | "wanted" | "live" | "retiring" | "gone" | "failed";
  /** As applied last; null: never. */
  applied: unknown;
  updated_at: Date;
  /** By items of open requests; negative where given back after the apply. */
  asked: readonly Quantity[];
  /** By the item that made it: a backup policy counts for the volume's size at that time. */
  made: readonly Quantity[];
  charged: readonly (Quantity & { state: "reserved" | "used" })[];
}
export interface Wrong {
  field: "reserved" | "used";
  dimension: Dimension;
  expected: number;
  found: number;
}

/** What failed keeps its charge until the next `up` has removed it: milliseconds until that is a difference. */
export const removalPatience = 3_600_000;

export function chargedWrongly(resource: ChargedResource, now: Date): Wrong[] {
  if (resource.phase === "failed" && now.getTime() - resource.updated_at.getTime() < removalPatience) return [];
  return [...compare("reserved", reservedFor(resource), resource.charged), ...compare("used", usedBy(resource), resource.charged)];
}

/** Open requests reserve what they ask for more. */
const reservedFor = ({ asked, phase }: ChargedResource): Quantity[] =>
  phase === "gone" || phase === "failed" ? [] : sumByDimension(asked.filter((one) => one.quantity > 0));

/** What is there, or is still being removed, is used. */
function usedBy({ kind, phase, applied, made }: ChargedResource): Quantity[] {
  if (applied === null || (phase !== "live" && phase !== "retiring")) return [];
  return kind === "backup-policy" ? sumByDimension(made) : sumByDimension(metersOf(kind, applied as AnySpec));
}

function compare(field: "reserved" | "used", expected: readonly Quantity[], charged: ChargedResource["charged"]): Wrong[] {
  const found = sumByDimension(charged.filter((one) => one.state === field));
  const of = (quantities: readonly Quantity[], dimension: Dimension) => quantities.find((one) => one.dimension === dimension)?.quantity ?? 0;
  return [...new Set([...expected, ...found].map((one) => one.dimension))]
    .map((dimension) => ({ field, dimension, expected: of(expected, dimension), found: of(found, dimension) }))
    .filter((one) => one.expected !== one.found);
}
