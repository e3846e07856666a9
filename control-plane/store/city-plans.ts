/** The projects and applications of a city. */
import type { z } from "zod";
import type { City } from "../contract/city.ts";
import { type ApplicationRow, changeApplication } from "./applications.ts";
import { appendAudits } from "./audit.ts";
import type { Directory } from "./city-departments.ts";
import { type CityImporter, repeated, slices } from "./city-import.ts";
import { newId } from "./ids.ts";
import { planPolicy } from "./plan-policy.ts";
import { insertRows } from "./rows.ts";
import { digestOf } from "../domain/digest.ts";
import { isFunded, supervisorMissing } from "../domain/project-stages.ts";
import { type FundRow, fundsOf } from "./funds.ts";
import { changeFunds, changeProject, fundsOr, type ProjectRow } from "./projects.ts";

type CityData = z.infer<typeof City>;
/** Finds a project by its department's id and its own id or code. */
export type ProjectDirectory = (departmentId: string, idOrCode: string) => ProjectRow | undefined;

export async function importProjects(importer: CityImporter, projects: CityData["projects"], departments: Directory): Promise<ProjectDirectory> {
  const { tx, act } = importer;
  repeated(
    importer,
    projects,
    (one) => `${departments(one.department)?.id} ${one.code}`,
    (index) => `/projects/${index}/code`,
  );
  const known = new Map<string, ProjectRow>();
  const keep = (row: ProjectRow) => known.set(`${row.department_id} ${row.code}`, row).set(`${row.department_id} ${row.id}`, row);
  for (const row of await tx.selectFrom("projects").selectAll().execute()) keep(row);
  const funds = Map.groupBy(
    await fundsOf(
      tx,
      [...known.values()].map((row) => row.id),
    ),
    (fund) => fund.project_id,
  );
  const { supervisorThresholdFen } = await planPolicy(tx);
  const fresh: ProjectRow[] = [];
  const freshFunds: FundRow[] = [];
  for (const [index, one] of projects.entries()) {
    const department = departments(one.department);
    if (!department) {
      importer.error(`/projects/${index}/department`, `there is no department "${one.department}"`);
      continue;
    }
    const there = known.get(`${department.id} ${one.code}`);
    const asked = { name: one.name, budget_fen: one.budgetFen, supervisor: one.supervisor };
    if (!there) {
      // What a city brings along was decided elsewhere: it comes at its stage.
      const given = isFunded(one.stage) ? fundsOr(one.stage, one.fiscalYear, one.budgetFen, one.funds) : [];
      const budget = isFunded(one.stage) ? given.reduce((sum, fund) => sum + fund.amountFen, 0) : one.budgetFen;
      if (!Number.isSafeInteger(budget)) importer.error(`/projects/${index}/funds`, "add up to more than can be counted");
      for (const detail of isFunded(one.stage) ? supervisorMissing(one.supervisor, budget, supervisorThresholdFen) : [])
        importer.error(`/projects/${index}/supervisor`, detail);
      const row: ProjectRow = {
        id: newId("prj", act.now),
        department_id: department.id,
        code: one.code,
        fiscal_year: one.fiscalYear,
        stage: one.stage,
        ...asked,
        budget_fen: budget,
        filed_by: act.actor,
        revision: 1,
        created_at: act.now,
        updated_at: act.now,
      };
      keep(row);
      fresh.push(row);
      for (const { kind, fiscalYear, amountFen } of given)
        freshFunds.push({
          id: newId("fnd", act.now),
          project_id: row.id,
          kind,
          fiscal_year: fiscalYear,
          amount_fen: amountFen,
          reserved_fen: 0,
          committed_fen: 0,
          spent_fen: 0,
        });
      continue;
    }
    if (there.fiscal_year !== one.fiscalYear) importer.error(`/projects/${index}/fiscalYear`, `is ${there.fiscal_year} and cannot be changed`);
    else if (there.stage !== one.stage)
      importer.error(`/projects/${index}/stage`, `is ${there.stage} here: a project changes its stage by what is decided about it, not by an import`);
    else {
      const meant = isFunded(one.stage) ? fundsOr(one.stage, one.fiscalYear, one.budgetFen, one.funds) : [];
      const had = funds.get(there.id) ?? [];
      const differing = meant.filter(
        (fund) => had.find((other) => other.kind === fund.kind && other.fiscal_year === fund.fiscalYear)?.amount_fen !== fund.amountFen,
      );
      // Once there are funds they are the budget.
      const own = isFunded(one.stage) ? { name: asked.name, supervisor: asked.supervisor } : asked;
      const same = (Object.keys(own) as (keyof typeof own)[]).every((key) => digestOf(there[key]) === digestOf(own[key]));
      await importer.at(`/projects/${index}`, async () => {
        if (!same) keep(await changeProject(tx, act, there.id, own, () => {}));
        if (differing.length > 0) keep(await changeFunds(tx, act, there.id, differing, "city import", () => {}));
      });
      importer.count(same && differing.length === 0 ? "unchanged" : "changed", "projects");
    }
  }
  importer.settle();
  for (const rows of slices(fresh)) await insertRows(tx, "projects", rows);
  for (const rows of slices(freshFunds)) await insertRows(tx, "project_funds", rows);
  await appendAudits(
    tx,
    act,
    fresh.map((row) => ({
      action: "project.create",
      subjectKind: "project",
      subjectId: row.id,
      departmentId: row.department_id,
      after: { code: row.code, name: row.name, stage: row.stage, budgetFen: row.budget_fen },
    })),
  );
  importer.count("created", "projects", fresh.length);
  return (departmentId, reference) => known.get(`${departmentId} ${reference}`);
}

