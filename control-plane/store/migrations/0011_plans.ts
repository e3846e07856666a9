/** Annual plans: stages with their evidence, funds by purpose and year, what is charged to them, and the versions of the price book. */
import { type Kysely, sql } from "kysely";

const statements = [
  `alter table projects add column supervisor jsonb, add column filed_by text not null default 'system'`,
  `create table project_steps (
    id text primary key, project_id text not null references projects(id), event text not null, from_stage text not null, to_stage text not null,
    reason text not null, evidence jsonb not null, opinions jsonb not null, funds jsonb not null, actor text not null, role text not null, at timestamptz not null)`,
  `create index project_steps_project on project_steps(project_id, id)`,
  `create table project_funds (
    id text primary key, project_id text not null references projects(id), kind text not null check (kind in ('construction','operating')),
    fiscal_year int not null, amount_fen bigint not null check (amount_fen >= 0),
    reserved_fen bigint not null default 0 check (reserved_fen >= 0), committed_fen bigint not null default 0 check (committed_fen >= 0),
    spent_fen bigint not null default 0 check (spent_fen >= 0), unique (project_id, kind, fiscal_year))`,
  // What was approved before funds were told apart.
  `insert into project_funds (id, project_id, kind, fiscal_year, amount_fen)
    select 'fnd' || substr(id, 4), id, case when stage = 'approved' then 'construction' else 'operating' end, fiscal_year, budget_fen
    from projects where stage not in ('filed','reviewed')`,
  `create table price_books (
    id text primary key, version int not null unique, valid_from timestamptz not null, note text not null, prices jsonb not null,
    published_by text not null, created_at timestamptz not null)`,
  `create index price_books_valid on price_books(valid_from, version)`,
  `create function price_books_stay() returns trigger language plpgsql as $$ begin raise exception 'a published price book never changes'; end $$`,
  `create trigger price_books_stay before update or delete on price_books for each row execute function price_books_stay()`,
  `create table fund_charges (
    id text primary key, project_id text not null references projects(id), fund_id text not null references project_funds(id), resource_id text not null,
    request_id text, item_id text, price_book_id text not null references price_books(id), lines jsonb not null,
    from_at timestamptz not null, to_at timestamptz not null, amount_fen bigint not null check (amount_fen >= 0),
    state text not null check (state in ('reserved','committed','spent','released')), created_at timestamptz not null, settled_at timestamptz)`,
  `create unique index fund_charges_held on fund_charges(resource_id) where state = 'committed'`,
  `create index fund_charges_open on fund_charges(project_id, to_at) where state = 'committed'`,
  `create index fund_charges_resource on fund_charges(resource_id) where state in ('reserved','committed')`,
  `create index fund_charges_item on fund_charges(item_id) where state = 'reserved'`,
  `alter table requests add column cost jsonb`,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}
