/** The resource register (资源台账): every resource that was ever opened, with the request that opened it. */
import type { HostSpec, VolumeSpec, BackupPolicySpec, AttachmentSpec } from "../../infra/spec.ts";
import type { Db } from "./database.ts";

export interface RegisterRow {
  departmentCode: string;
  departmentZh: string;
  departmentEn: string;
  application: string;
  kind: string;
  name: string;
  specification: string;
  phase: string;
  opened: Date | null;
  expires: Date | null;
  retired: Date | null;
  request: string;
  id: string;
}

const pageSize = 1000;

/** Page after page, so that any number of rows can be streamed. */
export async function* registerRows(db: Db, departmentIds: readonly string[] | undefined): AsyncGenerator<RegisterRow> {
  for (let after = ""; ;) {
    let query = db
      .selectFrom("resources as r")
      .innerJoin("departments as d", "d.id", "r.department_id")
      .innerJoin("applications as a", "a.id", "r.application_id")
      .innerJoin("requests as q", "q.id", "r.request_id")
      .select([
        "r.id",
        "r.kind",
        "r.name",
        "r.wanted",
        "r.phase",
        "r.opened_at",
        "r.expires_at",
        "r.retired_at",
        "d.code",
        "d.name_zh",
        "d.name_en",
        "a.name as application",
        "q.number",
      ])
      .where("r.opened_at", "is not", null)
      .where("r.id", ">", after)
      .orderBy("r.id")
      .limit(pageSize);
    if (departmentIds) query = query.where("r.department_id", "in", [...departmentIds]);
    const rows = await query.execute();
    for (const row of rows) {
      yield {
        departmentCode: row.code,
        departmentZh: row.name_zh,
        departmentEn: row.name_en,
        application: row.application,
        kind: row.kind,
        name: row.name,
        specification: specificationOf(row.kind, row.wanted),
        phase: row.phase,
        opened: row.opened_at,
        expires: row.expires_at,
        retired: row.retired_at,
        request: row.number,
        id: row.id,
      };
    }
    const last = rows.at(-1);
    if (!last || rows.length < pageSize) return;
    after = last.id;
  }
}

function specificationOf(kind: string, wanted: unknown): string {
  if (kind === "host") {
    const { flavour, image } = wanted as HostSpec;
    return `${flavour.vcpu} vCPU, ${flavour.memoryMib} MiB, ${flavour.diskGib} GiB, ${image}`;
  }
  if (kind === "volume") return `${(wanted as VolumeSpec).sizeGib} GiB ${(wanted as VolumeSpec).tier}`;
  if (kind === "backup-policy")
    return `${(wanted as BackupPolicySpec).schedule} ${(wanted as BackupPolicySpec).timezone}, keep ${(wanted as BackupPolicySpec).keep}`;
  return (wanted as AttachmentSpec).path;
}
