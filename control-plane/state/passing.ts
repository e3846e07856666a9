/**
 * Resources that pass from one stack to another (a transfer between departments): out of the one state and into the other in one transaction, so that no engine ever
 * sees them in neither or in both. Nothing happens to what they stand for.
 */
import type { Transaction } from "kysely";
import type { Db } from "../store/database.ts";
import type { Database } from "../store/schema.ts";
import { type Deployment, InvalidState, type Resource, type VersionedDeployment } from "./deployment.ts";
import { integrityFault } from "./integrity.ts";
import type { Keys } from "./keys.ts";
import { parseProvider, parseUrn } from "./references.ts";
import { secretsOf, type StackSecrets } from "./secrets.ts";
import { readVersion, writeVersion } from "./snapshots.ts";
import type { StackName } from "./stack-name.ts";
import { getStack, holdStack, type Stack } from "./stacks.ts";
import { createUpdate } from "./updates.ts";

const signature = "4dabf18193072939515e22adb298388d";
const rootType = "pulumi:pulumi:Stack";

/** Two stacks with the keys of their secrets opened: what a transaction must not wait for. Both stacks are there. */
export interface Passage {
  from: Stack;
  to: Stack;
  opens: StackSecrets;
  seals: StackSecrets;
}
export async function openPassage(db: Db, keys: Keys, from: StackName, to: StackName): Promise<Passage> {
  const secrets = secretsOf(db, keys);
  const [source, target] = [await getStack(db, from), await getStack(db, to)];
  const [opens, seals] = [secrets(source.id), secrets(target.id)];
  await Promise.all([opens.encrypt([]), seals.encrypt([])]);
  return { from: source, to: target, opens, seals };
}

/**
 * Moves custom resources by name. Those that the giver's state lacks are passed over: the receiver's next update takes them over by their names.
 * @returns how many were moved
 * @throws StackLocked while an update of either runs @throws InvalidState when either state would not be sound
 */
export async function passResources(
  trx: Transaction<Database>,
  { from, to, opens, seals }: Passage,
  names: readonly string[],
  { fence, message }: { fence: number; message: string },
): Promise<number> {
  const held = new Map<string, Stack>();
  // In one order, so that two that pass at once never wait for each other.
  for (const stack of [from, to].toSorted((a, b) => (a.id < b.id ? -1 : 1))) held.set(stack.id, await holdStack(trx, stack));
  const [source, target] = [held.get(from.id)!, held.get(to.id)!];
  const before = await readVersion(trx, source.id, source.version);
  const moved = passed(before, await readVersion(trx, target.id, target.version), source, target, new Set(names));
  if (moved.count === 0) return 0;
  const resealed = await reseal(moved.to, opens, seals, moved.names);
  for (const [stack, state] of [[source, moved.from] as const, [target, resealed] as const]) {
    const fault = integrityFault(state.deployment);
    if (fault) throw new InvalidState(`${stack.stack}: ${fault}`);
    const now = new Date();
    const id = await createUpdate(trx, stack, { kind: "import", fence, message, environment: {} });
    await writeVersion(trx, stack.id, stack.version + 1, state);
    await trx
      .updateTable("state_updates")
      .set({ status: "succeeded", version: stack.version + 1, started_at: now, finished_at: now })
      .where("id", "=", id)
      .execute();
  }
  return moved.count;
}

interface Passed {
  from: VersionedDeployment;
  to: VersionedDeployment;
  /** URNs, in the receiver's state, of what came. */
  names: Set<string>;
  count: number;
}

