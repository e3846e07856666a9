/** Electronic supervision (电子监察): what rules find in what happened. Facts + rules + now → findings. Pure. */
import type { Stage } from "../contract/approvals.ts";
import type { CardColour, RuleTerms, SupervisionStage } from "../contract/supervision.ts";
import { stagesWithDeadline } from "../contract/supervision.ts";
import { addWorkingDays, dayOf, startOfDay, type WorkingCalendar, workingDaysBefore } from "./working-days.ts";

type Terms<Kind extends RuleTerms["kind"]> = Extract<RuleTerms, { kind: Kind }>;
export type TimeLimit = Terms<"time-limit">;
export interface Rule<T extends RuleTerms = RuleTerms> {
  id: string;
  version: number;
  /** The node whose subtree it holds for; null: all. */
  department: string | null;
  /** Nothing that was over before is looked at. */
  since: Date;
  terms: T;
}

/** Whom a finding concerns, to be resolved to people by domain/supervision-reach.ts. */
export type Concern = { people: readonly string[] } | { role: "approver" | "authority" | "operations"; named: string | null };

export interface RequestFact {
  id: string;
  number: string;
  /** Its department and those above it, nearest first. */
  departments: readonly string[];
}

/** A time in which somebody had to do something. */
export interface StageFact {
  /** Unique and the same at every look: an approval step's id, or the request's with the stage and its beginning. */
  key: string;
  stage: SupervisionStage;
  request: RequestFact;
  from: Date;
  /** null: not yet. */
  to: Date | null;
  /** The deadline that it has itself. */
  due: Date | null;
  /** Working days that somebody else took of it: they are added to a limit. */
  extraDays: number;
  concern: Concern;
}

/** What is asked of a request that was approved. */
export interface DecidedFact {
  request: RequestFact;
  decidedAt: Date;
  planHash: string | null;
  /** Everybody who wrote, submitted or changed it. */
  authors: readonly string[];
  decidedBy: string | null;
  /** What its approval policy asked for when it was laid out. */
  policy: readonly Pick<Stage, "name" | "kind" | "approvers" | "needed">[];
  /** Decisions that count. */
  approvals: readonly {
    /** Of the policy's stages, from 0. */ stage: number;
    kind: Stage["kind"];
    stageName: string;
    by: string;
    for: string | null;
    planHash: string | null;
  }[];
}

/** A request as one of those that may belong together. */
export interface AskedFact {
  request: RequestFact;
  at: Date;
  project: string;
  applicant: string;
  costFen: number;
  quantities: Readonly<Record<string, number>>;
}

export interface Facts {
  stages: readonly StageFact[];
  decided: readonly DecidedFact[];
  asked: readonly AskedFact[];
}

export interface Finding {
  rule: Rule;
  /** With rule and colour: what is issued once. */
  key: string;
  colour: CardColour;
  request: RequestFact;
  stage: SupervisionStage | null;
  happenedAt: Date;
  limitAt: Date | null;
  /** Of split requests: all that count. */
  requests: readonly string[];
  concern: Concern;
  detail: string;
  /** Of a stage: when it ended. */
  endedAt: Date | null;
}

/** Where the terms of a rule are wrong, by JSON Pointer below `/terms`; empty: nowhere. */
export function termsErrors(terms: RuleTerms): { pointer: string; detail: string }[] {
  const at = (field: string, detail: string) => ({ pointer: `/terms/${field}`, detail });
  if (terms.kind === "split-requests")
    return terms.threshold === null && terms.measure !== "cost" ? [at("threshold", "a quantity needs a threshold of its own")] : [];
  if (terms.kind !== "time-limit") return [];
  const errors = [];
  if (terms.limit === null && !stagesWithDeadline.includes(terms.stage)) errors.push(at("limit", `the stage ${terms.stage} has no deadline of its own`));
  if (terms.limit !== null && terms.stage === "correction") errors.push(at("limit", "a correction is due when its order says"));
  if (terms.limit !== null && terms.remindBefore !== null && terms.unit === "hours" && terms.remindBefore >= terms.limit)
    errors.push(at("remindBefore", "is not less than the limit"));
  if (terms.limit !== null && terms.remindBefore !== null && terms.unit === "working-days" && terms.remindBefore > terms.limit)
    errors.push(at("remindBefore", "is more than the limit"));
  return errors;
}

