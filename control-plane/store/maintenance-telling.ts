/** Tells those concerned of a maintenance window: in each department that has hosts in it those who use and answer for them, and operations. */
import { type Selectable, sql } from "kysely";
import type { NoticeData, NoticeKind } from "../contract/notices.ts";
import { audiences } from "../domain/notifying.ts";
import type { Act } from "./act.ts";
import { holdersOf } from "./audience.ts";
import type { Tx } from "./database.ts";
import { notify } from "./notices.ts";
import type { MaintenanceWindows } from "./schema.ts";

type Kind = Extract<NoticeKind, `maintenance.${string}`>;

export async function tellOfWindow(tx: Tx, act: Act, row: Selectable<MaintenanceWindows>, kind: Kind, more: NoticeData = {}): Promise<void> {
  const departments = await sql<{ id: string; name_zh: string; name_en: string; hosts: number; names: string }>`
    select d.id, d.name_zh, d.name_en, count(distinct r.id)::int as hosts, string_agg(distinct r.name, ', ') as names
    from maintenance_hosts h join resources r on r.id = h.resource_id join departments d on d.id = r.department_id
    where h.window_id = ${row.id} and h.until is null group by d.id order by d.code`.execute(tx);
  const told = new Set<string>();
  const common = { from: row.from_at.toISOString(), to: row.to_at.toISOString(), reason: row.reason, emergencyReason: row.emergency_reason, ...more };
  for (const { id, name_zh, name_en, hosts, names } of departments.rows) {
    // Whoever answers for several of them is told once.
    const to = (await holdersOf(tx, audiences[kind], id, act.now)).filter((one) => !told.has(one));
    for (const one of to) told.add(one);
    const data = { ...common, departmentZh: name_zh, departmentEn: name_en, hosts, names: names.slice(0, 200) };
    await notify(tx, act, { kind, to, departmentId: id, requestId: null, subjectId: row.id, data });
  }
}
