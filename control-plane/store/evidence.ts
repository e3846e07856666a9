/** Evidence: files that people attach to a request, kept in the database with their digest. Nothing of it is changed or removed. */
import { createHash } from "node:crypto";
import type { Selectable } from "kysely";
import { type EvidenceType, evidenceLimit } from "../contract/approvals.ts";
import { whyNotEvidence } from "../domain/evidence.ts";
import { notFound, Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { appendEvent } from "./events.ts";
import { newId } from "./ids.ts";
import { nameOf } from "./names.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import type { RequestEvidence } from "./schema.ts";

export type EvidenceRow = Omit<Selectable<RequestEvidence>, "content"> & { author_name: string | null };
const columns = ["e.id", "e.request_id", "e.name", "e.type", "e.size_bytes", "e.sha256", "e.created_by", "e.created_at"] as const;
/** Files of one request. */
export const mostFiles = 20;

/** Oldest first, without their content. */
export async function listEvidence(db: Db, requestId: string, ask: PageAsk): Promise<Page<EvidenceRow>> {
  const query = db
    .selectFrom("request_evidence as e")
    .select([...columns, nameOf("e.created_by").as("author_name")])
    .where("e.request_id", "=", requestId);
  return page(query, { ...ask, by: "e.id" });
}

/** @throws Refusal invalid-body for what is not of its type or too large; rule-broken when the request has enough files */
export async function attachEvidence(
  tx: Tx,
  act: Act,
  request: { id: string; department_id: string },
  file: { name: string; type: EvidenceType; content: Uint8Array },
): Promise<Omit<EvidenceRow, "author_name">> {
  const why = whyNotEvidence(file.name, file.type, file.content, evidenceLimit);
  if (why) throw new Refusal("invalid-body", why.detail, { errors: [why] });
  await tx.selectFrom("requests").select("id").where("id", "=", request.id).forUpdate().execute();
  const { count } = await tx
    .selectFrom("request_evidence")
    .select((of) => of.fn.countAll<number>().as("count"))
    .where("request_id", "=", request.id)
    .executeTakeFirstOrThrow();
  if (count >= mostFiles) throw new Refusal("rule-broken", `A request has at most ${mostFiles} files.`);
  const id = newId("evd", act.now);
  const sha256 = createHash("sha256").update(file.content).digest("hex");
  const { name, type, content } = file;
  const row = { id, request_id: request.id, name, type, size_bytes: content.length, sha256, created_by: act.actor, created_at: act.now };
  await tx
    .insertInto("request_evidence")
    .values({ ...row, content })
    .execute();
  const told = { name, type, sizeBytes: content.length, sha256 };
  await appendAudit(tx, act, {
    action: "request.attach",
    subjectKind: "request",
    subjectId: request.id,
    departmentId: request.department_id,
    after: { evidence: id, ...told },
  });
  await appendEvent(tx, {
    at: act.now,
    departmentId: request.department_id,
    requestId: request.id,
    type: "request.attached",
    subjectId: id,
    data: { by: act.actor, text: name },
  });
  return row;
}

/** With its content. @throws Refusal not-found; Error when the content is not what was kept */
export async function readEvidence(db: Db, requestId: string, id: string): Promise<Selectable<RequestEvidence>> {
  const row = await db.selectFrom("request_evidence").selectAll().where("id", "=", id).where("request_id", "=", requestId).executeTakeFirst();
  if (!row) throw notFound("evidence", id);
  if (createHash("sha256").update(row.content).digest("hex") !== row.sha256) throw new Error(`evidence ${id} is not what was attached: its digest differs`);
  return row;
}
