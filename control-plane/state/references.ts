/** URNs that resources hold of each other: kept free of aliases, and of what is gone. Pure. */
import { type Deployment, InvalidState, type Resource } from "./deployment.ts";

const rootStackType = "pulumi:pulumi:Stack";

/** The parts of `urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME`. A name may itself hold `::`. */
export function parseUrn(urn: string): { stack: string; project: string; qualifiedType: string; type: string; name: string } {
  const [stack = "", project = "", qualifiedType = "", ...name] = urn.replace(/^urn:pulumi:/, "").split("::");
  return { stack, project, qualifiedType, type: qualifiedType.slice(qualifiedType.lastIndexOf("$") + 1), name: name.join("::") };
}

/** A provider reference is its URN, `::` and its id. */
export function parseProvider(reference: string): { urn: string; id: string } {
  const at = reference.lastIndexOf("::");
  return { urn: reference.slice(0, at), id: reference.slice(at + 2) };
}

/**
 * Rewrites every reference to a former URN (alias) to the present one, and drops the aliases.
 * @throws InvalidState when one alias names two resources
 */
export function normaliseReferences(deployment: Deployment): Deployment {
  const resources = deployment.resources ?? [];
  const renamed = formerNames(resources);
  if (renamed.size === 0) {
    return resources.some((resource) => resource.aliases) ? { ...deployment, resources: resources.map(withoutAliases) } : deployment;
  }
  const now = (urn: string) => renamed.get(urn) ?? urn;
  const nowAll = (urns: string[]) => urns.map(now);
  const provider = (reference: string) => {
    const { urn, id } = parseProvider(reference);
    return `${now(urn)}::${id}`;
  };
  return {
    ...deployment,
    resources: resources.map((resource) => ({
      ...withoutAliases(resource),
      urn: now(resource.urn),
      ...(resource.parent && { parent: now(resource.parent) }),
      ...(resource.provider && { provider: provider(resource.provider) }),
      ...(resource.dependencies && { dependencies: nowAll(resource.dependencies) }),
      ...(resource.propertyDependencies && { propertyDependencies: mapValues(resource.propertyDependencies, nowAll) }),
      ...(resource.deletedWith && { deletedWith: now(resource.deletedWith) }),
      ...(resource.viewOf && { viewOf: now(resource.viewOf) }),
    })),
    ...(deployment.snippets && {
      snippets: deployment.snippets.map((snippet) => ({ ...snippet, ...(snippet.references && { references: mapValues(snippet.references, now) }) })),
    }),
  };
}

function withoutAliases({ aliases: _aliases, ...resource }: Resource): Resource {
  return resource;
}

function formerNames(resources: readonly Resource[]): Map<string, string> {
  const renamed = new Map<string, string>();
  for (const resource of resources) {
    for (const alias of resource.aliases ?? []) {
      const other = renamed.get(alias);
      if (other !== undefined && other !== resource.urn) throw new InvalidState(`${other} and ${resource.urn} have the same alias ${alias}`);
      renamed.set(alias, resource.urn);
    }
    // A child's URN holds its parent's type: when that changed, so did the child's.
    const parent = resource.parent === undefined ? undefined : renamed.get(resource.parent);
    if (parent === undefined || parseUrn(parent).qualifiedType === rootStackType) continue;
    const { stack, project, type, name } = parseUrn(resource.urn);
    renamed.set(resource.urn, `urn:pulumi:${stack}::${project}::${parseUrn(parent).qualifiedType}$${type}::${name}`);
  }
  return renamed;
}

/** Drops references to resources that a refresh found gone. Resources come after what they depend on. */
export function pruneDangling(resources: readonly Resource[]): Resource[] {
  const all = new Set(resources.map((resource) => resource.urn));
  const seen = new Set<string>();
  return resources.map((resource) => {
    const known = (urns: string[]) => urns.filter((urn) => seen.has(urn));
    const { parent, dependencies, propertyDependencies, deletedWith, replaceWith, ...rest } = resource;
    const pruned = {
      ...rest,
      ...(parent && all.has(parent) && { parent }),
      ...(dependencies && { dependencies: known(dependencies) }),
      ...(propertyDependencies && { propertyDependencies: nonEmpty(mapValues(propertyDependencies, known)) }),
      ...(deletedWith && seen.has(deletedWith) && { deletedWith }),
      // Pulumi's replayer appends empty names here, which no engine can read back.
      ...(replaceWith && { replaceWith: known(replaceWith) }),
    } as Resource;
    seen.add(resource.urn);
    return pruned;
  });
}

function nonEmpty(lists: Record<string, string[]>): Record<string, string[]> {
  return Object.fromEntries(Object.entries(lists).filter(([, list]) => list.length > 0));
}

function mapValues<A, B>(record: Record<string, A>, change: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}
