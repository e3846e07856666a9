/** What happened to requests, as supervision looks at it: stages from the audit, steps, and who is where. */
import { type Selectable, sql } from "kysely";
import { Stage } from "../contract/approvals.ts";
import type { SupervisionStage } from "../contract/supervision.ts";
import { commonOf, transferStages } from "../domain/transfers.ts";
import { isDeciding, lifecycle } from "../domain/lifecycle.ts";
import { defaultStages } from "../domain/approval-policy.ts";
import type { AskedFact, DecidedFact, Facts, RequestFact, StageFact } from "../domain/supervision.ts";
import type { Kept } from "./requests.ts";
import type { Tx } from "./database.ts";
import { timeOf } from "./ids.ts";
import type { ApprovalPolicies, ApprovalSteps, Requests, RequestState } from "./schema.ts";

/** What of a request is looked at: not its plan, which may be large. */
const columns = [
  "id",
  "number",
  "department_id",
  "state",
  "requested_by",
  "submitted_by",
  "authors",
  "decided_by",
  "decided_at",
  "plan_hash",
  "updated_at",
  "origin",
  "to_department_id",
] as const satisfies (keyof Requests)[];
type RequestRow = Pick<Selectable<Requests>, (typeof columns)[number]>;
type StepRow = Selectable<ApprovalSteps>;

/** Stages that are told by a request's state; approval is told by its steps. */
const stageOfState: Partial<Record<RequestState, SupervisionStage>> = {
  submitted: "planning",
  waiting: "waiting",
  "needs-information": "needs-information",
  approved: "implementing",
  applying: "implementing",
};
const states = Object.keys(lifecycle) as RequestState[];
/** States in which somebody has to do something. */
const under = states.filter((state) => stageOfState[state] !== undefined || isDeciding(state));
/** States in which a request was not approved, or not yet. One that failed may have been. */
const undecided: readonly RequestState[] = [
  "draft",
  "submitted",
  "planned",
  "department-approval",
  "authority-approval",
  "needs-information",
  "rejected",
  "withdrawn",
];

/**
 * @param since what moved since then is looked at, ended or not; what goes on is always
 * @param windowDays how far back submissions may belong together; 0: nobody asks
 */
export async function readFacts(tx: Tx, since: Date, windowDays: number): Promise<Facts> {
  const rows = await tx
    .selectFrom("requests as r")
    .select(columns.map((column) => `r.${column}` as const))
    .where((where) =>
      where.or([
        where("r.state", "in", under),
        where.and([where("r.updated_at", ">=", since), where("r.state", "<>", "draft")]),
        where.exists(
          where
            .selectFrom("supervision_cards as c")
            .select("c.id")
            .whereRef("c.request_id", "=", "r.id")
            .where("c.colour", "=", "reminder")
            .where("c.state", "in", ["open", "answered"]),
        ),
      ]),
    )
    .orderBy("r.id")
    .execute();
  const departmentsOf = await chains(tx);
  const ids = rows.map((row) => row.id);
  const steps = Map.groupBy(
    ids.length === 0
      ? []
      : await tx
          .selectFrom("approval_steps")
          .selectAll()
          .where("request_id", "=", sql<string>`any(${ids}::text[])`)
          .orderBy("round")
          .orderBy("position")
          .execute(),
    (step) => step.request_id,
  );
  const moves = Map.groupBy(await movesOf(tx, ids), (move) => move.id);
  const policies = await tx.selectFrom("approval_policies").selectAll().orderBy("version", "desc").execute();
  const factOf = (row: Pick<RequestRow, "id" | "number" | "department_id">): RequestFact => ({
    id: row.id,
    number: row.number,
    departments: departmentsOf.get(row.department_id) ?? [row.department_id],
  });
  return {
    stages: [
      ...rows.flatMap((row) => [...fromMoves(row, factOf(row), moves.get(row.id) ?? []), ...fromSteps(factOf(row), steps.get(row.id) ?? [], departmentsOf)]),
      ...(await fromCorrections(tx, since, departmentsOf)),
    ],
    decided: rows
      // What the policy of terms grants asks nobody by intent.
      .filter(
        (row) =>
          row.origin !== "term-stop" && !undecided.includes(row.state) && (row.decided_at !== null || (row.state !== "failed" && row.state !== "waiting")),
      )
      .map((row) => decidedOf(row, factOf(row), steps.get(row.id) ?? [], policies, departmentsOf)),
    asked: windowDays === 0 ? [] : await askedSince(tx, new Date(since.getTime() - windowDays * 86_400_000), factOf),
  };
}