const hours = (count: number) => count * 3_600_000;
/** When a stage's reminder, yellow and red card are due. */
export function timesOf(terms: TimeLimit, fact: Pick<StageFact, "from" | "due" | "extraDays">, calendar: WorkingCalendar): Record<CardColour, Date | null> {
  const { unit, limit, remindBefore, redAfter } = terms;
  const yellow =
    limit === null ? fact.due : unit === "hours" ? new Date(fact.from.getTime() + hours(limit)) : addWorkingDays(calendar, fact.from, limit + fact.extraDays);
  if (yellow === null) return { reminder: null, yellow: null, red: null };
  const before =
    remindBefore === null
      ? null
      : unit === "hours"
        ? new Date(yellow.getTime() - hours(remindBefore))
        : startOfDay(workingDaysBefore(calendar, dayOf(yellow), remindBefore - 1));
  return {
    // Of a period that is shorter than its reminder: at once.
    reminder: before === null ? null : new Date(Math.max(before.getTime(), fact.from.getTime())),
    yellow,
    red: unit === "hours" ? new Date(yellow.getTime() + hours(redAfter)) : addWorkingDays(calendar, yellow, redAfter),
  };
}

const covers = (rule: Rule, request: RequestFact) => rule.department === null || request.departments.includes(rule.department);
const is = <Kind extends RuleTerms["kind"]>(rule: Rule, kind: Kind): rule is Rule<Terms<Kind>> => rule.terms.kind === kind;

/**
 * What is to be carded by now. The same facts give the same findings, whenever and however often they are looked at: a card is issued once by its rule, key and colour.
 * Each rule that covers a department holds there: one further down may be stricter, never laxer.
 */
export function findings(
  rules: readonly Rule[],
  facts: Facts,
  counted: ReadonlyMap<string, ReadonlySet<string>>,
  calendar: WorkingCalendar,
  now: Date,
): Finding[] {
  return rules.flatMap((rule): Finding[] => {
    if (is(rule, "time-limit")) return facts.stages.flatMap((fact) => late(rule, fact, calendar, now));
    if (is(rule, "skipped-step")) return facts.decided.flatMap((fact) => skipped(rule, fact));
    if (is(rule, "same-person")) return facts.decided.flatMap((fact) => bothSides(rule, fact));
    if (is(rule, "split-requests")) return split(rule, facts.asked, counted.get(rule.id) ?? new Set());
    return [];
  });
}

function late(rule: Rule<TimeLimit>, fact: StageFact, calendar: WorkingCalendar, now: Date): Finding[] {
  if (fact.stage !== rule.terms.stage || !covers(rule, fact.request) || (fact.to !== null && fact.to < rule.since)) return [];
  const times = timesOf(rule.terms, fact, calendar);
  const until = fact.to !== null && fact.to < now ? fact.to : now;
  // The last millisecond of a deadline keeps it.
  const passed = (at: Date | null): at is Date => at !== null && at < until;
  const base = { rule, key: fact.key, request: fact.request, stage: fact.stage, limitAt: times.yellow, requests: [], concern: fact.concern, endedAt: fact.to };
  const issue = (colour: CardColour, at: Date): Finding => ({ ...base, colour, happenedAt: at, detail: "" });
  // A reminder that was missed reminds of nothing once the limit has passed, or the stage has ended.
  const remind = passed(times.reminder) && fact.to === null && !(times.yellow! < now);
  return [
    ...(remind ? [issue("reminder", times.reminder!)] : []),
    ...(passed(times.yellow) ? [issue("yellow", times.yellow)] : []),
    ...(passed(times.red) ? [issue("red", times.red)] : []),
  ];
}

const instant = (rule: Rule<Terms<"skipped-step"> | Terms<"same-person"> | Terms<"split-requests">>, request: RequestFact) => ({
  rule,
  colour: rule.terms.colour,
  request,
  stage: null,
  limitAt: null,
  endedAt: null,
});

