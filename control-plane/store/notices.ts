/** Notices (通知): written in the transaction of what happened, one a person; with them what mail and webhooks will send of it. */
import { type Selectable, sql } from "kysely";
import type { NoticeData, NoticeKind } from "../contract/notices.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { queueMail, queueWebhooks } from "./deliveries.ts";
import { newId } from "./ids.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import { insertRows } from "./rows.ts";
import type { Notices } from "./schema.ts";

export type NoticeRow = Selectable<Notices>;

export interface NewNotice {
  kind: NoticeKind;
  /** Accounts, and tokens that are no account's. Whoever does it is left out: nobody is told what they did themselves. */
  to: readonly string[];
  /** Where it happened: by it webhooks of a part of the tree are chosen. */
  departmentId: string | null;
  requestId: string | null;
  subjectId: string | null;
  /** Times as RFC 3339 in UTC. */
  data: NoticeData;
}

export async function notify(tx: Tx, act: Act, notice: NewNotice): Promise<void> {
  const people = [...new Set(notice.to)].filter((id) => id !== act.actor && id !== "system");
  const rows = people.map((person) => ({
    id: newId("ntc", act.now),
    person_id: person,
    kind: notice.kind,
    department_id: notice.departmentId,
    request_id: notice.requestId,
    subject_id: notice.subjectId,
    data: notice.data,
    created_at: act.now,
  }));
  await insertRows(tx, "notices", rows);
  await queueMail(tx, act, rows);
  await queueWebhooks(tx, act, notice);
}

/** A person's own, newest first. */
export async function listNotices(db: Db, person: string, { unread, ...ask }: PageAsk & { unread?: boolean | undefined }): Promise<Page<NoticeRow>> {
  let query = db.selectFrom("notices").selectAll().where("person_id", "=", person);
  if (unread) query = query.where("read_at", "is", null);
  return page(query, { ...ask, by: "id", descending: true });
}

/** No more than 100 are counted. */
export async function countUnread(db: Db, person: string): Promise<number> {
  const { rows } = await sql<{ n: number }>`
    select count(*)::int as n from (select from notices where person_id = ${person} and read_at is null limit 100) as counted`.execute(db);
  return rows[0]!.n;
}

/** Of one's own only; twice is no error. @returns how many were unread */
export async function markRead(tx: Tx, act: Act, person: string, which: { ids: readonly string[] } | { upTo: string }): Promise<number> {
  let query = tx.updateTable("notices").set({ read_at: act.now }).where("person_id", "=", person).where("read_at", "is", null);
  query = "ids" in which ? query.where("id", "in", [...which.ids]) : query.where("id", "<=", which.upTo);
  const { numUpdatedRows } = await query.executeTakeFirst();
  const read = Number(numUpdatedRows);
  if (read > 0) await appendAudit(tx, act, { action: "notice.read", subjectKind: "notices", subjectId: person, departmentId: null, after: { read } });
  return read;
}

/** Old ones, with what was sent of them. */
export async function removeOldNotices(tx: Tx, before: Date): Promise<void> {
  await tx.deleteFrom("notices").where("created_at", "<", before).execute();
}
