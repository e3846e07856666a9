/** Whether an engine would accept a state (pkg/v3 resource/stack/snapshot VerifyIntegrity). Pure. */
import { createHash } from "node:crypto";
import type { Deployment, Resource } from "./deployment.ts";
import { parseProvider } from "./references.ts";

/** @returns the first rule that the state breaks, as a sentence, or undefined for a sound one */
export function integrityFault(deployment: Deployment): string | undefined {
  const resources = deployment.resources ?? [];
  return magicFault(deployment) ?? orderFault(resources) ?? twinFault(resources) ?? snippetFault(deployment);
}

function magicFault({ manifest }: Deployment): string | undefined {
  const expected = manifest.version === "" ? "" : createHash("sha256").update(manifest.version).digest("hex");
  return manifest.magic === expected ? undefined : "the manifest's magic doesn't fit its version: the state was tampered with or is corrupt";
}

function orderFault(resources: readonly Resource[]): string | undefined {
  const seen = new Set<string>();
  const providers = new Set<string>();
  for (const [index, resource] of resources.entries()) {
    const fault = ownFault(resource, index, providers) ?? missing(resource, seen);
    if (fault) return fault;
    seen.add(resource.urn);
  }
  return undefined;
}

function ownFault(resource: Resource, index: number, providers: Set<string>): string | undefined {
  if (!resource.urn) return `the resource at index ${index} has no urn`;
  if (!resource.type) return `${resource.urn} has no type`;
  if (!resource.custom && resource.id) return `${resource.urn} is no custom resource but has an id`;
  if (resource.type.startsWith("pulumi:providers:")) {
    if (!resource.id) return `the provider ${resource.urn} has no id`;
    providers.add(`${resource.urn}::${resource.id}`);
  }
  if (!resource.provider) return undefined;
  const { urn, id } = parseProvider(resource.provider);
  if (!urn || !id) return `${resource.urn} has a malformed provider reference`;
  return providers.has(resource.provider) || resource.pendingReplacement ? undefined : `${resource.urn} refers to the unknown provider ${resource.provider}`;
}

function missing(resource: Resource, seen: ReadonlySet<string>): string | undefined {
  const needs: [string, string | undefined][] = [
    ["parent", resource.parent],
    ...(resource.dependencies ?? []).map((urn): [string, string] => ["dependency", urn]),
    ...Object.values(resource.propertyDependencies ?? {}).flatMap((urns) => (urns ?? []).map((urn): [string, string] => ["property dependency", urn])),
    ["deletedWith", resource.deletedWith],
  ];
  const lost = needs.find(([, urn]) => urn && !seen.has(urn));
  return lost && `${resource.urn} refers to its ${lost[0]} ${lost[1]}, which doesn't come before it`;
}

/** Only copies that wait for their deletion may share a URN with a living resource. */
function twinFault(resources: readonly Resource[]): string | undefined {
  const living = new Set<string>();
  for (const resource of resources) {
    if (resource.delete) continue;
    if (living.has(resource.urn)) return `${resource.urn} is there twice`;
    living.add(resource.urn);
  }
  return undefined;
}

function snippetFault({ snippets = [] }: Deployment): string | undefined {
  const seen = new Set<string>();
  for (const { uuid } of snippets) {
    if (!uuid || seen.has(uuid)) return `the snippet uuid "${uuid}" is missing or there twice`;
    seen.add(uuid);
  }
  return undefined;
}
