/** What is done from time to time: due backups, expired reservations, warnings, old rows. */
import { removeOldCounts } from "../store/rate-limits.ts";
import { CronExpressionParser } from "cron-parser";
import type { BackupPolicySpec } from "../../infra/spec.ts";
import { forgetVersions } from "../state/index.ts";
import { requestBackup } from "../store/backups.ts";
import { tellMissing } from "../store/calendars.ts";
import { appendEvent, notifyEvents } from "../store/events.ts";
import { audiences } from "../domain/notifying.ts";
import { holdersOf } from "../store/audience.ts";
import { buryOld, removeOldDeliveries } from "../store/deliveries.ts";
import { notify, removeOldNotices } from "../store/notices.ts";
import { remindDeciders } from "../store/request-notices.ts";
import { commitUncharged, lockPayers, projectsToRoll } from "../store/fund-charges.ts";
import { pricesAt } from "../store/prices.ts";
import { type Act, systemAct } from "../store/act.ts";
import { reconcile } from "../store/reconciliation.ts";
import { submitUnplanned } from "../store/acceptance.ts";
import { grantWaiting, NoRoom, placeElsewhere, returnWaiting, turns } from "../store/capacity-queue.ts";
import { Refusal } from "../domain/refusal.ts";
import type { Tx } from "../store/database.ts";
import { failOverdue } from "../store/overdue.ts";
import { expireReservations, type RequestRow } from "../store/requests.ts";
import { restoreMark } from "../store/restored.ts";
import { supervise } from "../store/supervising.ts";
import { change, type JobContext } from "./context.ts";
import { resume } from "./resume.ts";
import { bringImages } from "./images.ts";
import { keepLosses } from "./losses.ts";
import { lookForDrift } from "./look.ts";
import { keepWindows } from "./maintenance.ts";
import { keepRestarts } from "./restarts.ts";
import { keepSnapshots } from "./snapshots.ts";
import { keepTerms } from "./terms.ts";
import { compareDrivers } from "./unknown.ts";

/** When a policy is due next after a moment. @throws for a schedule that is none */
export function nextDue(policy: Pick<BackupPolicySpec, "schedule" | "timezone">, after: Date): Date {
  return CronExpressionParser.parse(policy.schedule, { tz: policy.timezone, currentDate: after }).next().toDate();
}

/** Backups that are due; one that was missed while nothing ran is taken once, not as often as it was missed. */
async function backupsDue(context: JobContext): Promise<void> {
  const policies = await context.db
    .selectFrom("resources")
    .select(["id", "wanted", "department_id"])
    .where("kind", "=", "backup-policy")
    .where("phase", "=", "live")
    .execute();
  for (const policy of policies) {
    const spec = policy.wanted as BackupPolicySpec;
    const key = `backup:${policy.id}`;
    await change(context, async (tx, act) => {
      const due = await tx.selectFrom("due_times").selectAll().where("key", "=", key).forUpdate().executeTakeFirst();
      const next = nextDue(spec, act.now);
      if (!due)
        return void (await tx
          .insertInto("due_times")
          .values({ key, due_at: next })
          .onConflict((conflict) => conflict.doNothing())
          .execute());
      if (due.due_at > act.now) return;
      const backup = await requestBackup(tx, act, spec.volume, policy.id);
      await context.queue.backup(tx, backup.id, policy.department_id);
      await tx.updateTable("due_times").set({ due_at: next }).where("key", "=", key).execute();
    }).catch((error: unknown) => context.log.warn({ policy: policy.id, error: String(error) }, "a due backup could not be asked for"));
  }
}

/** Serves the queue for capacity, each in a transaction of its own. */
async function waiting(context: JobContext): Promise<void> {
  const { seal, unseal } = context.keys;
  const plan = (work: (tx: Tx, act: Act) => Promise<RequestRow | undefined>) =>
    change(context, async (tx, act) => {
      const row = await work(tx, act);
      if (row) await context.queue.plan(tx, [row]);
    });
  await change(context, async (tx, act) => context.queue.plan(tx, await submitUnplanned(tx, act, seal, unseal)));
  for (const { id, fits } of await turns(context.db)) {
    if (!fits) {
      await plan((tx, act) => placeElsewhere(tx, act, id, seal, unseal));
      continue;
    }
    await change(context, async (tx, act) => {
      const granted = await grantWaiting(tx, act, id);
      if (granted) await context.queue.apply(tx, granted.department_id);
    }).catch(async (error: unknown) => {
      if (error instanceof Refusal) await plan((tx, act) => returnWaiting(tx, act, id, error));
      // Its pool has room that no member of it has: perhaps another pool does.
      else if (error instanceof NoRoom) await plan((tx, act) => placeElsewhere(tx, act, id, seal, unseal));
      else throw error;
    });
  }
}

async function overdue(context: JobContext): Promise<void> {
  await change(context, async (tx, act) => {
    for (const department of await failOverdue(tx, act)) await context.queue.apply(tx, department);
  });
}