export async function importApplications(
  importer: CityImporter,
  applications: CityData["applications"],
  departments: Directory,
  projects: ProjectDirectory,
): Promise<void> {
  const { tx, act } = importer;
  repeated(
    importer,
    applications,
    (one) => `${departments(one.department)?.id} ${one.code}`,
    (index) => `/applications/${index}/code`,
  );
  const known = new Map((await tx.selectFrom("applications").selectAll().execute()).map((row) => [`${row.department_id} ${row.code}`, row]));
  const fresh: ApplicationRow[] = [];
  for (const [index, one] of applications.entries()) {
    const department = departments(one.department);
    const project = department && projects(department.id, one.project);
    if (!department) importer.error(`/applications/${index}/department`, `there is no department "${one.department}"`);
    else if (!project) importer.error(`/applications/${index}/project`, `the department has no project "${one.project}"`);
    if (!department || !project) continue;
    const there = known.get(`${department.id} ${one.code}`);
    const wanted = { name: one.name, contact: one.contact, filing_number: one.filingNumber, anti_affinity: one.antiAffinity };
    if (!there) {
      fresh.push({
        id: newId("app", act.now),
        department_id: department.id,
        project_id: project.id,
        code: one.code,
        ...wanted,
        protection_level: one.protectionLevel,
        zone: one.zone,
        revision: 1,
        created_at: act.now,
        updated_at: act.now,
      });
    } else if (there.project_id !== project.id) importer.error(`/applications/${index}/project`, "is another one already; an import moves none");
    else if (there.protection_level !== one.protectionLevel)
      importer.error(`/applications/${index}/protectionLevel`, `is ${there.protection_level}: hosts were placed by it, so an import does not change it`);
    else if (there.zone !== one.zone)
      importer.error(`/applications/${index}/zone`, `is ${there.zone}: hosts were placed by it, so an import does not change it`);
    else if (
      there.name === wanted.name &&
      there.contact === wanted.contact &&
      there.filing_number === wanted.filing_number &&
      there.anti_affinity === wanted.anti_affinity
    )
      importer.count("unchanged", "applications");
    else {
      await changeApplication(tx, act, there.id, wanted, () => {});
      importer.count("changed", "applications");
    }
  }
  importer.settle();
  for (const rows of slices(fresh)) await tx.insertInto("applications").values(rows).execute();
  await appendAudits(
    tx,
    act,
    fresh.map((row) => ({
      action: "application.create",
      subjectKind: "application",
      subjectId: row.id,
      departmentId: row.department_id,
      after: { code: row.code, name: row.name },
    })),
  );
  importer.count("created", "applications", fresh.length);
}
