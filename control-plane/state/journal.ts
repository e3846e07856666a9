/**
 * Replay of an update's journal over the state that it started from. Pure. The rules are those of Pulumi's own replayer
 * (pkg/v3 3.250.0, backend/journal.go); where it silently does something odd, a comment here says what we do instead.
 */
import { createHash } from "node:crypto";
import { type Deployment, InvalidState, type JournalEntry, Kind, type PendingOperation, type Resource, type VersionedDeployment } from "./deployment.ts";
import { normaliseReferences, pruneDangling } from "./references.ts";

/** Who folded and when, for the deployment's manifest. */
export interface Stamp {
  now: Date;
  /** The engine's version, e.g. 3.250.0. */
  engine: string;
}

/** A resource that this update recorded, by the operation that did; `undefined` once it was removed again. */
type Recorded = Map<number, Resource | undefined>;

/**
 * @param base the deployment as it was when the update started (indexes refer to it)
 * @param entries in any order, duplicates allowed (batches are retried)
 * @throws InvalidState when an entry refers to something that isn't there
 */
export function replay(base: Deployment, entries: readonly JournalEntry[], stamp: Stamp): VersionedDeployment {
  const replayer = new Replayer(base, stamp);
  for (const entry of inOrder(entries)) replayer.add(entry);
  return replayer.deployment();
}

function inOrder(entries: readonly JournalEntry[]): JournalEntry[] {
  const bySequence = new Map<number, JournalEntry>();
  for (const entry of entries) if (!bySequence.has(entry.sequenceID)) bySequence.set(entry.sequenceID, entry);
  return [...bySequence.values()].sort((a, b) => a.sequenceID - b.sequenceID);
}

class Replayer {
  #base: Deployment;
  readonly #stamp: Stamp;
  #recorded: Recorded = new Map();
  #incomplete = new Map<number, JournalEntry>();
  #dropped = new Set<number>();
  #replaced = new Map<number, Resource>();
  #marked = { delete: new Set<number>(), pendingReplacement: new Set<number>() };
  #extensions: Record<string, unknown> = {};
  #refreshed = false;

  constructor(base: Deployment, stamp: Stamp) {
    this.#base = base;
    this.#stamp = stamp;
  }

  add(entry: JournalEntry): void {
    switch (entry.kind) {
      case Kind.begin:
        this.#incomplete.set(entry.operationID, entry);
        return;
      case Kind.success:
        return this.#success(entry);
      case Kind.failure:
        this.#incomplete.delete(entry.operationID);
        return;
      case Kind.refreshSuccess:
        this.#incomplete.delete(entry.operationID);
        this.#refreshed = true;
        return this.#replaceOrDrop(entry);
      case Kind.outputs:
        if (entry.state) this.#replaceOrDrop(entry);
        return;
      case Kind.write:
        if (!entry.newSnapshot) throw new InvalidState(`entry ${entry.sequenceID} writes a base without giving one`);
        this.#base = entry.newSnapshot;
        return;
      case Kind.secretsManager:
        if (!entry.secretsProvider) throw new InvalidState(`entry ${entry.sequenceID} sets a secrets provider without giving one`);
        this.#base = { ...this.#base, secrets_providers: entry.secretsProvider };
        return;
      case Kind.rebuiltBaseState:
        return this.#rebase();
      case Kind.extensionParameterize:
        if (entry.extensionRef) this.#extensions[entry.extensionRef] = entry.extension;
        return;
      case Kind.snippets: {
        const { snippets: _, ...rest } = this.#base;
        this.#base = entry.snippets ? { ...rest, snippets: entry.snippets } : rest;
        return;
      }
      default:
        // A newer engine's entry: to guess would lose state.
        throw new InvalidState(`entry ${entry.sequenceID} is of unknown kind ${entry.kind}`);
    }
  }

