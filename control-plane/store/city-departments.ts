/** The departments of a city: parents before or after their children, all new ones in a few statements. */
import type { z } from "zod";
import type { City } from "../contract/city.ts";
import { appendAudits } from "./audit.ts";
import { type CityImporter, repeated, slices } from "./city-import.ts";
import { changeDepartment, type DepartmentRow } from "./departments.ts";
import { newId } from "./ids.ts";
import { ensureAccounts } from "./quotas.ts";

type CityDepartment = z.infer<typeof City>["departments"][number];

/** Finds departments by id or code. */
export type Directory = (idOrCode: string) => DepartmentRow | undefined;

export async function importDepartments(importer: CityImporter, departments: CityDepartment[]): Promise<Directory> {
  const { tx, act } = importer;
  repeated(
    importer,
    departments,
    (one) => one.code,
    (index) => `/departments/${index}/code`,
  );
  const known = new Map<string, DepartmentRow>();
  for (const row of await tx.selectFrom("departments").selectAll().execute()) known.set(row.code, row).set(row.id, row);
  const directory: Directory = (reference) => known.get(reference);
  const coded = new Map(departments.map((one) => [one.code, one]));
  departments.forEach((one, index) => {
    if (one.parent !== null && !coded.has(one.parent) && !known.has(one.parent))
      importer.error(`/departments/${index}/parent`, `there is no department "${one.parent}", neither here nor in this file`);
  });
  importer.settle();

  const fresh: DepartmentRow[] = [];
  for (const { one, index } of parentsFirst(importer, departments, known)) {
    const parentId = one.parent === null ? null : known.get(one.parent)!.id;
    const there = known.get(one.code);
    if (there) await changeIfDifferent(importer, there, one, parentId, index);
    else {
      const row: DepartmentRow = {
        id: newId("dep", act.now),
        parent_id: parentId,
        code: one.code,
        name_zh: one.nameZh,
        name_en: one.nameEn,
        level: one.level,
        line: one.line,
        revision: 1,
        created_at: act.now,
        updated_at: act.now,
      };
      known.set(row.code, row).set(row.id, row);
      fresh.push(row);
    }
  }
  importer.settle();
  await insert(importer, fresh, known);
  return directory;
}

function parentsFirst(importer: CityImporter, departments: CityDepartment[], known: Map<string, DepartmentRow>) {
  const ordered: { one: CityDepartment; index: number }[] = [];
  const placed = new Set<string>();
  let waiting = departments.map((one, index) => ({ one, index }));
  while (waiting.length > 0) {
    const later: typeof waiting = [];
    for (const item of waiting) {
      const { parent, code } = item.one;
      if (parent !== null && !placed.has(parent) && !known.has(parent)) later.push(item);
      else {
        ordered.push(item);
        placed.add(code);
      }
    }
    if (later.length === waiting.length) {
      for (const { index } of later) importer.error(`/departments/${index}/parent`, "is below itself");
      importer.settle();
    }
    waiting = later;
  }
  return ordered;
}

async function changeIfDifferent(importer: CityImporter, there: DepartmentRow, one: CityDepartment, parentId: string | null, index: number): Promise<void> {
  if (there.parent_id !== parentId) importer.error(`/departments/${index}/parent`, "is below another department already; an import moves none");
  else if (there.name_zh === one.nameZh && there.name_en === one.nameEn && there.level === one.level && there.line === one.line)
    importer.count("unchanged", "departments");
  else {
    await changeDepartment(importer.tx, importer.act, there.id, { name_zh: one.nameZh, name_en: one.nameEn, level: one.level, line: one.line }, () => {});
    importer.count("changed", "departments");
  }
}

async function insert(importer: CityImporter, fresh: DepartmentRow[], known: Map<string, DepartmentRow>): Promise<void> {
  const { tx, act } = importer;
  for (const rows of slices(fresh)) await tx.insertInto("departments").values(rows).execute();
  const closure = fresh.flatMap((row) => {
    const above: { department_id: string; ancestor_id: string; distance: number }[] = [];
    for (let at: DepartmentRow | undefined = row, distance = 0; at; at = at.parent_id === null ? undefined : known.get(at.parent_id), distance++) {
      above.push({ department_id: row.id, ancestor_id: at.id, distance });
    }
    return above;
  });
  for (const rows of slices(closure)) await tx.insertInto("department_ancestors").values(rows).execute();
  await ensureAccounts(
    tx,
    fresh.map((row) => row.id),
  );
  await appendAudits(
    tx,
    act,
    fresh.map((row) => ({
      action: "department.create",
      subjectKind: "department",
      subjectId: row.id,
      departmentId: row.id,
      after: { code: row.code, nameZh: row.name_zh },
    })),
  );
  importer.count("created", "departments", fresh.length);
}