const nearlyFull = 0.9;
/** Says once a day which quotas are nearly full. */
async function quotaCheck(context: JobContext): Promise<void> {
  const rows = await context.db.selectFrom("quota_accounts").selectAll().where("limit_value", ">", 0).where("level", "=", 0).execute();
  const full = rows.filter((row) => (row.reserved + row.used) / row.limit_value! >= nearlyFull);
  await change(context, async (tx, act) => {
    for (const row of full) {
      const key = `quota:${row.department_id}/${row.dimension}`;
      const said = await tx.selectFrom("due_times").selectAll().where("key", "=", key).executeTakeFirst();
      if (said && said.due_at > act.now) continue;
      await tx
        .insertInto("due_times")
        .values({ key, due_at: new Date(act.now.getTime() + 86_400_000) })
        .onConflict((conflict) => conflict.column("key").doUpdateSet({ due_at: new Date(act.now.getTime() + 86_400_000) }))
        .execute();
      await appendEvent(tx, {
        at: act.now,
        departmentId: row.department_id,
        requestId: null,
        type: "quota.nearly-full",
        subjectId: row.department_id,
        data: { dimension: row.dimension, limit: row.limit_value, reserved: row.reserved, used: row.used },
      });
      const { name_zh, name_en } = await tx
        .selectFrom("departments")
        .select(["name_zh", "name_en"])
        .where("id", "=", row.department_id)
        .executeTakeFirstOrThrow();
      await notify(tx, act, {
        kind: "quota.nearly-full",
        to: await holdersOf(tx, audiences["quota.nearly-full"], row.department_id, act.now),
        departmentId: row.department_id,
        requestId: null,
        subjectId: row.department_id,
        data: { departmentZh: name_zh, departmentEn: name_en, dimension: row.dimension, limit: row.limit_value, held: row.reserved + row.used },
      });
    }
  });
}

/** What goes on into a new fiscal year is paid from its fund, and what came to live without a price is paid from now on. */
async function fiscalYear(context: JobContext): Promise<void> {
  for (const project of await projectsToRoll(context.db, context.now())) await change(context, (tx, act) => lockPayers(tx, act, [project]));
  await change(context, async (tx, act) => {
    const book = await pricesAt(tx, act.now);
    if (book) await commitUncharged(tx, act, book);
  });
}

/** Says of decisions that they are due soon. */
async function remind(context: JobContext): Promise<void> {
  await change(context, async (tx, act) => void (await remindDeciders(tx, act)));
}

/** Says which years' calendars should be there and aren't. */
async function calendars(context: JobContext): Promise<void> {
  const years = await change(context, (tx, act) => tellMissing(tx, act));
  if (years.length > 0) context.log.warn({ years }, "the calendar of working days is missing: deadlines there are provisional");
}

const keepEventsDays = 90;
/** An update's steps are kept longer: with them its result can be explained. */
const keepStepsDays = 400;
async function housekeeping(context: JobContext): Promise<void> {
  await change(context, async (tx, act) => {
    const before = (days: number) => new Date(act.now.getTime() - days * 86_400_000);
    await expireReservations(tx, act);
    await tx.deleteFrom("idempotency_keys").where("created_at", "<", before(1)).execute();
    await tx.deleteFrom("events").where("at", "<", before(keepEventsDays)).where("update_id", "is", null).execute();
    await tx.deleteFrom("events").where("at", "<", before(keepStepsDays)).execute();
    await tx.deleteFrom("sessions").where("expires_at", "<", act.now).execute();
    await tx.deleteFrom("account_links").where("expires_at", "<", act.now).execute();
    await tx.deleteFrom("oidc_logouts").where("expires_at", "<", act.now).execute();
    await tx.deleteFrom("oidc_attempts").where("expires_at", "<", act.now).execute();
    await removeOldCounts(tx, act.now);
    await removeOldNotices(tx, before(keepStepsDays));
    await removeOldDeliveries(tx, before(keepEventsDays));
    await buryOld(tx, act.now);
    await tx.deleteFrom("stack_operations").where("created_at", "<", before(keepEventsDays)).execute();
  });
  await forgetVersions(context.db, context.now());
}

/** Says what the quota accounts and the resources don't agree on. */
async function reconcileQuotas(context: JobContext): Promise<void> {
  const { findings } = await reconcile(context.db, systemAct(context.now()));
  notifyEvents();
  if (findings.length > 0) context.log.warn({ findings: findings.length }, "quota accounts differ from what is there");
}

/** Issues what the rules of supervision find by now. */
async function supervision(context: JobContext): Promise<void> {
  const issued = await change(context, supervise);
  if (issued.length > 0) context.log.info({ cards: issued.length }, "supervision issued cards");
}

/** After a restore: until operations have seen what the drivers have that the copy doesn't know. */
async function unknown(context: JobContext): Promise<void> {
  if ((await restoreMark(context.db)) !== undefined) await compareDrivers(context);
}

export const ticks: Record<string, (context: JobContext) => Promise<void>> = {
  "backups-due": backupsDue,
  waiting,
  "quota-check": quotaCheck,
  "quota-reconcile": reconcileQuotas,
  overdue,
  remind,
  calendars,
  unfinished: resume,
  unknown,
  "fiscal-year": fiscalYear,
  drift: lookForDrift,
  supervision,
  terms: keepTerms,
  maintenance: keepWindows,
  losses: keepLosses,
  restarts: keepRestarts,
  snapshots: keepSnapshots,
  images: bringImages,
  housekeeping,
};
