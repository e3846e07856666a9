/** Role bindings (角色授权): who holds which role on which node of the tree; never deleted, so that it can be said who held what on any day. */
import { type RawBuilder, sql, type Selectable } from "kysely";
import type { NewRoleBinding, Role } from "../contract/roles.ts";
import { type Binding, faultsOf, isInForce } from "../domain/authority.ts";
import { audiences } from "../domain/notifying.ts";
import { notFound, Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { holdersOf } from "./audience.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { resolveDepartment } from "./departments.ts";
import { appendEvent } from "./events.ts";
import { newId } from "./ids.ts";
import { nameOf, namesOf } from "./names.ts";
import { notify } from "./notices.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import type { RoleBindings } from "./schema.ts";

export type RoleBindingRow = Selectable<RoleBindings>;
export type NamedBinding = RoleBindingRow & { subject_name: string | null };

/** A column of all that a subject holds, to be read in one statement with the subject itself; `heldOf` opens it. */
export const heldBy = (subject: string): RawBuilder<string> => sql<string>`coalesce((select json_agg(json_build_object(
  'role', b.role, 'kind', b.kind, 'department', b.department_id, 'from', b.valid_from, 'until', b.valid_until, 'periodFrom', b.period_from, 'periodTo', b.period_to))
  from role_bindings b where b.subject_id = ${sql.ref(subject)} and b.revoked_at is null), '[]')::text`;

interface Held {
  role: Role;
  kind: Binding["kind"];
  department: string | null;
  from: string;
  until: string | null;
  periodFrom: string | null;
  periodTo: string | null;
}

export function heldOf(column: string): Binding[] {
  return (JSON.parse(column) as Held[]).map(({ role, kind, department, from, until, periodFrom, periodTo }) => ({
    role,
    kind,
    department,
    validFrom: new Date(from),
    validUntil: until === null ? null : new Date(until),
    period: periodFrom === null || periodTo === null ? null : { from: new Date(periodFrom), to: new Date(periodTo) },
  }));
}

export interface BindingFilter extends PageAsk {
  subject?: string | undefined;
  role?: Role | undefined;
  kind?: Binding["kind"] | undefined;
  unreviewed?: boolean | undefined;
}

const named = (db: Db) => db.selectFrom("role_bindings as b").selectAll("b").select(nameOf("b.subject_id").as("subject_name"));

/** Newest first. */
export function listBindings(db: Db, { subject, role, kind, unreviewed, ...ask }: BindingFilter): Promise<Page<NamedBinding>> {
  let query = named(db);
  if (subject) query = query.where("b.subject_id", "=", subject);
  if (role) query = query.where("b.role", "=", role);
  if (kind) query = query.where("b.kind", "=", kind);
  if (unreviewed) query = query.where("b.kind", "=", "elevated").where("b.reviewed_at", "is", null);
  return page(query, { ...ask, by: "b.id", descending: true });
}

export const namedBinding = (db: Db, id: string): Promise<NamedBinding> => named(db).where("b.id", "=", id).executeTakeFirstOrThrow();

/** Roles are held by accounts, and by tokens that are no account's: those act as their account does. */
async function isSubject(tx: Tx, id: string): Promise<boolean> {
  const account = await tx.selectFrom("accounts").select("id").where("id", "=", id).executeTakeFirst();
  const token = await tx.selectFrom("tokens").select("id").where("id", "=", id).where("account_id", "is", null).executeTakeFirst();
  return account !== undefined || token !== undefined;
}

/** Whether somebody holds a role now. */
async function isHeld(tx: Tx, role: Role, now: Date): Promise<boolean> {
  const rows = await tx
    .selectFrom("role_bindings")
    .select(["kind", "valid_from", "valid_until"])
    .where("role", "=", role)
    .where("revoked_at", "is", null)
    .execute();
  return rows.some((row) => isInForce({ role, kind: row.kind, department: null, validFrom: row.valid_from, validUntil: row.valid_until, period: null }, now));
}

/**
 * Gives a role. Security administrators do; while there is none, a system administrator may make the first one, and nothing else.
 * @throws Refusal rule-broken, not-found, conflict (two of the 三员 for one)
 */
export async function grantRole(tx: Tx, act: Act, ask: NewRoleBinding, isSecurityAdmin: boolean): Promise<RoleBindingRow> {
  if (!isSecurityAdmin && (ask.role !== "security-admin" || (await isHeld(tx, "security-admin", act.now)))) {
    throw new Refusal("forbidden", "Roles are granted by a security administrator. A system administrator makes the first one only.", {
      remedy: "Ask a security administrator (安全管理员).",
    });
  }
  const errors = faultsOf(ask, act.actor, act.now);
  if (errors.length > 0) throw new Refusal("rule-broken", errors.map(({ pointer, detail }) => `${pointer.slice(1)}: ${detail}`).join("; "), { errors });
  if (!(await isSubject(tx, ask.subject))) throw notFound("account or token", ask.subject);
  const node = ask.department === null ? null : await resolveDepartment(tx, ask.department);
  return bind(tx, act, {
    subject_id: ask.subject,
    role: ask.role,
    department_id: node?.id ?? null,
    kind: ask.kind,
    valid_from: ask.validFrom === null ? act.now : new Date(ask.validFrom),
    valid_until: ask.validUntil === null ? null : new Date(ask.validUntil),
    period_from: ask.periodFrom === null ? null : new Date(ask.periodFrom),
    period_to: ask.periodTo === null ? null : new Date(ask.periodTo),
    reason: ask.reason,
  });
}

export type Bound = Pick<
  RoleBindingRow,
  "subject_id" | "role" | "department_id" | "kind" | "valid_from" | "valid_until" | "period_from" | "period_to" | "reason"
> & {
  /** By whose claims it is held; left out: granted by hand. */
  provider_id?: string;
};

/** @throws Refusal conflict when the subject would hold two of the 三员 at once */
export async function bind(tx: Tx, act: Act, bound: Bound): Promise<RoleBindingRow> {
  for (const table of ["tokens", "accounts"] as const) await tx.selectFrom(table).select("id").where("id", "=", bound.subject_id).forUpdate().execute();
  const rival = await tx
    .selectFrom("role_bindings")
    .select(["role"])
    .where("subject_id", "=", bound.subject_id)
    .where("revoked_at", "is", null)
    .where("role", "in", ["system-admin", "security-admin", "audit-admin"])
    .where("role", "<>", bound.role)
    .where((where) => where.or([where("valid_until", "is", null), where("valid_until", ">", bound.valid_from)]))
    .executeTakeFirst();
  if (rival && ["system-admin", "security-admin", "audit-admin"].includes(bound.role))
    throw new Refusal("conflict", `Whoever is ${rival.role} cannot be ${bound.role} too: the three administrators (三员) are three people.`, {
      errors: [{ pointer: "/role", detail: "excluded by a role that the subject holds" }],
    });
  const row = await tx
    .insertInto("role_bindings")
    .values({ id: newId("rbd", act.now), ...bound, granted_by: act.actor, granted_at: act.now })
    .returningAll()
    .executeTakeFirstOrThrow();
  const { role, kind, valid_until } = row;
  await appendAudit(tx, act, {
    action: kind === "elevated" ? "role.elevate" : "role.grant",
    subjectKind: "role-binding",
    subjectId: row.id,
    departmentId: row.department_id,
    after: { subject: row.subject_id, role, kind, validUntil: valid_until, reason: row.reason },
  });
  return row;
}

async function lockBinding(tx: Tx, id: string): Promise<RoleBindingRow> {
  const row = await tx.selectFrom("role_bindings").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (!row) throw notFound("role binding", id);
  return row;
}

/** Takes a role away, at once. Twice is no error. */
export async function revokeRole(tx: Tx, act: Act, id: string, reason: string): Promise<void> {
  const row = await lockBinding(tx, id);
  if (row.revoked_at) return;
  await tx.updateTable("role_bindings").set({ revoked_at: act.now, revoked_by: act.actor }).where("id", "=", id).execute();
  await appendAudit(tx, act, {
    action: "role.revoke",
    subjectKind: "role-binding",
    subjectId: id,
    departmentId: row.department_id,
    before: { subject: row.subject_id, role: row.role },
    after: { reason },
  });
}

/**
 * Break-glass (应急提权): whoever is eligible for a role takes it for a while, with a reason that auditors see and review.
 * @throws Refusal not-found for another's, or one that is not eligible or has ended
 */
export async function elevate(tx: Tx, act: Act, id: string, reason: string, minutes: number): Promise<RoleBindingRow> {
  const row = await lockBinding(tx, id);
  const usable = row.kind === "eligible" && !row.revoked_at && row.valid_from <= act.now && (row.valid_until === null || row.valid_until > act.now);
  if (row.subject_id !== act.actor || !usable) throw notFound("role binding", id);
  const end = new Date(act.now.getTime() + minutes * 60_000);
  const bound = await bind(tx, act, {
    subject_id: row.subject_id,
    role: row.role,
    department_id: row.department_id,
    kind: "elevated",
    valid_from: act.now,
    valid_until: row.valid_until && row.valid_until < end ? row.valid_until : end,
    period_from: row.period_from,
    period_to: row.period_to,
    reason,
  });
  const data = { role: row.role, reason, until: bound.valid_until };
  await appendEvent(tx, { at: act.now, departmentId: row.department_id, requestId: null, type: "role.elevated", subjectId: row.subject_id, data });
  const name = (await namesOf(tx, [row.subject_id])).get(row.subject_id) ?? row.subject_id;
  await notify(tx, act, {
    kind: "role.elevated",
    to: await holdersOf(tx, audiences["role.elevated"], row.department_id, act.now),
    departmentId: row.department_id,
    requestId: null,
    subjectId: bound.id,
    data: { name, role: row.role, reason, until: bound.valid_until!.toISOString() },
  });
  return bound;
}

/** What auditors say of an elevation afterwards. @throws Refusal not-found, self-approval, conflict when it was reviewed already */
export async function reviewElevation(tx: Tx, act: Act, id: string, verdict: "justified" | "unjustified", comment: string): Promise<void> {
  const row = await lockBinding(tx, id);
  if (row.kind !== "elevated") throw notFound("elevation", id);
  if (row.subject_id === act.actor) throw new Refusal("self-approval", "This elevation is your own: somebody else reviews it.");
  if (row.reviewed_at) throw new Refusal("conflict", `It was reviewed already, by ${row.reviewed_by}.`);
  await tx.updateTable("role_bindings").set({ reviewed_by: act.actor, reviewed_at: act.now, verdict, review_comment: comment }).where("id", "=", id).execute();
  await appendAudit(tx, act, {
    action: "role.review",
    subjectKind: "role-binding",
    subjectId: id,
    departmentId: row.department_id,
    after: { verdict, comment },
  });
}
