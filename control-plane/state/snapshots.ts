/** Versions of stacks' states. */
import type { Db } from "../store/database.ts";
import { emptyDeployment, type VersionedDeployment } from "./deployment.ts";
import type { StackName } from "./stack-name.ts";
import { getStack, type Queries } from "./stacks.ts";
import { daysKept, newestKept } from "./versions.ts";

/** There is no such version of the stack (any more). */
export class VersionNotFound extends Error {
  override readonly name = "VersionNotFound";
}

/**
 * The stack's state as it is now, secrets encrypted. Empty for a stack that was never updated.
 * While an update runs, this is what it started from.
 * @throws StackNotFound
 */
export async function currentDeployment(db: Db, stack: StackName): Promise<VersionedDeployment> {
  return exportDeployment(db, stack);
}

/**
 * A version of the stack's state, the current one by default. Secrets are never in the clear: each is
 * `{"4dabf18193072939515e22adb298388d": "1b47…", "ciphertext": …}`, and only the engine asks for it to be opened.
 * @throws StackNotFound @throws VersionNotFound
 */
export async function exportDeployment(db: Db, name: StackName, options: { version?: number } = {}): Promise<VersionedDeployment> {
  const stack = await getStack(db, name);
  return readVersion(db, stack.id, options.version ?? stack.version);
}

/** @param version 0 is the empty state @throws VersionNotFound */
export async function readVersion(db: Queries, stackId: string, version: number): Promise<VersionedDeployment> {
  if (version === 0) return { version: 3, deployment: emptyDeployment() };
  const row = await db
    .selectFrom("state_snapshots")
    .select(["schema_version", "features", "deployment"])
    .where("stack_id", "=", stackId)
    .where("version", "=", version)
    .executeTakeFirst();
  if (!row) throw new VersionNotFound(`Version ${version} isn't kept: the last ${newestKept} are, and one a day for ${daysKept} days.`);
  return {
    version: row.schema_version,
    ...(row.features.length > 0 && { features: row.features }),
    deployment: JSON.parse(row.deployment),
  };
}

/** Makes a state the stack's next version. To be called within the transaction that ends its update. */
export async function writeVersion(
  trx: Queries,
  stackId: string,
  version: number,
  { version: schema, features, deployment }: VersionedDeployment,
): Promise<void> {
  await trx
    .insertInto("state_snapshots")
    .values({
      stack_id: stackId,
      version,
      schema_version: schema,
      features: JSON.stringify(features ?? []),
      deployment: JSON.stringify(deployment),
      resources: deployment.resources?.length ?? 0,
      created_at: new Date(),
    })
    .execute();
  await trx.updateTable("state_stacks").set({ version }).where("id", "=", stackId).execute();
}