/** Both states after it. Pure. @throws InvalidState */
export function passed(giver: VersionedDeployment, receiver: VersionedDeployment, from: StackName, to: StackName, names: ReadonlySet<string>): Passed {
  const all = giver.deployment.resources ?? [];
  const there = receiver.deployment.resources ?? [];
  const isRoot = (resource: Resource) => resource.type === rootType;
  const moving = all.filter((one) => one.custom && !one.type.startsWith("pulumi:") && names.has(parseUrn(one.urn).name));
  const waiting = moving.find((one) => one.delete || one.pendingReplacement);
  if (waiting) throw new InvalidState(`${waiting.urn} is being replaced`);
  const rename = renaming(from, to);

  // What they hang on: the stack itself, their component, their provider. The receiver's own where it has them.
  const byUrn = new Map(all.map((one) => [one.urn, one]));
  const needed = new Set<string>();
  const need = (urn: string | undefined): void => {
    if (urn === undefined || needed.has(urn)) return;
    needed.add(urn);
    need(byUrn.get(urn)?.parent);
  };
  for (const one of moving) {
    need(one.parent);
    if (one.provider) need(parseProvider(one.provider).urn);
  }
  for (const one of all.filter(isRoot)) need(one.urn);
  const own = new Map(there.filter((one) => !one.delete).map((one) => [one.urn, one]));
  const scaffold = all.filter((one) => needed.has(one.urn) && !own.has(rename(one.urn)));
  const provider = (reference: string): string => {
    const { urn, id } = parseProvider(reference);
    return `${rename(urn)}::${own.get(rename(urn))?.id ?? id}`;
  };
  const renamed = (one: Resource): Resource => ({
    ...one,
    urn: rename(one.urn),
    ...(one.parent && { parent: rename(one.parent) }),
    ...(one.provider && { provider: provider(one.provider) }),
    ...(one.dependencies && { dependencies: one.dependencies.map(rename) }),
    ...(one.propertyDependencies && {
      propertyDependencies: Object.fromEntries(Object.entries(one.propertyDependencies).map(([key, urns]) => [key, (urns ?? []).map(rename)])),
    }),
    ...(one.deletedWith && { deletedWith: rename(one.deletedWith) }),
  });
  const came = moving.map(renamed);
  const ids = new Set(moving.map((one) => one.urn));
  const base: Deployment = there.length > 0 ? receiver.deployment : { ...giver.deployment, ...secretsProviderOf(giver.deployment, from, to) };
  return {
    from: { ...giver, deployment: { ...giver.deployment, resources: all.filter((one) => !ids.has(one.urn)) } },
    to: { ...(there.length > 0 ? receiver : giver), deployment: { ...base, resources: [...there, ...scaffold.map(renamed), ...came] } },
    names: new Set(came.map((one) => one.urn)),
    count: came.length,
  };
}

/** A URN of the one stack as it is called in the other; what is named after the stack gets the other's name. */
function renaming(from: StackName, to: StackName): (urn: string) => string {
  return (urn) => {
    const { stack, project, qualifiedType, name } = parseUrn(urn);
    if (stack !== from.stack || project !== from.project) return urn;
    const called = name === from.stack ? to.stack : name === `${from.project}-${from.stack}` ? `${to.project}-${to.stack}` : name;
    return `urn:pulumi:${to.stack}::${to.project}::${qualifiedType}::${called}`;
  };
}

function secretsProviderOf({ secrets_providers }: Deployment, from: StackName, to: StackName): Pick<Deployment, "secrets_providers"> {
  if (!secrets_providers) return {};
  const { state } = secrets_providers as { state?: { stack?: string } };
  return { secrets_providers: { ...secrets_providers, ...(state?.stack === from.stack ? { state: { ...state, stack: to.stack } } : {}) } };
}

/** The secrets of what came, sealed with the receiver's key. */
async function reseal(state: VersionedDeployment, opens: StackSecrets, seals: StackSecrets, came: ReadonlySet<string>): Promise<VersionedDeployment> {
  const change = async (value: unknown): Promise<unknown> => {
    if (Array.isArray(value)) return Promise.all(value.map(change));
    if (value === null || typeof value !== "object") return value;
    const { ciphertext } = value as { ciphertext?: unknown };
    if (signature in value && typeof ciphertext === "string") {
      const [open] = await opens.decrypt([Buffer.from(ciphertext, "base64")]);
      const [sealed] = await seals.encrypt([open!]);
      return { ...value, ciphertext: sealed!.toString("base64") };
    }
    return Object.fromEntries(await Promise.all(Object.entries(value).map(async ([key, one]) => [key, await change(one)] as const)));
  };
  const resources = await Promise.all((state.deployment.resources ?? []).map(async (one) => (came.has(one.urn) ? ((await change(one)) as Resource) : one)));
  return { ...state, deployment: { ...state.deployment, resources } };
}
