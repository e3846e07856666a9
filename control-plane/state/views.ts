/** Stacks and updates as Pulumi's client reads them. */
import type { VersionedDeployment } from "./deployment.ts";
import type { Stack } from "./stacks.ts";
import type { StackName } from "./stack-name.ts";
import type { UpdateRecord } from "./updates.ts";

export const seconds = (at: Date | undefined): number => (at ? Math.floor(at.getTime() / 1000) : 0);

export const summaryOf = (stack: StackName & { resources: number }) => ({
  id: stack.stack,
  orgName: stack.organization,
  projectName: stack.project,
  stackName: stack.stack,
  resourceCount: stack.resources,
});

export const stackInfo = (stack: Stack, running: UpdateRecord | undefined) => ({
  id: stack.id,
  orgName: stack.organization,
  projectName: stack.project,
  stackName: stack.stack,
  activeUpdate: running?.id ?? "",
  ...(running && { currentOperation: { kind: running.kind, author: stack.organization, started: seconds(running.startedAt) } }),
  tags: stack.tags,
  version: stack.version,
});

export function updateInfo(update: UpdateRecord) {
  const result = { succeeded: "succeeded", failed: "failed", cancelled: "failed" }[update.status as string] ?? "in-progress";
  return {
    kind: update.kind,
    startTime: seconds(update.startedAt),
    message: update.message,
    environment: update.environment,
    config: {},
    result,
    endTime: seconds(update.finishedAt),
    version: update.version ?? 0,
    ...(update.changes && { resourceChanges: update.changes }),
  };
}

/** The engine finds its secrets service by the address written in the state; ours changes with every start. */
export function withOurUrl(state: VersionedDeployment, { organization, project, stack }: Stack, url: string): VersionedDeployment {
  if (state.deployment.secrets_providers?.type !== "service") return state;
  const secrets_providers = { type: "service", state: { url, owner: organization, project, stack } };
  return { ...state, deployment: { ...state.deployment, secrets_providers } };
}

const secretMark = "4dabf18193072939515e22adb298388d";
/** The state without its secrets, not even sealed; its shape stays. */
export function withoutSecrets(state: VersionedDeployment): VersionedDeployment {
  return JSON.parse(JSON.stringify(state), (_key, value: unknown) =>
    value !== null && typeof value === "object" && secretMark in value ? { ...value, ciphertext: "withheld", plaintext: undefined } : value,
  ) as VersionedDeployment;
}
