/** What people say about a request: comments, questions of approvers, answers of applicants. Nothing of it is changed or removed. */
import type { Selectable } from "kysely";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { appendEvent } from "./events.ts";
import { newId } from "./ids.ts";
import { nameOf } from "./names.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import type { RequestComments } from "./schema.ts";

export type CommentRow = Selectable<RequestComments> & { author_name: string | null };

/** Oldest first. */
export async function listComments(db: Db, requestId: string, ask: PageAsk): Promise<Page<CommentRow>> {
  const query = db.selectFrom("request_comments as c").selectAll("c").select(nameOf("c.created_by").as("author_name")).where("c.request_id", "=", requestId);
  return page(query, { ...ask, by: "c.id" });
}

export async function appendComment(
  tx: Tx,
  act: Act,
  request: { id: string; department_id: string },
  ask: { kind: RequestComments["kind"]; text: string; stepId: string | null },
): Promise<string> {
  const id = newId("cmt", act.now);
  await tx
    .insertInto("request_comments")
    .values({ id, request_id: request.id, kind: ask.kind, step_id: ask.stepId, text: ask.text, created_by: act.actor, created_at: act.now })
    .execute();
  await appendAudit(tx, act, {
    action: `request.${ask.kind}`,
    subjectKind: "request",
    subjectId: request.id,
    departmentId: request.department_id,
    after: { comment: id, text: ask.text },
  });
  await appendEvent(tx, {
    at: act.now,
    departmentId: request.department_id,
    requestId: request.id,
    type: `request.${ask.kind}`,
    subjectId: id,
    data: { by: act.actor, text: ask.text },
  });
  return id;
}
