/** Whole states put in from outside, and stacks that get another name. */
import type { Db } from "../store/database.ts";
import { InvalidState, type VersionedDeployment } from "./deployment.ts";
import { integrityFault } from "./integrity.ts";
import { readVersion, writeVersion } from "./snapshots.ts";
import type { StackName } from "./stack-name.ts";
import type { Stack } from "./stacks.ts";
import { createUpdate, runningUpdate, StackLocked } from "./updates.ts";

/** Makes a state the stack's next version. @returns the id of the update that stands for it @throws InvalidState @throws StackLocked */
export async function importDeployment(db: Db, stack: Stack, state: VersionedDeployment, fence: number): Promise<string> {
  const fault = integrityFault(state.deployment);
  if (fault) throw new InvalidState(fault);
  await refuseLocked(db, stack);
  return db.transaction().execute(async (trx) => {
    const now = new Date();
    const id = await createUpdate(trx, stack, { kind: "import", fence, message: "", environment: {} });
    await writeVersion(trx, stack.id, stack.version + 1, state);
    await trx
      .updateTable("state_updates")
      .set({ status: "succeeded", version: stack.version + 1, started_at: now, finished_at: now })
      .where("id", "=", id)
      .execute();
    return id;
  });
}

/** Gives a stack another name, in its state too. Its secrets stay bound to its id. @throws StackLocked */
export async function renameStack(db: Db, stack: Stack, to: StackName): Promise<void> {
  await refuseLocked(db, stack);
  const state = await readVersion(db, stack.id, stack.version);
  const renamed = JSON.parse(
    JSON.stringify(state).replaceAll(`urn:pulumi:${stack.stack}::${stack.project}::`, `urn:pulumi:${to.stack}::${to.project}::`),
  ) as VersionedDeployment;
  await db.transaction().execute(async (trx) => {
    await trx.updateTable("state_stacks").set({ organization: to.organization, project: to.project, name: to.stack }).where("id", "=", stack.id).execute();
    if (stack.version > 0) await writeVersion(trx, stack.id, stack.version + 1, renamed);
  });
}

async function refuseLocked(db: Db, stack: Stack): Promise<void> {
  const holder = await runningUpdate(db, stack);
  if (holder) throw new StackLocked(`Another update of ${stack.stack} is in progress: ${holder.kind} ${holder.id}.`);
}