/** Each department with those above it, nearest first. */
async function chains(tx: Tx): Promise<Map<string, string[]>> {
  const rows = await tx.selectFrom("department_ancestors").select(["department_id", "ancestor_id"]).orderBy("department_id").orderBy("distance").execute();
  const found = new Map<string, string[]>();
  for (const row of rows) {
    const chain = found.get(row.department_id);
    if (chain) chain.push(row.ancestor_id);
    else found.set(row.department_id, [row.ancestor_id]);
  }
  return found;
}

interface Move {
  id: string;
  at: Date;
  state: RequestState;
}
/** Every change of state that the audit has, in its order. */
async function movesOf(tx: Tx, ids: readonly string[]): Promise<Move[]> {
  if (ids.length === 0) return [];
  const { rows } = await sql<Move>`select subject_id as id, at, after->>'state' as state from audit_entries
    where subject_id = any(${ids}::text[]) and subject_kind = 'request' and action like 'request.%' and result = 'done' and after->>'state' is not null
    order by audit_entries.id`.execute(tx);
  return rows;
}

function fromMoves(row: RequestRow, request: RequestFact, moves: readonly Move[]): StageFact[] {
  const facts: StageFact[] = [];
  let open: { stage: SupervisionStage; from: Date } | undefined;
  const applicant = [row.submitted_by ?? row.requested_by];
  const close = (to: Date | null) => {
    if (!open) return;
    facts.push({
      key: `${row.id}/${open.stage}/${open.from.toISOString()}`,
      ...open,
      request,
      to,
      due: null,
      extraDays: 0,
      // What the terms ask for has no author who could answer: operations sees to it.
      concern: open.stage === "needs-information" && row.submitted_by !== "system" ? { people: applicant } : { role: "operations", named: null },
    });
    open = undefined;
  };
  for (const { at, state } of moves) {
    const stage = stageOfState[state];
    if (stage === open?.stage) continue;
    close(at);
    if (stage) open = { stage, from: at };
  }
  close(open && stageOfState[row.state] !== open.stage ? row.updated_at : null);
  return facts;
}

/** Steps that somebody was asked for. What nobody needed to decide any more is not looked at. */
const fromSteps = (request: RequestFact, steps: readonly StepRow[], departmentsOf: ReadonlyMap<string, string[]>): StageFact[] =>
  steps.flatMap((step): StageFact[] =>
    step.opened_at === null || step.state === "skipped" || step.state === "waiting"
      ? []
      : [
          {
            key: step.id,
            stage: step.kind,
            // Of a transfer: whose people it asks.
            request: step.department_id === null ? request : { ...request, departments: departmentsOf.get(step.department_id) ?? request.departments },
            from: step.opened_at,
            // While the applicant answers, the step waits.
            to: step.decided_at ?? step.invalidated_at,
            due: step.due_at,
            extraDays: step.extra_days,
            concern: { role: step.role, named: step.approver },
          },
        ],
  );

async function fromCorrections(tx: Tx, since: Date, departmentsOf: ReadonlyMap<string, string[]>): Promise<StageFact[]> {
  const rows = await tx
    .selectFrom("corrections as k")
    .innerJoin("supervision_cards as c", "c.id", "k.card_id")
    .innerJoin("requests as r", "r.id", "c.request_id")
    .selectAll("k")
    .select(["r.id as request", "r.number", "r.department_id"])
    .where((where) => where.or([where("k.state", "=", "open"), where("k.done_at", ">=", since)]))
    .orderBy("k.id")
    .execute();
  return rows.map((row) => ({
    key: `${row.id}/${row.since.toISOString()}`,
    stage: "correction" as const,
    request: { id: row.request, number: row.number, departments: departmentsOf.get(row.department_id) ?? [row.department_id] },
    from: row.since,
    to: row.done_at,
    due: row.due_at,
    extraDays: 0,
    concern: { people: [row.assignee] },
  }));
}

