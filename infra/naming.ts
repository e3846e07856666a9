/**
 * The one place where our nouns get their Pulumi names and types. Names are identity: a resource whose name or
 * parent changes is deleted and made anew, so everything here is a pure function of immutable ids.
 */
import type { SpecKind } from "./spec.ts";

/** The provider's package, first part of every type token. */
export const PACKAGE = "zhengyun";
export const VERSION = "0.1.0";

/** Type tokens of the provider's resources by our kind. */
export const TYPES = {
  host: `${PACKAGE}:index:Host`,
  volume: `${PACKAGE}:index:Volume`,
  attachment: `${PACKAGE}:index:Attachment`,
  "backup-policy": `${PACKAGE}:index:BackupPolicy`,
} as const satisfies Record<SpecKind, string>;

/** The only component: parent of all of a department's resources, so that moving a volume between hosts never renames it. */
export const ESTATE_TYPE = `${PACKAGE}:index:DepartmentEstate`;

const KINDS = new Map<string, SpecKind>(Object.entries(TYPES).map(([kind, type]) => [type, kind as SpecKind]));

export interface ResourceAddress {
  stack: string;
  project: string;
  /** Type token without its parents'. */
  type: string;
  /** Name of the resource in our spec. */
  name: string;
  /** Absent for the stack, components and providers. */
  kind?: SpecKind;
}

/** The URN that Pulumi gives a resource of an estate. */
export function urnOf(project: string, stack: string, kind: SpecKind, name: string): string {
  return `urn:pulumi:${stack}::${project}::${ESTATE_TYPE}$${TYPES[kind]}::${name}`;
}

/** Parts of any Pulumi URN; undefined for text that is none. */
export function parseUrn(urn: string): ResourceAddress | undefined {
  const match = /^urn:pulumi:(.*?)::(.*?)::(.*?)::(.*)$/s.exec(urn);
  if (!match) return undefined;
  const [, stack, project, types, name] = match as unknown as [string, string, string, string, string];
  const type = types.slice(types.lastIndexOf("$") + 1);
  return { stack, project, type, name, kind: KINDS.get(type) };
}
