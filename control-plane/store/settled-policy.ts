/** What an installation settles: a row of its settings with a revision. */
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";

/** A policy kept under its name. @param byDefault until somebody settles it, and for what an older version did not know */
export function settledPolicy<T extends { revision: number }>(key: string, byDefault: T) {
  const whole = (value: unknown): T => ({ ...byDefault, ...(value as Partial<T> | undefined) });
  return {
    async read(db: Db): Promise<T> {
      const row = await db.selectFrom("settings").select("value").where("key", "=", key).executeTakeFirst();
      return whole(row?.value);
    },
    /** @param check is given the revision as it is now, the row being locked; throws to refuse */
    async set(tx: Tx, act: Act, change: Omit<T, "revision">, check: (revision: number) => void): Promise<T> {
      await tx
        .insertInto("settings")
        .values({ key, value: JSON.stringify(byDefault) })
        .onConflict((on) => on.doNothing())
        .execute();
      const row = await tx.selectFrom("settings").select("value").where("key", "=", key).forUpdate().executeTakeFirstOrThrow();
      const before = whole(row.value);
      check(before.revision);
      const after = { ...change, revision: before.revision + 1 } as T;
      await tx
        .updateTable("settings")
        .set({ value: JSON.stringify(after) })
        .where("key", "=", key)
        .execute();
      await appendAudit(tx, act, { action: `${key}.set`, subjectKind: "setting", subjectId: key, departmentId: null, before, after });
      return after;
    },
  };
}
