/** The Pulumi state service: what the jobs and the composition root may use of it. */
export { departmentStack, type StackName } from "./stack-name.ts";
export type { Deployment, JournalEntry, PendingOperation, Resource, VersionedDeployment } from "./deployment.ts";
export { replay } from "./journal.ts";
export { integrityFault } from "./integrity.ts";
export { type Keys, findKeys, loadKeys, MasterKeyError } from "./keys.ts";
export { escrow, makeEscrowPair, openEscrow } from "./escrow.ts";
export { masterKeyFingerprint } from "./secrets.ts";
export { type OperationTokens, operationTokens, type OperationScope } from "./tokens.ts";
export { ensureStack, listStacks, removeStack, StackLocked, StackNotEmpty, StackNotFound } from "./stacks.ts";
export { forgetVersions } from "./versions.ts";
export { currentDeployment, exportDeployment } from "./snapshots.ts";
export { openPassage, passResources, type Passage } from "./passing.ts";
export { history, runningUpdate, type UpdateRecord } from "./updates.ts";
export { thisProcess } from "./owner.ts";
export { abandonedStacks, cancelUpdate, settleAll, settleReplica, settleUpdate, type Settled } from "./settle.ts";
export { type OperatorListen, startOperatorService, startStateService, type StateService, type StateServiceOptions } from "./service.ts";