function decidedOf(
  row: RequestRow,
  request: RequestFact,
  steps: readonly StepRow[],
  policies: readonly Selectable<ApprovalPolicies>[],
  departmentsOf: ReadonlyMap<string, string[]>,
): DecidedFact {
  const current = steps.filter((step) => step.invalidated_at === null);
  const decidedAt = row.decided_at ?? row.updated_at;
  // When the steps were laid out; without any, when it was decided.
  const laidOut = timeOf(current[0]?.id ?? "") ?? decidedAt.getTime();
  const ofTransfer = (receiver: string) => {
    const [giving, receiving] = [request.departments, departmentsOf.get(receiver) ?? [receiver]];
    const common = commonOf(giving, receiving);
    const side = (department: string) => {
      const line = departmentsOf.get(department) ?? [department];
      return { department, departmentName: "", stages: policyAt(line, policies, laidOut) };
    };
    return transferStages(side(giving[0]!), side(receiver), side(common ?? giving.at(-1)!));
  };
  return {
    request,
    decidedAt,
    planHash: row.plan_hash,
    authors: [...new Set([...row.authors, row.requested_by, ...(row.submitted_by === null ? [] : [row.submitted_by])])],
    decidedBy: row.decided_by,
    policy: row.to_department_id === null ? policyAt(request.departments, policies, laidOut) : ofTransfer(row.to_department_id),
    approvals: current
      .filter((step) => step.state === "approved")
      .map((step) => ({ stage: step.stage, kind: step.kind, stageName: step.name, by: step.decided_by!, for: step.decided_for, planHash: step.plan_hash })),
  };
}

/** The stages that were in force at a moment. @param policies newest version first */
function policyAt(departments: readonly string[], policies: readonly Selectable<ApprovalPolicies>[], at: number): readonly Stage[] {
  for (const department of departments) {
    const row = policies.find((one) => one.department_id === department && one.created_at.getTime() <= at);
    if (row && row.stages !== null) return Stage.array().parse(row.stages);
  }
  return defaultStages;
}

/** Requests that were submitted since a moment and are still asked for, or were granted. */
async function askedSince(tx: Tx, since: Date, factOf: (row: Pick<RequestRow, "id" | "number" | "department_id">) => RequestFact): Promise<AskedFact[]> {
  const { rows } = await sql<
    Pick<Selectable<Requests>, "id" | "number" | "department_id" | "project_id" | "requested_by" | "submitted_by"> & {
      at: Date;
      cost: number;
      charges: Kept["charge"][] | null;
    }
  >`
    select r.id, r.number, r.department_id, r.project_id, r.requested_by, r.submitted_by, s.at, coalesce((r.cost->>'amountFen')::bigint, 0) as cost,
      (select jsonb_agg(i.spec->'charge') from request_items i where i.request_id = r.id and jsonb_typeof(i.spec->'charge') = 'array') as charges
    from requests r cross join lateral (
      select min(a.at) as at from audit_entries a
      where a.subject_id = r.id and a.subject_kind = 'request' and a.action like 'request.%' and a.result = 'done' and a.after->>'state' in ('submitted', 'waiting')) s
    where r.updated_at >= ${since} and r.state not in ('draft', 'withdrawn', 'rejected', 'failed') and s.at >= ${since}
    order by s.at, r.id`.execute(tx);
  return rows.map((row) => {
    const quantities: Record<string, number> = {};
    for (const { dimension, quantity } of (row.charges ?? []).flat()) if (quantity > 0) quantities[dimension] = (quantities[dimension] ?? 0) + quantity;
    return { request: factOf(row), at: row.at, project: row.project_id, applicant: row.submitted_by ?? row.requested_by, costFen: row.cost, quantities };
  });
}
