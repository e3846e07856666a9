/** Stacks: made in process by the jobs, one per department. */
import { randomUUID } from "node:crypto";
import type { Transaction } from "kysely";
import type { Db } from "../store/database.ts";
import type { Database } from "../store/schema.ts";
import type { StackName } from "./stack-name.ts";

/** A database or a transaction on it. */
export type Queries = Db | Transaction<Database>;

export interface Stack extends StackName {
  id: string;
  /** Version of the current snapshot, 0 before the first. */
  version: number;
  tags: Record<string, string>;
}

export class StackNotFound extends Error {
  override readonly name = "StackNotFound";
  constructor({ organization, project, stack }: StackName) {
    super(`There is no stack ${organization}/${project}/${stack}.`);
  }
}

/** Another update holds the stack. */
export class StackLocked extends Error {
  override readonly name = "StackLocked";
}

export class StackNotEmpty extends Error {
  override readonly name = "StackNotEmpty";
  constructor({ stack }: StackName, resources: number) {
    super(`The stack ${stack} still has ${resources} resources: destroy them first.`);
  }
}

/** Makes the stack unless it is there. @returns true when it was made now */
export async function ensureStack(db: Queries, name: StackName, tags: Record<string, string> = {}): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await db
    .insertInto("state_stacks")
    .values({ id: randomUUID(), organization: name.organization, project: name.project, name: name.stack, tags: JSON.stringify(tags), created_at: new Date() })
    .onConflict((conflict) => conflict.columns(["organization", "project", "name"]).doNothing())
    .executeTakeFirstOrThrow();
  return Number(numInsertedOrUpdatedRows ?? 0) > 0;
}

export async function findStack(db: Queries, name: StackName): Promise<Stack | undefined> {
  const row = await db
    .selectFrom("state_stacks")
    .select(["id", "version", "tags"])
    .where("organization", "=", name.organization)
    .where("project", "=", name.project)
    .where("name", "=", name.stack)
    .executeTakeFirst();
  return row && { ...name, ...row };
}

/** @throws StackNotFound */
export async function getStack(db: Queries, name: StackName): Promise<Stack> {
  const stack = await findStack(db, name);
  if (!stack) throw new StackNotFound(name);
  return stack;
}

/**
 * The stack with its row locked until the transaction ends: no update starts or ends meanwhile, so its version is the current one.
 * @throws StackNotFound @throws StackLocked when an update holds it
 */
export async function holdStack(trx: Transaction<Database>, id: Pick<Stack, "id"> & StackName): Promise<Stack> {
  const row = await trx.selectFrom("state_stacks").select(["id", "version", "tags"]).where("id", "=", id.id).forUpdate().executeTakeFirst();
  if (!row) throw new StackNotFound(id);
  const holder = await trx
    .selectFrom("state_updates")
    .select(["id", "kind"])
    .where("stack_id", "=", row.id)
    .where("kind", "<>", "preview")
    .where("status", "in", ["running", "settling"])
    .executeTakeFirst();
  if (holder) throw new StackLocked(`Another update of ${id.stack} is in progress: ${holder.kind} ${holder.id}.`);
  return { ...id, ...row };
}

/** Every stack, with how many resources its current state holds, by name. */
export async function listStacks(db: Db): Promise<(StackName & { version: number; resources: number })[]> {
  return db
    .selectFrom("state_stacks as stack")
    .leftJoin("state_snapshots as snapshot", (join) => join.onRef("snapshot.stack_id", "=", "stack.id").onRef("snapshot.version", "=", "stack.version"))
    .select((eb) => [
      "stack.organization",
      "stack.project",
      "stack.name as stack",
      "stack.version",
      eb.fn.coalesce("snapshot.resources", eb.lit(0)).as("resources"),
    ])
    .orderBy("stack.organization")
    .orderBy("stack.project")
    .orderBy("stack.name")
    .execute();
}

/**
 * Removes a stack with its history and data keys: its secrets can't be opened again, backups of the database aside.
 * @throws StackLocked while an update runs, whatever `force` says: its engine would go on without anybody who writes down what it does
 * @throws StackNotEmpty unless `force` @throws StackNotFound
 */
export async function removeStack(db: Db, name: StackName, options: { force?: boolean } = {}): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const stack = await holdStack(trx, await getStack(trx, name));
    const snapshot = await trx
      .selectFrom("state_snapshots")
      .select("resources")
      .where("stack_id", "=", stack.id)
      .where("version", "=", stack.version)
      .executeTakeFirst();
    if (snapshot && snapshot.resources > 0 && !options.force) throw new StackNotEmpty(name, snapshot.resources);
    await trx
      .deleteFrom("state_journal")
      .where("update_id", "in", trx.selectFrom("state_updates").select("id").where("stack_id", "=", stack.id))
      .execute();
    await trx.deleteFrom("state_stacks").where("id", "=", stack.id).execute();
  });
}

export async function setTags(db: Db, stack: Stack, tags: Record<string, string>): Promise<void> {
  await db
    .updateTable("state_stacks")
    .set({ tags: JSON.stringify(tags) })
    .where("id", "=", stack.id)
    .execute();
}
