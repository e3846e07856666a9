/** What exactly was approved, for each item; for what lives already, what it is. */
import { type Kysely, sql } from "kysely";
import { specDigest } from "../../../infra/approval.ts";
import type { SpecKind } from "../../../infra/spec.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table request_items add column approved_digest text`.execute(db);
  const { rows } = await sql<{ item: string; kind: SpecKind; wanted: unknown }>`
    select distinct on (r.id) i.id as item, r.kind, r.wanted from resources r join request_items i on i.resource_id = r.id join requests q on q.id = i.request_id
    where r.phase in ('wanted', 'live') and i.action not in ('retire', 'extend') and q.state in ('approved', 'applying', 'active') and i.state in ('pending', 'applying', 'active')
    order by r.id, q.decided_at desc nulls last, i.id desc`.execute(db);
  for (const { item, kind, wanted } of rows) await sql`update request_items set approved_digest = ${specDigest(kind, wanted)} where id = ${item}`.execute(db);
}
