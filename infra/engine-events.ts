/** From Pulumi's events to our own words: steps named by our spec's names, failures with a code. */
import type { EngineEvent, StepEventMetadata } from "@pulumi/pulumi/automation/events.js";
import { parseUrn } from "./naming.ts";
import type { Outcome, Progress, Step } from "./operations.ts";
import { type SpecKind, strangeKey } from "./spec.ts";

type Failure = Outcome["failures"][number];
type Report = Progress extends infer P ? (P extends Progress ? Omit<P, "operation" | "at"> : never) : never;

const ACTIONS: Record<string, Step["action"]> = {
  same: "same",
  create: "create",
  update: "update",
  delete: "delete",
  read: "read",
  refresh: "refresh",
  replace: "replace",
  "create-replacement": "replace",
  "delete-replaced": "replace",
  "discard-replaced": "replace",
  discard: "delete",
  "read-replacement": "replace",
};

/** Inputs that only tie resources together; people did not ask for them. */
const INTERNAL = new Set(["hostId", "volumeId", "volumePool"]);
const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
/** Marks a secret in Pulumi's JSON. */
const SIGNATURE = "4dabf18193072939515e22adb298388d";

/** A value as people may see it: secrets hidden at any depth, what a preview cannot know left out. */
function visible(value: unknown): unknown {
  if (value === UNKNOWN) return undefined;
  if (Array.isArray(value)) return value.map(visible);
  if (value === null || typeof value !== "object") return value;
  if (SIGNATURE in value) return "[secret]";
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, visible(child)]));
}

function valueAt(properties: Record<string, unknown> | undefined, path: string): unknown {
  const value = path
    .split(".")
    .reduce<unknown>((node, key) => (node !== null && typeof node === "object" ? (node as Record<string, unknown>)[key] : undefined), properties);
  return visible(value);
}

function changesOf(metadata: StepEventMetadata): Step["changes"] {
  return Object.entries(metadata.detailedDiff ?? {})
    .filter(([path]) => !INTERNAL.has(path))
    .map(([path, { inputDiff }]) => {
      const old = inputDiff ? metadata.old?.inputs : { ...metadata.old?.inputs, ...metadata.old?.outputs };
      // What nobody asked for is an output, and no input of anything.
      const after = path === strangeKey ? metadata.new?.outputs : metadata.new?.inputs;
      return { path, before: valueAt(old, path), after: valueAt(after, path) };
    });
}

/** `[code] message`, as the provider writes it, anywhere in the engine's own sentence. */
export function parseFailure(text: string): { code: string; message: string } | undefined {
  const match = /\[([a-z][a-z0-9-]*)\] ([\s\S]+)/.exec(text);
  return match ? { code: match[1]!, message: match[2]!.trim() } : undefined;
}

/** Gathers what one operation did. Feed it events; read `steps`, `failures` and `complaints` at the end. */
export class EngineLog {
  readonly #steps = new Map<string, Step>();
  readonly #failures = new Map<string, Failure>();
  readonly #complaints: string[] = [];
  readonly #clean: (text: string) => string;
  readonly #report: (progress: Report) => void;
  #cancelled = false;

  constructor(clean: (text: string) => string, report: (progress: Report) => void) {
    this.#clean = clean;
    this.#report = report;
  }

  get steps(): Step[] {
    return [...this.#steps.values()];
  }
  get failures(): Failure[] {
    return [...this.#failures.values()];
  }
  /** Errors outside any one resource. */
  get complaints(): string[] {
    return this.#complaints;
  }
  get cancelled(): boolean {
    return this.#cancelled;
  }

  /** Notes a failure that the engine did not report itself. */
  fail(failure: Failure) {
    const key = `${failure.kind} ${failure.name}`;
    if (!this.#failures.has(key)) this.#failures.set(key, failure);
  }

  accept(event: EngineEvent) {
    if (event.resourcePreEvent) this.#step(event.resourcePreEvent.metadata, "step-started");
    else if (event.resOutputsEvent) this.#step(event.resOutputsEvent.metadata, "step-done");
    else if (event.resOpFailedEvent) this.#failed(event.resOpFailedEvent.metadata);
    else if (event.diagnosticEvent) this.#diagnostic(event.diagnosticEvent);
  }

  #step(metadata: StepEventMetadata, type: "step-started" | "step-done") {
    const step = this.#stepOf(metadata);
    if (!step) return;
    const key = `${step.kind} ${step.name}`;
    const known = this.#steps.get(key);
    // A replacement is three steps of the engine and one of ours.
    if (known?.action === "replace" && step.changes.length === 0) step.changes = known.changes;
    this.#steps.set(key, step);
    if (step.action === "same" || (step.action === "replace" && metadata.op !== (type === "step-started" ? "delete-replaced" : "create-replacement"))) return;
    this.#report({ type, step });
  }

  #failed(metadata: StepEventMetadata) {
    const step = this.#stepOf(metadata);
    if (!step) return;
    this.#steps.set(`${step.kind} ${step.name}`, step);
    this.fail({ kind: step.kind, name: step.name, code: "failed", message: "the engine gave no reason" });
    const { code, message } = this.#failures.get(`${step.kind} ${step.name}`)!;
    this.#report({ type: "step-failed", step, code, message });
  }

  #diagnostic(event: NonNullable<EngineEvent["diagnosticEvent"]>) {
    const message = this.#clean(event.message);
    if (!message || event.ephemeral) return;
    const address = event.urn ? parseUrn(event.urn) : undefined;
    if (event.severity === "error" && address?.kind) {
      const reason = parseFailure(message) ?? { code: "failed", message };
      this.#failures.set(`${address.kind} ${address.name}`, { kind: address.kind, name: address.name, ...reason });
      return;
    }
    if (event.severity === "error" && !/^(update|preview|refresh|destroy) failed$/.test(message)) this.#complaints.push(message);
    if (event.severity === "error" || event.severity === "warning") this.#report({ type: "note", severity: event.severity, message });
  }

  #stepOf(metadata: StepEventMetadata): Step | undefined {
    const address = parseUrn(metadata.urn);
    const action = ACTIONS[metadata.op];
    if (!address?.kind || !action) return undefined;
    return { action, kind: address.kind satisfies SpecKind, name: address.name, changes: changesOf(metadata) };
  }
}
