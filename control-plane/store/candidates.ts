/** Requests before they are decided on: who asks what for which application and project. */
import { type Selectable, sql } from "kysely";
import type { Item, NewRequest } from "../contract/requests.ts";
import type { Context } from "../domain/proposals.ts";
import { Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import type { Tx } from "./database.ts";
import { ancestorsOf } from "./departments.ts";
import { newId } from "./ids.ts";
import type { Kept, Principal, RequestRow, Seal, StoredItem } from "./requests.ts";
import { agreedBy } from "./restarts.ts";
import type { Projects, RequestOrigin } from "./schema.ts";

export const prefixes = { host: "hst", volume: "vol", attachment: "att", "backup-policy": "bkp" } as const;

/** A new request and who makes it. */
export interface Ask {
  act: Act;
  principal: Principal;
  body: Omit<NewRequest, "items"> & { items: Item[] };
  /** Of what the terms or a refused trial of another request asks for. */
  purpose?: { origin: RequestOrigin; about: string };
}

/** Application and project that a request is about. */
export interface Subject {
  application: Context["application"] & { department_id: string };
  project: Pick<Selectable<Projects>, "id" | "code" | "name" | "stage">;
}

/** A request before it is decided on. */
export interface Candidate extends Subject {
  act: Act;
  row: RequestRow;
  stored: StoredItem[];
  /** As asked for, secrets open. */
  items: readonly Item[];
  fresh: boolean;
  /** false: it stays a draft. */
  submit: boolean;
}

/** The application's lock: names, attachments and changes under way are looked at by one transaction at a time. */
export async function findSubjects(tx: Tx, asks: readonly Pick<Ask, "body" | "principal">[], lock = true): Promise<(Subject | Refusal)[]> {
  const asked = asks.map(({ body, principal }) => ({
    application: body.application,
    project: body.project,
    department: body.department ?? null,
    seen: principal.nodes,
  }));
  const { rows } = await sql<{
    i: number;
    id: string;
    department_id: string;
    protection_level: number;
    zone: Subject["application"]["zone"];
    anti_affinity: Subject["application"]["antiAffinity"];
    departments: string[];
    project: Subject["project"] | null;
  }>`
    select w.i::int, a.id, a.department_id, a.protection_level, a.zone, a.anti_affinity,
      (select json_agg(x.ancestor_id) from department_ancestors x where x.department_id = a.department_id) as departments,
      case when p.id is not null then json_build_object('id', p.id, 'code', p.code, 'name', p.name, 'stage', p.stage) end as project
    from rows from (jsonb_to_recordset(${JSON.stringify(asked)}::jsonb) as (application text, project text, department text, seen jsonb)) with ordinality as w(application, project, department, seen, i)
    join applications a on a.id = w.application or a.code = w.application
    join departments d on d.id = a.department_id
    left join projects p on p.department_id = a.department_id and (p.id = w.project or p.code = w.project)
    where (w.department is null or d.id = w.department or d.code = w.department)
      and (w.seen is null or exists (select from department_ancestors x where x.department_id = a.department_id and w.seen ? x.ancestor_id))
    order by a.id ${lock ? sql`for no key update of a` : sql``}`.execute(tx);
  const found = Map.groupBy(rows, (row) => row.i);
  return asks.map(({ body }, index) => {
    const [row, ...others] = found.get(index + 1) ?? [];
    if (!row) {
      return new Refusal("not-found", `There is no application ${body.application} that you may see.`, {
        errors: [{ pointer: "/application", detail: "no such application" }],
      });
    }
    if (others.length > 0) {
      return new Refusal("invalid-body", `Several departments have an application ${body.application}: name the department.`, {
        errors: [{ pointer: "/department", detail: "needed here" }],
      });
    }
    if (!row.project)
      return new Refusal("not-found", `The application's department has no project ${body.project}.`, {
        errors: [{ pointer: "/project", detail: "no such project" }],
      });
    const { id, department_id, protection_level, zone, anti_affinity, departments } = row;
    return { application: { id, department_id, protectionLevel: protection_level, zone, antiAffinity: anti_affinity, departments }, project: row.project };
  });
}

export function candidateOf({ act, body, purpose }: Ask, subject: Subject, number: number, seal: Seal): Candidate {
  const id = newId("req", act.now);
  const row: RequestRow = {
    id,
    number: `${act.now.getUTCFullYear()}-${String(number).padStart(6, "0")}`,
    department_id: subject.application.department_id,
    project_id: subject.project.id,
    application_id: subject.application.id,
    state: "draft",
    title: body.title,
    reason: body.reason,
    requested_by: act.actor,
    submitted_by: null,
    authors: [act.actor],
    decided_by: null,
    decided_at: null,
    decision_reason: null,
    plan: null,
    plan_hash: null,
    cost: null,
    previous_plan: null,
    origin: purpose?.origin ?? null,
    about_id: purpose?.about ?? null,
    trial_days: body.trialDays ?? null,
    trial_until: null,
    term_told: null,
    to_department_id: null,
    to_project_id: null,
    waits: false,
    loss_id: null,
    error: null,
    revision: 1,
    created_at: act.now,
    updated_at: act.now,
  };
  return { ...subject, act, row, stored: storedItems(id, body.items, act, seal), items: body.items, fresh: true, submit: !body.draft };
}

export const storedItems = (requestId: string, items: readonly Item[], act: Act, seal: Seal): StoredItem[] =>
  items.map((item, position) => ({
    id: newId("itm", act.now),
    request_id: requestId,
    position,
    action: item.action,
    kind: item.kind,
    resource_id: "id" in item ? item.id : "",
    state: "pending",
    spec: { item: sealItem(item, `${requestId}/${position}`, seal), placement: null, expiresAt: null, wanted: null, charge: [] } satisfies Kept,
    error: null,
    approved_digest: null,
    restart_need: null,
    restart: item.action === "resize" && item.spec.restart ? agreedBy(act, item.spec.restart) : null,
    restart_begun_at: null,
    restart_told: null,
  }));

/** A request that is there already; its row is locked. */
export async function standing(tx: Tx, act: Act, row: RequestRow, unseal: Seal): Promise<Candidate> {
  const application = await tx.selectFrom("applications").selectAll().where("id", "=", row.application_id).forNoKeyUpdate().executeTakeFirstOrThrow();
  if (application.department_id !== row.department_id)
    throw new Refusal("conflict", "The application has passed to another department since this was written.", { remedy: "Its department asks anew." });
  const project = await tx.selectFrom("projects").selectAll().where("id", "=", row.project_id).executeTakeFirstOrThrow();
  const stored = await tx.selectFrom("request_items").selectAll().where("request_id", "=", row.id).orderBy("position").execute();
  const items = stored.map((item) => unsealItem((item.spec as Kept).item, `${row.id}/${item.position}`, unseal));
  const { protection_level, anti_affinity } = application;
  const departments = await ancestorsOf(tx, application.department_id);
  const applicant = { ...application, protectionLevel: protection_level, antiAffinity: anti_affinity, departments };
  return { application: applicant, project, act, row, stored, items, fresh: false, submit: true };
}

function sealItem(item: Item, context: string, seal: Seal): Item {
  if (item.action !== "create" || item.kind !== "host" || "adopted" in item.spec || item.spec.userData === undefined) return item;
  return { ...item, spec: { ...item.spec, userData: seal(context, item.spec.userData) } };
}

const unsealItem = (item: Item, context: string, unseal: Seal): Item => sealItem(item, context, unseal);
