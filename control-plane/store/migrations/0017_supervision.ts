/** Electronic supervision: rules and their versions, cards, what is said to them, corrections; and the rules that hold from the first start on. */
import { type Kysely, sql } from "kysely";

const statements = [
  `create table supervision_rules (
    id text primary key, department_id text references departments(id), kind text not null check (kind in ('time-limit','skipped-step','split-requests','same-person')),
    name text not null, terms jsonb not null, answer_days int not null check (answer_days > 0), enabled boolean not null, note text not null,
    version int not null, created_at timestamptz not null, changed_at timestamptz not null, changed_by text not null)`,
  `create table supervision_rule_versions (
    rule_id text not null references supervision_rules(id), version int not null, name text not null, terms jsonb not null, answer_days int not null,
    enabled boolean not null, note text not null, changed_at timestamptz not null, changed_by text not null, primary key (rule_id, version))`,
  // Once for each rule, key and colour: however often, and from however many replicas, it is looked for.
  `create table supervision_cards (
    id text primary key, rule_id text not null references supervision_rules(id), rule_version int not null, key text not null, kind text not null, stage text,
    colour text not null check (colour in ('reminder','yellow','red')),
    state text not null check (state in ('open','answered','correcting','accepted','closed','escalated','met')),
    department_id text not null references departments(id), request_id text not null references requests(id), detail text not null, requests jsonb not null,
    limit_at timestamptz, happened_at timestamptz not null, issued_at timestamptz not null, answer_due_at timestamptz not null,
    previous_id text references supervision_cards(id), revision int not null default 1, unique (rule_id, key, colour))`,
  `create index supervision_cards_department on supervision_cards(department_id, id)`,
  `create index supervision_cards_request on supervision_cards(request_id)`,
  `create index supervision_cards_pending on supervision_cards(state, colour) where state in ('open','answered','correcting')`,
  `create table supervision_card_people (
    card_id text not null references supervision_cards(id), subject_id text not null, part text not null check (part in ('concerned','superior')),
    primary key (card_id, subject_id))`,
  `create index supervision_card_people_subject on supervision_card_people(subject_id, card_id)`,
  `create table supervision_entries (
    id text primary key, card_id text not null references supervision_cards(id), kind text not null, at timestamptz not null, by_id text not null, text text not null)`,
  `create index supervision_entries_card on supervision_entries(card_id, id)`,
  `create table corrections (
    id text primary key, card_id text not null references supervision_cards(id), what text not null, assignee text not null,
    state text not null check (state in ('open','done','closed')), due_at timestamptz not null, opened_by text not null, opened_at timestamptz not null,
    since timestamptz not null, done_at timestamptz, closed_at timestamptz, revision int not null default 1, check (assignee <> opened_by))`,
  `create index corrections_card on corrections(card_id)`,
  `create index corrections_assignee on corrections(assignee, id)`,
  `create index corrections_open on corrections(state) where state <> 'closed'`,
];

const limit = (stage: string, unit: string, length: number | null, remindBefore: number | null, redAfter: number) => ({
  kind: "time-limit",
  stage,
  unit,
  limit: length,
  remindBefore,
  redAfter,
});
/** What supervision finds at the first start; it changes or disables them as it likes. */
const rules: [name: string, terms: object][] = [
  ["编制变更方案时限 / Planning in time", limit("planning", "hours", 4, 1, 20)],
  ["等待资源时限 / Waiting for capacity", limit("waiting", "working-days", 10, 2, 10)],
  ["部门审批时限 / Department approval in time", limit("department-approval", "working-days", null, 1, 2)],
  ["主管部门审批时限 / Authority approval in time", limit("authority-approval", "working-days", null, 1, 2)],
  ["补充说明时限 / Answering questions in time", limit("needs-information", "working-days", 5, 1, 5)],
  ["实施时限 / Implementing in time", limit("implementing", "working-days", 1, null, 2)],
  ["纠错时限 / Corrections in time", limit("correction", "working-days", null, 1, 3)],
  ["审批环节缺失 / Skipped steps", { kind: "skipped-step", colour: "red" }],
  ["拆分申请规避审批 / Split requests", { kind: "split-requests", colour: "yellow", by: "project", measure: "cost", windowDays: 30, threshold: null }],
  ["同一人申请并审批 / The same person on both sides", { kind: "same-person", colour: "red" }],
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
  for (const [index, [name, terms]] of rules.entries()) {
    const id = `srl_${String(index + 1).padStart(26, "0")}`;
    const values = sql`${name}, ${JSON.stringify(terms)}::jsonb, 3, true, ''`;
    await sql`insert into supervision_rules (id, kind, name, terms, answer_days, enabled, note, version, created_at, changed_at, changed_by)
      values (${id}, ${(terms as { kind: string }).kind}, ${values}, 1, now(), now(), 'system')`.execute(db);
    await sql`insert into supervision_rule_versions (rule_id, version, name, terms, answer_days, enabled, note, changed_at, changed_by)
      values (${id}, 1, ${values}, now(), 'system')`.execute(db);
  }
}