  #success(entry: JournalEntry): void {
    this.#incomplete.delete(entry.operationID);
    if (entry.state) this.#recorded.set(entry.operationID, entry.state);
    if (isIndex(entry.removeOld)) this.#dropped.add(this.#baseIndex(entry.removeOld, entry));
    if (isIndex(entry.removeNew)) this.#change(entry.removeNew, entry, () => undefined);
    if (isIndex(entry.deleteOld)) this.#marked.delete.add(this.#baseIndex(entry.deleteOld, entry));
    if (isIndex(entry.deleteNew)) this.#change(entry.deleteNew, entry, (resource) => ({ ...resource, delete: true }));
    if (isIndex(entry.pendingReplacementOld)) this.#marked.pendingReplacement.add(this.#baseIndex(entry.pendingReplacementOld, entry));
    if (isIndex(entry.pendingReplacementNew)) {
      this.#change(entry.pendingReplacementNew, entry, (resource) => ({ ...resource, pendingReplacement: true }));
    }
    if (entry.isRefresh) this.#refreshed = true;
  }

  #replaceOrDrop(entry: JournalEntry): void {
    const state = entry.state;
    if (isIndex(entry.removeOld)) {
      const index = this.#baseIndex(entry.removeOld, entry);
      if (state) this.#replaced.set(index, state);
      else this.#dropped.add(index);
    }
    if (isIndex(entry.removeNew)) this.#change(entry.removeNew, entry, () => state);
  }

  /** Pulumi's replayer takes an unknown operation for the first one; we refuse, so that a wrong resource is never touched. */
  #change(operation: number, entry: JournalEntry, change: (resource: Resource) => Resource | undefined): void {
    if (!this.#recorded.has(operation)) throw new InvalidState(`entry ${entry.sequenceID} refers to operation ${operation}, which recorded nothing`);
    const resource = this.#recorded.get(operation);
    if (resource) this.#recorded.set(operation, change(resource));
  }

  #baseIndex(index: number, entry: JournalEntry): number {
    const length = this.#base.resources?.length ?? 0;
    if (index < 0 || index >= length) throw new InvalidState(`entry ${entry.sequenceID} refers to resource ${index} of a base of ${length}`);
    return index;
  }

  #rebase(): void {
    this.#base = this.deployment().deployment;
    this.#recorded = new Map();
    this.#incomplete = new Map();
    this.#dropped = new Set();
    this.#replaced = new Map();
    this.#marked = { delete: new Set(), pendingReplacement: new Set() };
    this.#extensions = {};
  }

  deployment(): VersionedDeployment {
    let resources = [...this.#recorded.values()].filter((resource) => resource !== undefined);
    for (const [index, resource] of (this.#base.resources ?? []).entries()) {
      if (!this.#dropped.has(index)) resources.push(this.#replaced.get(index) ?? this.#withMarks(index, resource));
    }
    const pending = this.#pending();
    const features = featuresOf([...resources, ...pending.map((operation) => operation.resource)], this.#base.snippets?.length ?? 0);
    if (this.#refreshed) resources = pruneDangling(resources);
    const extensions = { ...this.#extensions, ...this.#base.extensions };
    const { secrets_providers, metadata, snippets } = this.#base;
    const deployment: Deployment = {
      manifest: manifest(this.#stamp),
      ...(secrets_providers && { secrets_providers }),
      ...(resources.length > 0 && { resources }),
      ...(pending.length > 0 && { pending_operations: pending }),
      metadata: metadata ?? {},
      ...(snippets?.length && { snippets }),
      ...(Object.keys(extensions).length > 0 && { extensions }),
    };
    return { version: features.length > 0 ? 4 : 3, ...(features.length > 0 && { features }), deployment: normaliseReferences(deployment) };
  }

  #withMarks(index: number, resource: Resource): Resource {
    const toDelete = this.#marked.delete.has(index);
    const pending = this.#marked.pendingReplacement.has(index);
    return toDelete || pending ? { ...resource, ...(toDelete && { delete: true }), ...(pending && { pendingReplacement: true }) } : resource;
  }

  #pending(): PendingOperation[] {
    const begun = [...this.#incomplete.values()].flatMap((entry) => entry.operation ?? []);
    return [...begun, ...(this.#base.pending_operations ?? []).filter((operation) => operation.type === "creating")];
  }
}

function isIndex(value: number | null | undefined): value is number {
  return value !== null && value !== undefined;
}

function manifest({ now, engine }: Stamp) {
  return { time: now.toISOString(), magic: createHash("sha256").update(engine).digest("hex"), version: engine };
}

/** What an engine must understand to read this state (pkg/v3 resource/stack ApplyFeatures). Any of them makes it schema 4. */
function featuresOf(resources: readonly Resource[], snippets: number): string[] {
  const features = new Set<string>();
  for (const resource of resources) {
    if (resource.refreshBeforeUpdate) features.add("refreshBeforeUpdate");
    if (resource.viewOf) features.add("views");
    if (resource.resourceHooks && Object.keys(resource.resourceHooks).length > 0) features.add("hooks");
    if (resource.taint) features.add("taint");
    if (resource.replaceWith?.length) features.add("replaceWith");
    if (resource.extensionRef) features.add("extensionParameterization");
  }
  if (snippets > 0) features.add("snippets-prototype");
  return [...features].sort();
}
