/**
 * What becomes of resources whose term is over: hosts are stopped, then it is proposed to retire them, each time by a request like any other. Never
 * something of which an extension is being decided on, nor a volume without a backup of what it holds now.
 */
import { sql } from "kysely";
import type { Item } from "../contract/requests.ts";
import { addDays } from "../domain/terms.ts";
import { undecidedStates } from "../domain/lifecycle.ts";
import type { Act } from "./act.ts";
import { createRequests } from "./acceptance.ts";
import { Refusal } from "../domain/refusal.ts";
import type { Db, Tx } from "./database.ts";
import { appendEvent } from "./events.ts";
import { notifyOfRequest } from "./request-notices.ts";
import { lockRequest, type RequestRow, type Seal } from "./requests.ts";
import type { RequestOrigin } from "./schema.ts";
import { withdrawExtended } from "./terms.ts";
import { termPolicy } from "./term-policy.ts";

/** Something whose term is over, and the request that made it. */
interface Over {
  id: string;
  kind: "host" | "volume";
  name: string;
  about: string;
  number: string;
  application_id: string;
  project_id: string;
  department_id: string;
}
export interface Intended {
  origin: RequestOrigin;
  /** The request that made what it is about. */
  about: string;
  application: string;
  project: string;
  department: string;
  title: string;
  reason: string;
  items: Item[];
}

const open = [...undecidedStates, "waiting", "approved", "applying", "scheduled"];
/** No other request changes, extends or retires it. */
const untouched = sql`not exists (select from request_items i join requests q on q.id = i.request_id
  where i.resource_id = x.id and i.action <> 'create' and i.state in ('pending', 'scheduled', 'applying') and q.state = any(${sql.val(open)}::text[]))`;
const none = (origin: RequestOrigin, states: readonly string[], since: Date) =>
  sql`not exists (select from requests q where q.about_id = r.id and q.origin = ${origin} and q.state = any(${sql.val(states)}::text[]) and q.updated_at > ${since})`;
const overColumns = sql`x.id, x.kind, x.name, r.id as about, r.number, x.application_id, x.project_id, x.department_id`;

const grouped = (rows: readonly Over[]): Over[][] => [...Map.groupBy(rows, (row) => `${row.about} ${row.application_id} ${row.project_id}`).values()];
const intended = (origin: RequestOrigin, of: readonly Over[], rest: Pick<Intended, "title" | "reason" | "items">): Intended => ({
  origin,
  about: of[0]!.about,
  application: of[0]!.application_id,
  project: of[0]!.project_id,
  department: of[0]!.department_id,
  ...rest,
});
const list = (names: readonly string[]) => names.toSorted().join(", ");

/**
 * Hosts that run though their term and its days of grace are over, and that long ago their owner was told that it ends: whoever was told late, since nothing ran
 * or terms were not looked at yet, has their days all the same. What could not be stopped is tried again after a day.
 */
export async function stopsDue(db: Db, now: Date): Promise<Intended[]> {
  const { graceDays } = await termPolicy(db);
  const { rows } = await sql<Over>`
    select ${overColumns} from resources x join requests r on r.id = x.request_id
    where r.state = 'expiring' and x.kind = 'host' and x.phase = 'live' and x.expires_at <= ${addDays(now, -graceDays)} and x.wanted->>'power' = 'running'
      and r.updated_at <= ${addDays(now, -graceDays)} and ${untouched} and ${none("term-stop", [...open, "active", "failed", "withdrawn"], addDays(now, -1))}
    order by x.id limit 500`.execute(db);
  return grouped(rows).map((of) =>
    intended("term-stop", of, {
      title: `到期停机 / Stop what is over: ${of[0]!.number}`,
      reason: `期限已过 ${graceDays} 天未续：停机，不删除 / The term ended ${graceDays} days ago and was not extended: stopped, nothing is deleted. ${list(of.map((one) => one.name))}`,
      items: of.map((one) => ({ action: "stop" as const, kind: "host" as const, id: one.id, spec: {} })),
    }),
  );
}