/** Whether decisions are missing that the policy asked for, or were about another plan. */
function skipped(rule: Rule<Terms<"skipped-step">>, fact: DecidedFact): Finding[] {
  if (!covers(rule, fact.request) || fact.decidedAt < rule.since) return [];
  const missing = fact.policy.flatMap((stage, index) => {
    const asked = stage.needed ?? Math.max(stage.approvers.length, 1);
    const got = fact.approvals.filter((one) => one.stage === index && one.kind === stage.kind).length;
    return got < asked ? [`${stage.name}: ${got}/${asked}`] : [];
  });
  const other = fact.approvals
    .filter((one) => one.planHash !== fact.planHash)
    .map((one) => `${one.stageName}: ${one.planHash?.slice(0, 12) ?? "–"} ≠ ${fact.planHash?.slice(0, 12) ?? "–"}`);
  if (missing.length === 0 && other.length === 0) return [];
  const people = fact.decidedBy === null ? [...new Set(fact.approvals.map((one) => one.by))] : [fact.decidedBy];
  return [
    {
      ...instant(rule, fact.request),
      key: fact.request.id,
      happenedAt: fact.decidedAt,
      requests: [],
      concern: { people: people.length > 0 ? people : fact.authors },
      detail: [...missing, ...other].join("; "),
    },
  ];
}

/** Whether somebody was on both sides, or decided twice, in their own name or through a delegation. */
function bothSides(rule: Rule<Terms<"same-person">>, fact: DecidedFact): Finding[] {
  if (!covers(rule, fact.request) || fact.decidedAt < rule.since) return [];
  const seen = new Map<string, string[]>();
  const note = (who: string, what: string) => void seen.set(who, [...(seen.get(who) ?? []), what]);
  const decided = new Map<string, number>();
  for (const { by, for: absent, stageName } of fact.approvals) {
    for (const who of new Set(absent === null ? [by] : [by, absent])) {
      if (fact.authors.includes(who)) note(who, `author = ${stageName}${who === absent ? ` (by ${by})` : ""}`);
      decided.set(who, (decided.get(who) ?? 0) + 1);
    }
  }
  for (const [who, times] of decided) if (times > 1) note(who, `${times} steps`);
  if (seen.size === 0) return [];
  const acting = fact.approvals.filter((one) => seen.has(one.by) || (one.for !== null && seen.has(one.for))).map((one) => one.by);
  return [
    {
      ...instant(rule, fact.request),
      key: fact.request.id,
      happenedAt: fact.decidedAt,
      requests: [],
      concern: { people: [...new Set([...acting, ...seen.keys()])] },
      detail: [...seen].map(([who, what]) => `${who}: ${what.join(", ")}`).join("; "),
    },
  ];
}

/**
 * Requests of one group that are each below the threshold and together are not, within the window.
 * The one that tips the scale is what is carded. What a card has counted counts no more, so that no request is in two cards of a rule.
 */
function split(rule: Rule<Terms<"split-requests">>, asked: readonly AskedFact[], counted: ReadonlySet<string>): Finding[] {
  const { by, measure, windowDays, threshold } = rule.terms;
  if (threshold === null) return [];
  const sizeOf = (fact: AskedFact) => (measure === "cost" ? fact.costFen : (fact.quantities[measure] ?? 0));
  const shown = (size: number) => (measure === "cost" ? `¥${(size / 100).toFixed(2)}` : `${size} ${measure}`);
  const groupOf = (fact: AskedFact) => (by === "department" ? fact.request.departments[0]! : by === "project" ? fact.project : fact.applicant);
  const fits = asked.filter((fact) => covers(rule, fact.request) && !counted.has(fact.request.id) && sizeOf(fact) > 0 && sizeOf(fact) < threshold);
  return [...Map.groupBy(fits, groupOf).values()].flatMap((group) => {
    const found: Finding[] = [];
    let open: AskedFact[] = [];
    for (const fact of group.toSorted((a, b) => a.at.getTime() - b.at.getTime() || (a.request.id < b.request.id ? -1 : 1))) {
      const earliest = fact.at.getTime() - windowDays * 86_400_000;
      open = [...open.filter((one) => one.at.getTime() > earliest), fact];
      const sum = open.reduce((total, one) => total + sizeOf(one), 0);
      if (open.length < 2 || sum < threshold) continue;
      if (fact.at >= rule.since)
        found.push({
          ...instant(rule, fact.request),
          key: fact.request.id,
          happenedAt: fact.at,
          requests: open.map((one) => one.request.id),
          concern: { people: [...new Set(open.map((one) => one.applicant))] },
          detail: `${open.map((one) => `${one.request.number} ${shown(sizeOf(one))}`).join(" + ")} = ${shown(sum)} ≥ ${shown(threshold)}`,
        });
      open = [];
    }
    return found;
  });
}
