/** What two states must agree in that came about by different ways. */
import type { Deployment } from "../../../../control-plane/state/deployment.ts";

/** A state without what differs between any two runs: times, generated ids, positions in the code, the orders that mean nothing. */
export function comparable({ resources = [], pending_operations = [], metadata: _, manifest: __, secrets_providers: ___, ...rest }: Deployment): unknown {
  const ids = new Map(resources.filter(({ type }) => type.startsWith("pulumi:providers:")).map(({ id }) => [id!, "provider-id"]));
  const clean = (value: unknown) => JSON.parse([...ids].reduce((text, [id, name]) => text.replaceAll(id, name), JSON.stringify(value)));
  return clean({
    ...rest,
    resources: resources
      .map(({ created: _c, modified: _m, sourcePosition: _p, stackTrace: _t, propertyDependencies = {}, dependencies = [], ...resource }) =>
        solid({
          ...resource,
          dependencies: dependencies.toSorted(),
          propertyDependencies: solid(Object.fromEntries(Object.entries(propertyDependencies).map(([key, urns]) => [key, (urns ?? []).toSorted()]))),
        }),
      )
      .sort((a, b) => key(a).localeCompare(key(b))),
    pending: pending_operations.length,
  });
}

/** Pulumi takes what is empty and what is absent for the same, and writes now one, now the other. */
function solid(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(record)
      .filter(([, value]) => !isEmpty(value))
      .sort(([a], [b]) => a.localeCompare(b)),
  );
}

function isEmpty(value: unknown): boolean {
  return value === "" || value === false || (typeof value === "object" && value !== null && Object.keys(value).length === 0);
}

/** Pulumi's mark of a secret in a state. */
const mark = "4dabf18193072939515e22adb298388d";

/** Secrets by what they hold: each is encrypted anew at every write. */
export async function withOpenSecrets(value: unknown, open: (ciphertext: Buffer) => Promise<Buffer>): Promise<unknown> {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return Promise.all(value.map((one) => withOpenSecrets(one, open)));
  if (mark in value) return { secret: (await open(Buffer.from((value as unknown as { ciphertext: string }).ciphertext, "base64"))).toString() };
  return Object.fromEntries(await Promise.all(Object.entries(value).map(async ([key, one]) => [key, await withOpenSecrets(one, open)] as const)));
}

function key(resource: Record<string, unknown>): string {
  return `${String(resource["urn"])} ${String(resource["id"])}`;
}
