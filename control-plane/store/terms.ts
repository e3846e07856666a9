/** Requests whose resources live: expiring, active again, reclaimed, on trial. Derived from the hosts and volumes that each made and that are left. */
import { sql } from "kysely";
import { addDays, reminderDue, termEvent, trialDue } from "../domain/terms.ts";
import type { Act } from "./act.ts";
import type { Db, Tx } from "./database.ts";
import { notifyOfRequest } from "./request-notices.ts";
import { giveBack, lockRequest, move, type RequestRow } from "./requests.ts";
import type { RequestState } from "./schema.ts";
import { termPolicy } from "./term-policy.ts";

interface Lived {
  id: string;
  state: RequestState;
  trial_until: Date | null;
  term_told: string | null;
  left: number;
  term: Date | null;
}

const living: readonly RequestState[] = ["on-trial", "active", "expiring"];

/** @param which requests; undefined: all that could move, or of which somebody could have to be told */
async function livedOf(db: Db, which: readonly string[] | undefined, horizon: Date): Promise<Lived[]> {
  const chosen = which
    ? sql`r.id = any(${sql.val([...which])}::text[])`
    : sql`(r.state <> 'active' or r.id in (select y.request_id from resources y where y.phase = 'live' and y.kind in ('host', 'volume') and y.expires_at <= ${horizon}))`;
  const { rows } = await sql<Lived>`
    select r.id, r.state, r.trial_until, r.term_told, count(x.id)::int as left, min(x.expires_at) as term
    from requests r left join resources x on x.request_id = r.id and x.kind in ('host', 'volume') and x.phase in ('wanted', 'live', 'retiring')
    where r.state = any(${sql.val([...living])}::text[]) and ${chosen} group by r.id order by r.id`.execute(db);
  return rows;
}

/** Their resources have changed: what they are now, in the transaction that changed them. */
export async function followResources(tx: Tx, act: Act, requestIds: readonly string[]): Promise<void> {
  const { noticeDays } = await termPolicy(tx);
  for (const id of [...new Set(requestIds)].toSorted()) await follow(tx, act, id, noticeDays);
}

async function follow(tx: Tx, act: Act, id: string, noticeDays: number): Promise<void> {
  const row = await lockRequest(tx, id);
  const [lived] = await livedOf(tx, [id], act.now);
  const event = lived && termEvent(lived, act.now, noticeDays);
  if (event) await move(tx, act, row, event, {});
}

/** Requests that a look at the clock moves, or whose owner is to be told of something. Read without a lock: `keepTerm` looks again. */
export async function termsDue(db: Db, now: Date): Promise<string[]> {
  const policy = await termPolicy(db);
  const all = await livedOf(db, undefined, addDays(now, policy.noticeDays));
  return all.flatMap((one) => {
    const due = termEvent(one, now, policy.noticeDays) ?? toldOf(one, now, policy) ?? (trialOf(one, now, policy.trialAnswerDays) === "accept" || undefined);
    return due === undefined ? [] : [one.id];
  });
}

const trialOf = (one: Lived, now: Date, answerDays: number | null) =>
  one.state === "on-trial" && one.trial_until !== null ? trialDue(one.trial_until, now, answerDays) : undefined;

/** What the owner is to be told now and has not been told; undefined: nothing. */
function toldOf(one: Lived, now: Date, { noticeDays, trialAnswerDays }: { noticeDays: number; trialAnswerDays: number | null }) {
  const found =
    one.state === "on-trial"
      ? trialOf(one, now, trialAnswerDays) === "remind"
        ? { kind: "trial.ended" as const, key: `trial/${one.trial_until!.toISOString()}`, until: one.trial_until!, days: 0 }
        : undefined
      : one.term && { kind: "request.expiring" as const, until: one.term, ...reminderDue(one.term, now, noticeDays) };
  return found?.key !== undefined && found.key !== one.term_told ? found : undefined;
}

/** Moves one request as its terms and its trial say by now, and tells its owner; told once of each reminder, however often it is looked at. */
export async function keepTerm(tx: Tx, act: Act, id: string): Promise<void> {
  const policy = await termPolicy(tx);
  await follow(tx, act, id, policy.noticeDays);
  const row = await lockRequest(tx, id);
  const [lived] = await livedOf(tx, [id], act.now);
  if (!lived) return;
  const refusal = row.state === "on-trial" && (await openAbout(tx, id, "trial-refusal"));
  if (trialOf(lived, act.now, policy.trialAnswerDays) === "accept" && !refusal) {
    await move(tx, act, row, "accept", {});
    return follow(tx, act, id, policy.noticeDays);
  }
  const told = refusal ? undefined : toldOf(lived, act.now, policy);
  if (!told || lived.state === "active") return;
  await notifyOfRequest(tx, act, told.kind, row, { until: told.until.toISOString(), days: told.days ?? 0 });
  await tx.updateTable("requests").set({ term_told: told.key! }).where("id", "=", id).execute();
}

/** Whether a request that stops or retires what another one made is under way. */
export async function openAbout(tx: Tx, id: string, origin: NonNullable<RequestRow["origin"]>): Promise<boolean> {
  const found = await tx
    .selectFrom("requests")
    .select("id")
    .where("about_id", "=", id)
    .where("origin", "=", origin)
    .where("state", "not in", ["failed", "rejected", "withdrawn", "active"])
    .executeTakeFirst();
  return found !== undefined;
}

/**
 * Whether the term of everything that a request of the terms stops or retires is still over; their rows are locked, so that it stays so until the end of
 * the transaction. @returns names of those that were extended meanwhile
 */
export async function extendedMeanwhile(tx: Tx, row: Pick<RequestRow, "id" | "origin">, now: Date): Promise<string[]> {
  if (row.origin !== "term-stop" && row.origin !== "term-reclaim") return [];
  const items = await tx.selectFrom("request_items").select("resource_id").where("request_id", "=", row.id).where("state", "=", "pending").execute();
  if (items.length === 0) return [];
  const resources = await tx
    .selectFrom("resources")
    .select(["name", "expires_at"])
    .where(
      "id",
      "in",
      items.map((item) => item.resource_id),
    )
    .where("kind", "in", ["host", "volume"])
    .orderBy("id")
    .forUpdate()
    .execute();
  return resources.filter((one) => one.expires_at === null || one.expires_at > now).map((one) => one.name);
}

/** @returns undefined: the terms of all that it is about are over still */
export async function withdrawExtended(tx: Tx, act: Act, row: RequestRow): Promise<RequestRow | undefined> {
  const extended = await extendedMeanwhile(tx, row, act.now);
  if (extended.length === 0) return undefined;
  await giveBack(tx, act, row.id);
  return move(tx, act, row, "withdraw", { error: JSON.stringify({ code: "extended", message: `Extended meanwhile: ${extended.toSorted().join(", ")}.` }) });
}
