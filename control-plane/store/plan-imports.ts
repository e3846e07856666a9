/** A whole annual plan filed at once, all or none: every project that doesn't fit is told, with its place. */
import type { z } from "zod";
import type { ProjectImport, ProjectImported } from "../contract/projects.ts";
import { digestOf } from "../domain/digest.ts";
import { Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import type { Tx } from "./database.ts";
import { changeProject, createProject } from "./projects.ts";

/**
 * @param departmentOf finds a department that the importer may file for, by id or code
 * @throws Refusal invalid-body, or not-found for a department, with a JSON Pointer for each error; the transaction is to be rolled back then
 */
export async function importPlan(
  tx: Tx,
  act: Act,
  { projects, dryRun }: ProjectImport,
  departmentOf: (idOrCode: string) => Promise<{ id: string } | undefined>,
): Promise<z.infer<typeof ProjectImported>> {
  const errors: { pointer: string; detail: string }[] = [];
  const counts = { created: 0, changed: 0, unchanged: 0 };
  const departments = new Map<string, { id: string } | undefined>();
  for (const code of new Set(projects.map((one) => one.department))) departments.set(code, await departmentOf(code));
  const seen = new Set<string>();
  for (const [index, one] of projects.entries()) {
    const fail = (field: string, detail: string) => void errors.push({ pointer: `/projects/${index}/${field}`, detail });
    const department = departments.get(one.department);
    if (!department) {
      fail("department", `there is no department "${one.department}" that you may file for`);
      continue;
    }
    const key = `${department.id} ${one.code}`;
    if (seen.has(key)) fail("code", "stands in the file twice");
    seen.add(key);
    const there = await tx.selectFrom("projects").selectAll().where("department_id", "=", department.id).where("code", "=", one.code).executeTakeFirst();
    const own = { name: one.name, budget_fen: one.budgetFen, supervisor: one.supervisor };
    if (!there) {
      counts.created++;
      if (!dryRun && errors.length === 0) await createProject(tx, act, { department_id: department.id, code: one.code, fiscal_year: one.fiscalYear, ...own });
      continue;
    }
    if (there.fiscal_year !== one.fiscalYear) fail("fiscalYear", `is ${there.fiscal_year} and cannot be changed`);
    const was = { name: there.name, budget_fen: there.budget_fen, supervisor: there.supervisor };
    if (digestOf(was) === digestOf(own)) counts.unchanged++;
    else if (there.stage !== "filed") fail("code", `is ${there.stage} already: only a filed project is changed by an import`);
    else {
      counts.changed++;
      if (!dryRun && errors.length === 0) await changeProject(tx, act, there.id, own, () => {});
    }
  }
  if (errors.length > 0)
    // What may not be seen is not there: 404, as everywhere.
    throw new Refusal(
      [...departments.values()].includes(undefined) ? "not-found" : "invalid-body",
      `${errors.length} ${errors.length === 1 ? "place does" : "places do"} not fit; nothing was imported.`,
      {
        errors: errors.slice(0, 500),
      },
    );
  return { dryRun, ...counts };
}
