/** Whole states put in from outside, and stacks that get another name. */
import type { Db } from "../store/database.ts";
import { InvalidState, type VersionedDeployment } from "./deployment.ts";
import { integrityFault } from "./integrity.ts";
import { readVersion, writeVersion } from "./snapshots.ts";
import type { StackName } from "./stack-name.ts";
import { holdStack, type Stack } from "./stacks.ts";
import { createUpdate } from "./updates.ts";

/** Makes a state the stack's next version. @returns the id of the update that stands for it @throws InvalidState @throws StackLocked */
export async function importDeployment(db: Db, stack: Stack, state: VersionedDeployment, fence: number): Promise<string> {
  const fault = integrityFault(state.deployment);
  if (fault) throw new InvalidState(fault);
  return db.transaction().execute(async (trx) => {
    const now = new Date();
    const { version } = await holdStack(trx, stack);
    const id = await createUpdate(trx, stack, { kind: "import", fence, message: "", environment: {} });
    await writeVersion(trx, stack.id, version + 1, state);
    await trx
      .updateTable("state_updates")
      .set({ status: "succeeded", version: version + 1, started_at: now, finished_at: now })
      .where("id", "=", id)
      .execute();
    return id;
  });
}

/** Gives a stack another name, in its state too. Its secrets stay bound to its id. @throws StackLocked */
export async function renameStack(db: Db, stack: Stack, to: StackName): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const { version } = await holdStack(trx, stack);
    const state = renamedState(await readVersion(trx, stack.id, version), stack, to);
    await trx.updateTable("state_stacks").set({ organization: to.organization, project: to.project, name: to.stack }).where("id", "=", stack.id).execute();
    if (version > 0) await writeVersion(trx, stack.id, version + 1, state);
  });
}

/** As Pulumi's own RenameStack (pkg/v3 resource/edit): every URN, and the root's name, which is made of both names. */
function renamedState(state: VersionedDeployment, from: StackName, to: StackName): VersionedDeployment {
  const urns = (stack: StackName) => `urn:pulumi:${stack.stack}::${stack.project}::`;
  const root = (stack: StackName) => `${urns(to)}pulumi:pulumi:Stack::${stack.project}-${stack.stack}`;
  const text = JSON.stringify(state)
    .replaceAll(urns(from), urns(to))
    .replaceAll(`"${root(from)}"`, `"${root(to)}"`);
  return JSON.parse(text) as VersionedDeployment;
}
