/** Drift: what is otherwise on the cloud than it was applied, and what may be decided on it. Pure. */
import { Flavour, type SpecKind, strangeKey, VolumeSpec } from "../../infra/spec.ts";

/** The property of a thing that is not there any more. */
export const existence = "existence";

/** One property that is otherwise than it was applied. */
export interface Drifted {
  resourceId: string;
  kind: SpecKind;
  /** A path into the specification (flavour.memoryMib), `existence`, or `strange`: what nobody of ours set. */
  property: string;
  wanted: unknown;
  actual: unknown;
}

interface Step {
  action: string;
  kind: SpecKind;
  name: string;
  changes: readonly { path: string; before?: unknown; after?: unknown }[];
}

/** From the steps of a refresh that changed nothing. */
export function driftOf(steps: readonly Step[]): Drifted[] {
  return steps.flatMap(({ action, kind, name, changes }): Drifted[] => {
    if (action === "delete") return [{ resourceId: name, kind, property: existence, wanted: "present", actual: "missing" }];
    return changes.map(({ path, before, after }) => ({
      resourceId: name,
      kind,
      property: path,
      wanted: path === strangeKey ? [] : (before ?? null),
      actual: after ?? null,
    }));
  });
}

/** Which of a thing's drift is the same as before. */
export const sameDrift = (a: Pick<Drifted, "wanted" | "actual">, b: Pick<Drifted, "wanted" | "actual">): boolean =>
  JSON.stringify([a.wanted, a.actual]) === JSON.stringify([b.wanted, b.actual]);

/** What the wanted state would become; undefined: this property cannot be taken over, or not with this value. */
export function takenOver({ kind, property, actual }: Pick<Drifted, "kind" | "property" | "actual">): Adoption | undefined {
  if (kind === "volume" && property === "sizeGib") return VolumeSpec.shape.sizeGib.safeParse(actual).success ? { sizeGib: actual as number } : undefined;
  if (kind !== "host") return undefined;
  if (property === "power") return actual === "running" || actual === "stopped" ? { power: actual } : undefined;
  const [, size] = /^flavour\.(\w+)$/.exec(property) ?? [];
  if (size === undefined || !(size in Flavour.shape)) return undefined;
  const fits = Flavour.shape[size as keyof typeof Flavour.shape].safeParse(actual).success && actual !== null;
  return fits ? { flavour: { [size]: actual as number } } : undefined;
}

/** What an item of a request asks for that takes over what is there. */
export interface Adoption {
  flavour?: { [size in keyof Flavour]?: number };
  power?: "running" | "stopped";
  sizeGib?: number;
}

/** All of one thing together. */
export function together(adoptions: readonly Adoption[]): Adoption {
  return adoptions.reduce((all, one) => {
    const flavour = { ...all.flavour, ...one.flavour };
    return { ...all, ...one, ...(Object.keys(flavour).length > 0 ? { flavour } : {}) };
  }, {});
}
