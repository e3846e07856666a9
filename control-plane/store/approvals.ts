/** What was approved, for the provider to hold an apply to. */
import { type Selectable, sql } from "kysely";
import { type Approval, specDigest } from "../../infra/approval.ts";
import { grantedStates } from "../domain/lifecycle.ts";
import type { Tx } from "./database.ts";
import type { RequestItems, ResourceKind } from "./schema.ts";

/** The code with which the provider refuses what isn't approved. */
export const notApproved = "not-approved";
/** The code with which a driver refuses what takes a restart that nobody agreed to. */
export const needsRestart = "needs-restart";

/** Digests of what a request's open items make of their resources. */
export function specificationsOf(items: readonly ItemOf[]): { resource: string; digest: string }[] {
  return items
    .filter((item) => item.state === "pending" && item.action !== "retire" && item.action !== "extend" && item.action !== "transfer")
    .map((item) => ({ resource: item.resource_id, digest: specDigest(item.kind as ResourceKind, (item.spec as { wanted: unknown }).wanted) }));
}
type ItemOf = Pick<Selectable<RequestItems>, "state" | "action" | "kind" | "resource_id" | "spec">;

/** Notes with each item what was approved. */
export async function bindApproval(tx: Tx, requestId: string, specifications: readonly { resource: string; digest: string }[]): Promise<void> {
  await sql`update request_items i set approved_digest = w.digest from jsonb_to_recordset(${JSON.stringify(specifications)}::jsonb) as w(resource text, digest text)
    where i.request_id = ${requestId} and i.resource_id = w.resource and i.state = 'pending' and i.action not in ('retire', 'extend')`.execute(tx);
}

/**
 * Everything of a department that may be made, changed or removed now: the last approval of each resource, and what is to go or was never finished.
 * What an operation plan has moved to another pool since is what that plan made of it.
 * What an approved plan replaces may go and come again as it is: a host that is made anew takes its attachments along.
 * @param putBack by decision: what is gone is made anew, with what hangs on it
 */
export async function approvedEstate(tx: Tx, departmentId: string, putBack: readonly { name: string; anew: boolean }[] = []): Promise<Approval[]> {
  const anew = sql`any(${sql.val(putBack.filter((one) => one.anew).map((one) => one.name))}::text[])`;
  const { rows } = await sql<{ id: string; phase: string; digest: string | null; replaced: boolean; taken: boolean }>`
    select r.id, r.phase, case when m.at > coalesce(a.decided_at, '-infinity') then m.digest else a.approved_digest end as digest,
      coalesce(r.wanted ? 'adopted', false) as taken,
      coalesce(r.id = any(x.replaced), false) or r.id = ${anew} or coalesce(r.wanted->>'host' = ${anew} or r.wanted->>'volume' = ${anew}, false) as replaced
    from resources r
    left join pool_moves m on m.resource_id = r.id
    left join lateral (
      select i.approved_digest, q.decided_at
      from request_items i join requests q on q.id = i.request_id
      where i.resource_id = r.id and i.approved_digest is not null and i.state in ('pending', 'applying', 'active') and q.state = any(${sql.val(grantedStates)}::text[])
      order by q.decided_at desc nulls last, i.id desc limit 1) a on true
    cross join (
      select array_agg(s->>'resource') as replaced from requests q, jsonb_array_elements(q.plan->'steps') s
      where q.department_id = ${departmentId} and q.state = 'applying' and s->>'action' = 'replace') x
    where r.department_id = ${departmentId} and (r.phase in ('wanted', 'live', 'retiring') or r.phase = 'failed' or r.phase = 'gone' and r.retired_at > now() - interval '1 day')`.execute(
    tx,
  );
  return rows.map(({ id, phase, digest, replaced, taken }) => {
    const stays = phase === "wanted" || phase === "live";
    return {
      name: id,
      digest: stays ? digest : null,
      remove: phase !== "live" || replaced,
      ...(taken && (phase === "retiring" || phase === "gone") ? { end: true } : {}),
    };
  });
}