/** Hosts that have been stopped long enough, and volumes whose content is in a backup. A proposal that was rejected is made again after the days of grace. */
export async function reclaimsDue(db: Db, now: Date): Promise<Intended[]> {
  const { graceDays, stoppedDays } = await termPolicy(db);
  const over = sql`r.state = 'expiring' and x.phase = 'live' and x.expires_at <= ${addDays(now, -graceDays - stoppedDays)} and ${untouched}
    and ${none("term-reclaim", open, new Date(0))} and ${none("term-reclaim", ["rejected", "failed"], addDays(now, -Math.max(1, graceDays)))}`;
  const { rows: hosts } = await sql<Over>`
    select ${overColumns} from resources x join requests r on r.id = x.request_id
    where ${over} and x.kind = 'host' and x.wanted->>'power' = 'stopped' and x.wanted = x.applied and x.observed_state = 'stopped' and x.updated_at <= ${addDays(now, -stoppedDays)}
    order by x.id limit 500`.execute(db);
  const { rows: volumes } = await sql<Over & { hosts: string[]; changed: Date; backup: Date | null }>`
    select v.*, (select max(b.created_at) from backups b where b.volume_id = v.id and b.state = 'complete') as backup from (
      select ${overColumns}, coalesce(jsonb_agg(h.id) filter (where a.phase <> 'gone'), '[]') as hosts,
        greatest(x.expires_at, max(case when a.phase = 'gone' then a.retired_at else h.updated_at end)) as changed
      from resources x join requests r on r.id = x.request_id
      left join resources a on a.kind = 'attachment' and a.phase in ('wanted', 'live', 'retiring', 'gone') and a.wanted->>'volume' = x.id left join resources h on h.id = a.wanted->>'host'
      where ${over} and x.kind = 'volume' group by x.id, r.id) v order by v.id limit 500`.execute(db);
  const going = new Set(hosts.map((one) => one.id));
  // A running host may write to it yet; a backup of before doesn't hold what was written since.
  const idle = volumes.filter((one) => one.hosts.every((host) => going.has(host)));
  const kept = idle.filter((one) => one.backup === null || one.backup <= one.changed);
  const saved = idle.filter((one) => !kept.includes(one));
  const users = await usersOf(db, [...hosts, ...saved]);
  return grouped([...hosts, ...saved]).map((of) => {
    const ids = new Set(of.map((one) => one.id));
    const withBackup = saved.filter((one) => ids.has(one.id));
    const without = kept.filter((one) => one.about === of[0]!.about);
    return intended("term-reclaim", of, {
      title: `到期回收 / Reclaim what is over: ${of[0]!.number}`,
      reason: [
        `期限已过，云主机已停机 ${stoppedDays} 天 / The term is over, its hosts have been stopped for ${stoppedDays} days.`,
        ...withBackup.map((one) => `${one.name}: 备份 / backup ${one.backup!.toISOString()}`),
        ...(without.length > 0 ? [`无备份，保留 / kept, for want of a backup: ${list(without.map((one) => one.name))}`] : []),
      ].join("\n"),
      items: [
        ...users.filter((one) => ids.has(one.of)).map(({ id, kind }) => ({ action: "retire" as const, kind, id, spec: {} })),
        ...of.map(({ id, kind }) => ({ action: "retire" as const, kind, id, spec: {} })),
      ],
    });
  });
}

/** Attachments of hosts, attachments and backup policies of volumes: they go along. Each once. */
async function usersOf(db: Db, things: readonly Pick<Over, "id">[]): Promise<{ id: string; kind: "attachment" | "backup-policy"; of: string }[]> {
  if (things.length === 0) return [];
  const ids = sql.val(things.map((one) => one.id));
  const { rows } = await sql<{ id: string; kind: "attachment" | "backup-policy"; of: string }>`
    select distinct on (u.id) u.id, u.kind, t.id as of from resources u join unnest(${ids}::text[]) t(id) on t.id in (u.wanted->>'host', u.wanted->>'volume')
    where u.kind in ('attachment', 'backup-policy') and u.phase = 'live' order by u.id, t.id`.execute(db);
  return rows;
}

/** What there is of a request to be retired after its trial was refused, in an order that holds nothing back. */
export async function remainsOf(db: Db, row: Pick<RequestRow, "id">): Promise<Item[]> {
  const own = await db.selectFrom("resources").select(["id", "kind"]).where("request_id", "=", row.id).where("phase", "=", "live").orderBy("id").execute();
  const users = await usersOf(db, own);
  const all = [...users, ...own.filter((one) => !users.some((other) => other.id === one.id))];
  return all.map(({ id, kind }) => ({ action: "retire" as const, kind, id, spec: {} }));
}

const toldOf = {
  "term-stop": "request.stopping",
  "term-reclaim": "request.reclaiming",
  "trial-refusal": undefined,
  "member-lost": "request.restoring",
} as const satisfies Record<RequestOrigin, string | undefined>;
/**
 * Makes the request that is intended; whoever owns what it is about is told.
 * @param lossId the loss of a member that it is for
 * @returns undefined: something of it is being changed by now; it is intended again when that is done
 */
export async function makeIntended(tx: Tx, act: Act, intention: Intended, seal: Seal, lossId?: string): Promise<RequestRow | undefined> {
  const { origin, about, items, title, reason, application, project, department } = intention;
  const body = { application, project, department, title, reason: reason.slice(0, 2000), items: items.slice(0, 200), draft: false };
  const [taken] = await createRequests(tx, [{ act, principal: { id: act.actor, nodes: null }, body, purpose: { origin, about } }], seal);
  if (taken instanceof Refusal) {
    if (origin === "trial-refusal") throw taken;
    return undefined;
  }
  const row = taken!.row;
  if (lossId !== undefined) await tx.updateTable("requests").set({ loss_id: lossId }).where("id", "=", row.id).execute();
  const kind = toldOf[origin];
  if (kind) {
    const whose = await tx.selectFrom("requests").selectAll().where("id", "=", about).executeTakeFirstOrThrow();
    await notifyOfRequest(tx, act, kind, whose, { by: row.number });
    await appendEvent(tx, {
      at: act.now,
      departmentId: whose.department_id,
      requestId: about,
      type: kind,
      subjectId: about,
      data: { number: whose.number, text: row.number },
    });
  }
  return row;
}

/** Proposals of the terms for something that was extended meanwhile: withdrawn, and made anew for what is left. */
export async function withdrawOutdated(tx: Tx, act: Act): Promise<void> {
  const { rows } = await sql<{ id: string }>`
    select r.id from requests r where r.origin in ('term-stop', 'term-reclaim') and r.state = any(${sql.val([...undecidedStates])}::text[])
      and exists (select from request_items i join resources x on x.id = i.resource_id where i.request_id = r.id and x.kind in ('host', 'volume')
        and (x.expires_at is null or x.expires_at > ${act.now})) order by r.id`.execute(tx);
  for (const { id } of rows) await withdrawExtended(tx, act, await lockRequest(tx, id));
}
