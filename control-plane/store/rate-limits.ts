/** How often somebody may try. Counted in the database, so that it holds over replicas and restarts. */
import { createHash } from "node:crypto";
import { isIPv6 } from "node:net";
import { sql } from "kysely";
import { Refusal } from "../domain/refusal.ts";
import type { Db, Tx } from "./database.ts";

export interface RateLimit {
  /** What is counted, such as sign-in. */
  what: string;
  /** Attempts a window. */
  most: number;
  seconds: number;
}

export const signInLimits = {
  /** Of one login name, whether there is such an account or not. */
  account: { what: "sign-in:account", most: 20, seconds: 300 },
  /** Of one address: an office behind one address is larger than one person. */
  address: { what: "sign-in:address", most: 100, seconds: 300 },
} satisfies Record<string, RateLimit>;

/** Names and addresses are kept as digests only. An IPv6 customer has a whole /64. */
function keyOf(what: string, whose: string): string {
  const known = isIPv6(whose) && !whose.includes(".") ? whose.split("%")[0]!.split(":").slice(0, 4).join(":") : whose;
  return `${what}:${createHash("sha256").update(known).digest("hex").slice(0, 32)}`;
}

/** Counts an attempt. @throws Refusal("too-many-requests") that says when to come again */
export async function countAttempt(db: Db, limit: RateLimit, whose: string, now: Date): Promise<void> {
  const begun = new Date(now.getTime() - limit.seconds * 1000);
  const over = sql<boolean>`rate_limits.window_start <= ${begun}`;
  const { window_start, count } = await db
    .insertInto("rate_limits")
    .values({ key: keyOf(limit.what, whose), window_start: now, count: 1 })
    .onConflict((on) =>
      on.column("key").doUpdateSet({
        window_start: sql<Date>`case when ${over} then ${now} else rate_limits.window_start end`,
        count: sql<number>`case when ${over} then 1 else rate_limits.count + 1 end`,
      }),
    )
    .returning(["window_start", "count"])
    .executeTakeFirstOrThrow();
  if (count <= limit.most) return;
  const retryAfterSeconds = Math.max(1, Math.ceil((window_start.getTime() + limit.seconds * 1000 - now.getTime()) / 1000));
  throw new Refusal("too-many-requests", `There were more than ${limit.most} attempts within ${limit.seconds / 60} minutes.`, {
    retryAfterSeconds,
    remedy: `Wait ${retryAfterSeconds} seconds.`,
  });
}

/** Housekeeping. */
export async function removeOldCounts(tx: Tx, now: Date): Promise<void> {
  await tx
    .deleteFrom("rate_limits")
    .where("window_start", "<", new Date(now.getTime() - 3_600_000))
    .execute();
}
