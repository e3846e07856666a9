/** What drivers have and the database doesn't know: listed for adoption, never deleted. */
import { type Selectable, sql } from "kysely";
import type { Db, Tx } from "./database.ts";
import { noteCompared } from "./restored.ts";
import { insertRows } from "./rows.ts";
import type { UnknownThings } from "./schema.ts";

export type UnknownThing = Selectable<UnknownThings>;

/** What a driver at an endpoint listed. */
export interface Listing {
  driver: string;
  endpoint: string;
  things: readonly Pick<UnknownThing, "kind" | "id" | "name" | "scope">[];
}

/** Replaces what was known to be unknown at these endpoints. @param whole every endpoint is among them */
export async function recordListings(tx: Tx, listings: readonly Listing[], now: Date, whole: boolean): Promise<void> {
  const resources = await tx.selectFrom("resources").select(["id", "phase"]).execute();
  const backups = await tx.selectFrom("backups").select(["id", "state"]).execute();
  const phases = new Map<string, string>([...resources.map((one) => [one.id, one.phase] as const), ...backups.map((one) => [one.id, one.state] as const)]);
  const present = new Set(["wanted", "live", "retiring", "pending", "running", "complete"]);
  for (const { driver, endpoint, things } of listings) {
    const strange = things.filter((thing) => !present.has(phases.get(thing.name) ?? ""));
    const before = await tx.selectFrom("unknown_things").selectAll().where("driver", "=", driver).where("endpoint", "=", endpoint).execute();
    const kept = new Set(before.filter((one) => one.kept).map((one) => `${one.kind} ${one.id}`));
    await tx.deleteFrom("unknown_things").where("driver", "=", driver).where("endpoint", "=", endpoint).execute();
    await insertRows(
      tx,
      "unknown_things",
      strange.map((thing) => ({
        driver,
        endpoint,
        kind: thing.kind,
        id: thing.id,
        name: thing.name,
        scope: thing.scope,
        phase: phases.get(thing.name) ?? null,
        seen_at: now,
        kept: kept.has(`${thing.kind} ${thing.id}`),
      })),
    );
  }
  if (whole) await noteCompared(tx, now);
}

/** All of them, by department and kind. */
export async function listUnknown(db: Db): Promise<(UnknownThing & { department_code: string | null })[]> {
  return db
    .selectFrom("unknown_things as u")
    .leftJoin("departments as d", "d.id", "u.scope")
    .selectAll("u")
    .select(sql<string | null>`d.code`.as("department_code"))
    .orderBy("u.scope")
    .orderBy("u.kind")
    .orderBy("u.name")
    .execute();
}
