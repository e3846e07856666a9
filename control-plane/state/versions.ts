/** Which versions of a stack's state are kept. The rule is pure; `forgetVersions` carries it out, from time to time. */
import type { Db } from "../store/database.ts";

/** The newest so many are kept whatever their age, the current one included. */
export const newestKept = 50;
/** Beyond those, the last version of each day (UTC) is kept for so many days. */
export const daysKept = 90;

export interface KeptVersion {
  version: number;
  at: Date;
}

/**
 * @param versions a stack's, in any order
 * @param needed versions to be kept in any case: the current one, and those that running updates are based on
 * @returns the versions to be forgotten
 */
export function forgettable(versions: readonly KeptVersion[], needed: ReadonlySet<number>, now: Date): number[] {
  const oldest = now.getTime() - daysKept * 86_400_000;
  const days = new Set<string>();
  const newestFirst = versions.toSorted((a, b) => b.version - a.version);
  return newestFirst.flatMap(({ version, at }, index) => {
    const day = at.toISOString().slice(0, 10);
    const lastOfItsDay = !days.has(day);
    days.add(day);
    const kept = index < newestKept || needed.has(version) || (lastOfItsDay && at.getTime() >= oldest);
    return kept ? [] : [version];
  });
}

/** Forgets what the rule doesn't keep, stack by stack. @returns how many versions went */
export async function forgetVersions(db: Db, now: Date): Promise<number> {
  const crowded = await db
    .selectFrom("state_snapshots")
    .select("stack_id")
    .groupBy("stack_id")
    .having((eb) => eb.fn.countAll(), ">", newestKept)
    .execute();
  let gone = 0;
  for (const { stack_id } of crowded) gone += await forgetOf(db, stack_id, now);
  return gone;
}

/** With the stack's row locked, so that no update starts on a version that goes. */
async function forgetOf(db: Db, stackId: string, now: Date): Promise<number> {
  return db.transaction().execute(async (trx) => {
    const stack = await trx.selectFrom("state_stacks").select("version").where("id", "=", stackId).forUpdate().executeTakeFirst();
    if (!stack) return 0;
    const bases = await trx
      .selectFrom("state_updates")
      .select("base_version")
      .where("stack_id", "=", stackId)
      .where("status", "in", ["requested", "running", "settling"])
      .execute();
    const rows = await trx.selectFrom("state_snapshots").select(["version", "created_at as at"]).where("stack_id", "=", stackId).execute();
    const gone = forgettable(rows, new Set([stack.version, ...bases.map((update) => update.base_version)]), now);
    if (gone.length > 0) await trx.deleteFrom("state_snapshots").where("stack_id", "=", stackId).where("version", "in", gone).execute();
    return gone.length;
  });
}
