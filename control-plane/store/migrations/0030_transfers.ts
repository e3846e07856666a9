/** Transfers of applications: which department and project a request passes one to, and on which side of it a step of approval is. */
import { type Kysely, sql } from "kysely";

const statements = [
  `alter table requests add column to_department_id text references departments(id)`,
  `alter table requests add column to_project_id text references projects(id)`,
  `create index requests_receiver on requests(to_department_id, id) where to_department_id is not null`,
  // Of one application at most one is under way.
  `create unique index requests_transfer on requests(application_id) where to_department_id is not null
    and state in ('submitted','needs-information','planned','department-approval','authority-approval','waiting','approved','applying')`,
  `alter table approval_steps add column department_id text references departments(id)`,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}
