/** Pulumi's state on the wire (apitype.DeploymentV3, JournalEntry …), as far as this service looks into it. Other fields pass through. */

export interface Resource {
  urn: string;
  type: string;
  custom: boolean;
  id?: string;
  delete?: boolean;
  external?: boolean;
  parent?: string;
  provider?: string;
  inputs?: Record<string, unknown>;
  outputs?: Record<string, unknown>;
  dependencies?: string[];
  propertyDependencies?: Record<string, string[]>;
  pendingReplacement?: boolean;
  aliases?: string[];
  deletedWith?: string;
  replaceWith?: string[];
  viewOf?: string;
  taint?: boolean;
  refreshBeforeUpdate?: boolean;
  resourceHooks?: Record<string, string[]>;
  extensionRef?: string;
  [other: string]: unknown;
}

export interface PendingOperation {
  resource: Resource;
  type: "creating" | "updating" | "deleting" | "reading";
}

export interface Manifest {
  time: string;
  magic: string;
  version: string;
}

export interface SecretsProvider {
  type: string;
  state?: unknown;
}

export interface Snippet {
  uuid: string;
  references?: Record<string, string>;
  [other: string]: unknown;
}

/** A stack's state. */
export interface Deployment {
  manifest: Manifest;
  secrets_providers?: SecretsProvider;
  resources?: Resource[];
  pending_operations?: PendingOperation[];
  metadata?: Record<string, unknown>;
  snippets?: Snippet[];
  extensions?: Record<string, unknown>;
}

/** A deployment with the schema version and features that tell an engine whether it can read it. */
export interface VersionedDeployment {
  version: number;
  features?: string[];
  deployment: Deployment;
}

/** Kinds of journal entries, by Pulumi's numbers. */
export const Kind = {
  begin: 0,
  success: 1,
  failure: 2,
  refreshSuccess: 3,
  outputs: 4,
  write: 5,
  secretsManager: 6,
  rebuiltBaseState: 7,
  extensionParameterize: 8,
  snippets: 9,
} as const;

/** `*Old` are indexes into the base (0 is one); `*New` are operation ids of this update. */
export interface JournalEntry {
  version: number;
  kind: number;
  sequenceID: number;
  operationID: number;
  removeOld?: number | null;
  removeNew?: number | null;
  pendingReplacementOld?: number;
  pendingReplacementNew?: number;
  deleteOld?: number;
  deleteNew?: number;
  state?: Resource;
  operation?: PendingOperation;
  isRefresh?: boolean;
  secretsProvider?: SecretsProvider;
  snippets?: Snippet[];
  newSnapshot?: Deployment;
  extensionRef?: string;
  extension?: unknown;
}

/** A journal or a state says something that can't be: it must not become current. */
export class InvalidState extends Error {
  override readonly name = "InvalidState";
}

/** The state of a stack that was never updated. Pulumi wants a manifest even there. */
export function emptyDeployment(): Deployment {
  return { manifest: { time: "0001-01-01T00:00:00Z", magic: "", version: "" } };
}
