/** Who may call the state service: an engine for one operation on one stack, by tokens that end with it. */
import { createHash, randomBytes } from "node:crypto";
import type { StackName } from "./stack-name.ts";

/** What an operation may do. Each may read its stack and preview it; "manage" may do everything to it (tests, operators' tools). */
export type OperationScope = "preview" | "drift" | "up" | "refresh" | "destroy" | "manage";

export interface OperationGrant {
  stack: StackName;
  scope: OperationScope;
  /** Fencing token of the department's lease; recorded with the update. */
  fence: number;
  /** Id of the operation, which its update gets too; left out: each update gets one of its own. */
  operation?: string | undefined;
  /** Other stacks whose outputs its program may read (StackReference): their state and secrets, nothing else. */
  reads: readonly StackName[];
}

/** Kept in memory only: a restart of the control plane ends every operation's right. */
export interface OperationTokens {
  /** @returns the token for the engine's PULUMI_ACCESS_TOKEN */
  issueOperationToken(stack: StackName, options: { scope: OperationScope; fence?: number; operation?: string; reads?: readonly StackName[] }): string;
  /** To be called when the operation has ended, however it ended. Unknown tokens are ignored. */
  revokeOperationToken(token: string): void;
  find(token: string): OperationGrant | undefined;
}

export function operationTokens(): OperationTokens {
  // By hash, so that looking one up takes the same time for any wrong one.
  const grants = new Map<string, OperationGrant>();
  return {
    issueOperationToken: (stack, { scope, fence = 0, operation, reads = [] }) => {
      const token = newToken();
      grants.set(hashToken(token), { stack, scope, fence, operation, reads });
      return token;
    },
    revokeOperationToken: (token) => void grants.delete(hashToken(token)),
    find: (token) => grants.get(hashToken(token)),
  };
}

export function newToken(): string {
  return randomBytes(32).toString("base64url");
}

export function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}
