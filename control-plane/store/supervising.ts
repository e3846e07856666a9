/** Looks at everything under the rules of supervision and issues what is to be carded: each card once, whoever looks and however often. */
import { sql } from "kysely";
import { type CardColour, RuleTerms } from "../contract/supervision.ts";
import type { Role } from "../contract/roles.ts";
import { isInForce } from "../domain/authority.ts";
import { type Finding, findings, type Rule } from "../domain/supervision.ts";
import { boardOf, type Reach, reachOf, type RoleHolder } from "../domain/supervision-reach.ts";
import { addWorkingDays } from "../domain/working-days.ts";
import type { Act } from "./act.ts";
import { appendAudits } from "./audit.ts";
import { workingCalendar } from "./calendars.ts";
import type { Db, Tx } from "./database.ts";
import { newId } from "./ids.ts";
import { planPolicy } from "./plan-policy.ts";
import { insertRows } from "./rows.ts";
import type { SupervisionEntries } from "./schema.ts";
import { readFacts } from "./supervision-facts.ts";
import { tell } from "./supervision-telling.ts";
import type { RuleRow } from "./supervision-rules.ts";

/** Key of the setting that says when supervision looked last. */
export const supervisedKey = "supervision-looked";
/** What a long transaction commits late lies before the last look: so much of the time before it is looked at again, ms. */
const overlap = 3_600_000;
const gravity: Record<CardColour, number> = { reminder: 0, yellow: 1, red: 2 };

/** @returns ids of the cards that were issued now */
export async function supervise(tx: Tx, act: Act): Promise<string[]> {
  // One at a time: another replica that looks at the same moment waits, and finds nothing new.
  await sql`select pg_advisory_xact_lock(7302064)`.execute(tx);
  const rows = await tx.selectFrom("supervision_rules").selectAll().where("enabled", "=", true).orderBy("id").execute();
  const calendar = await workingCalendar(tx);
  const rules = await rulesOf(tx, rows);
  const facts = await readFacts(
    tx,
    await lookedAt(tx, rules, act.now),
    Math.max(0, ...rules.map(({ terms }) => (terms.kind === "split-requests" ? terms.windowDays : 0))),
  );
  const found = findings(rules, facts, await countedBy(tx), calendar, act.now);
  const issued = await issue(
    tx,
    act,
    await fresh(tx, found),
    new Map(rows.map((row) => [row.id, (from: Date) => addWorkingDays(calendar, from, row.answer_days)])),
  );
  await settleReminders(tx, act, new Set(facts.stages.filter((fact) => fact.to === null).map((fact) => fact.key)));
  const value = JSON.stringify({ at: act.now.toISOString() });
  await tx
    .insertInto("settings")
    .values({ key: supervisedKey, value })
    .onConflict((conflict) => conflict.column("key").doUpdateSet({ value }))
    .execute();
  return issued;
}

/** The rules as the domain takes them, thresholds filled in. */
async function rulesOf(tx: Tx, rows: readonly RuleRow[]): Promise<Rule[]> {
  const { supervisorThresholdFen } = await planPolicy(tx);
  return rows.map((row) => {
    const terms = RuleTerms.parse(row.terms);
    const filled =
      terms.kind === "split-requests" && terms.threshold === null && terms.measure === "cost" ? { ...terms, threshold: supervisorThresholdFen } : terms;
    return { id: row.id, version: row.version, department: row.department_id, since: row.created_at, terms: filled };
  });
}

/** From when on it is to be looked: what happened while nothing ran is caught up. */
async function lookedAt(tx: Tx, rules: readonly Rule[], now: Date): Promise<Date> {
  const row = await tx.selectFrom("settings").select("value").where("key", "=", supervisedKey).executeTakeFirst();
  const last = row ? Date.parse((row.value as { at: string }).at) : Math.min(now.getTime(), ...rules.map((rule) => rule.since.getTime()));
  return new Date(last - overlap);
}

/** By rule: requests that a card has counted already. */
async function countedBy(db: Db): Promise<Map<string, Set<string>>> {
  const rows = await db.selectFrom("supervision_cards").select(["rule_id", "requests"]).where("kind", "=", "split-requests").execute();
  const found = new Map<string, Set<string>>();
  for (const row of rows) found.set(row.rule_id, new Set([...(found.get(row.rule_id) ?? []), ...row.requests]));
  return found;
}

/** What has no card yet, the mildest first. */
async function fresh(tx: Tx, found: readonly Finding[]): Promise<Finding[]> {
  if (found.length === 0) return [];
  const keys = [...new Set(found.map((one) => one.key))];
  const there = await tx
    .selectFrom("supervision_cards")
    .select(["rule_id", "key", "colour"])
    .where("key", "=", sql<string>`any(${keys}::text[])`)
    .execute();
  const known = new Set(there.map((row) => `${row.rule_id} ${row.key} ${row.colour}`));
  return found
    .filter((one) => !known.has(`${one.rule.id} ${one.key} ${one.colour}`))
    .toSorted((a, b) => a.happenedAt.getTime() - b.happenedAt.getTime() || gravity[a.colour] - gravity[b.colour]);
}

async function issue(tx: Tx, act: Act, found: readonly Finding[], answerBy: ReadonlyMap<string, (from: Date) => Date>): Promise<string[]> {
  if (found.length === 0) return [];
  const holders = await holdersOf(tx, act.now);
  const standsIn = await standInsOf(tx, act.now);
  const issued: string[] = [];
  for (const finding of found) {
    const reach = reachOf(finding.concern, finding.request.departments, holders, standsIn);
    const id = await issueOne(tx, act, finding, reach, answerBy.get(finding.rule.id)!(act.now));
    if (id === undefined) continue;
    issued.push(id);
    const to = [...new Set([...reach.concerned, ...reach.superiors, ...boardOf(finding.request.departments, holders)])];
    await tell(tx, act, {
      kind: "supervision.card",
      card: { id, colour: finding.colour, department_id: finding.request.departments[0]!, request_id: finding.request.id },
      to,
    });
  }
  return issued;
}

/** @returns undefined: it is there already */
async function issueOne(tx: Tx, act: Act, finding: Finding, reach: Reach, answerDue: Date): Promise<string | undefined> {
  const { rule, request } = finding;
  const before = await tx
    .selectFrom("supervision_cards")
    .selectAll()
    .where("rule_id", "=", rule.id)
    .where("key", "=", finding.key)
    .orderBy("id")
    .forUpdate()
    .execute();
  const milder = before.filter((one) => gravity[one.colour] < gravity[finding.colour]).toSorted((a, b) => gravity[b.colour] - gravity[a.colour]);
  const card = await tx
    .insertInto("supervision_cards")
    .values({
      id: newId("scd", act.now),
      rule_id: rule.id,
      rule_version: rule.version,
      key: finding.key,
      kind: rule.terms.kind,
      stage: finding.stage,
      colour: finding.colour,
      state: "open",
      department_id: request.departments[0]!,
      request_id: request.id,
      detail: finding.detail,
      requests: JSON.stringify(finding.requests),
      limit_at: finding.limitAt,
      happened_at: finding.happenedAt,
      issued_at: act.now,
      answer_due_at: answerDue,
      previous_id: milder[0]?.id ?? null,
    })
    .onConflict((conflict) => conflict.columns(["rule_id", "key", "colour"]).doNothing())
    .returningAll()
    .executeTakeFirst();
  if (!card) return undefined;
  const people = (part: "concerned" | "superior", ids: readonly string[]) =>
    ids.filter((one) => one !== "system").map((subject_id) => ({ card_id: card.id, subject_id, part }));
  await insertRows(tx, "supervision_card_people", [...people("concerned", reach.concerned), ...people("superior", reach.superiors)]);
  await appendEntries(tx, act, [{ card_id: card.id, kind: "issued", text: finding.detail }]);
  for (const one of milder.filter((card) => card.state === "open")) {
    await tx
      .updateTable("supervision_cards")
      .set({ state: "escalated", revision: one.revision + 1 })
      .where("id", "=", one.id)
      .execute();
    await appendEntries(tx, act, [{ card_id: one.id, kind: "escalated", text: card.id }]);
  }
  await appendAudits(tx, act, [
    {
      action: "supervision.card",
      subjectKind: "supervision-card",
      subjectId: card.id,
      departmentId: card.department_id,
      after: {
        rule: rule.id,
        version: rule.version,
        colour: card.colour,
        stage: card.stage,
        request: card.request_id,
        detail: card.detail,
        limit: card.limit_at,
        happened: card.happened_at,
        concerned: reach.concerned,
        superiors: reach.superiors,
        ...(milder[0] ? { escalates: milder[0].id } : {}),
      },
    },
  ]);
  return card.id;
}

/** @param running keys of what still goes on: a reminder of anything else has done its work, or its limit would have passed */
async function settleReminders(tx: Tx, act: Act, running: ReadonlySet<string>): Promise<void> {
  const open = await tx
    .selectFrom("supervision_cards")
    .selectAll()
    .where("colour", "=", "reminder")
    .where("state", "in", ["open", "answered"])
    .orderBy("id")
    .forUpdate()
    .execute();
  for (const card of open.filter((one) => !running.has(one.key))) {
    await tx
      .updateTable("supervision_cards")
      .set({ state: "met", revision: card.revision + 1 })
      .where("id", "=", card.id)
      .execute();
    await appendEntries(tx, act, [{ card_id: card.id, kind: "met", text: "" }]);
    await tell(tx, act, { kind: "supervision.card", card, to: [] });
  }
}

/** What happened to cards, in this order. */
export async function appendEntries(tx: Tx, act: Act, entries: readonly Pick<SupervisionEntries, "card_id" | "kind" | "text">[]): Promise<void> {
  await insertRows(
    tx,
    "supervision_entries",
    entries.map((entry) => ({ id: newId("sen", act.now), at: act.now, by_id: act.actor, ...entry })),
  );
}

const reaching: readonly Role[] = ["approver", "authority", "operations", "supervision"];
/** Who holds the roles that supervision reaches, now; whoever may not sign in is nobody's superior. */
export async function holdersOf(db: Db, now: Date): Promise<RoleHolder[]> {
  const rows = await db
    .selectFrom("role_bindings as b")
    .leftJoin("accounts as a", "a.id", "b.subject_id")
    .leftJoin("tokens as t", "t.id", "b.subject_id")
    .select(["b.subject_id", "b.role", "b.department_id", "b.kind", "b.valid_from", "b.valid_until"])
    .where("b.role", "in", [...reaching])
    .where("b.revoked_at", "is", null)
    .where((where) =>
      where.or([
        where.and([where("a.id", "is not", null), where("a.disabled_at", "is", null)]),
        where.and([
          where("t.id", "is not", null),
          where("t.revoked_at", "is", null),
          where.or([where("t.expires_at", "is", null), where("t.expires_at", ">", now)]),
        ]),
      ]),
    )
    .orderBy("b.id")
    .execute();
  return rows
    .filter((row) =>
      isInForce({ role: row.role, kind: row.kind, department: row.department_id, validFrom: row.valid_from, validUntil: row.valid_until, period: null }, now),
    )
    .map((row) => ({ subject: row.subject_id, role: row.role, department: row.department_id }));
}

/** Of those on leave: who decides in their name now. */
async function standInsOf(db: Db, now: Date): Promise<Map<string, string[]>> {
  const rows = await db
    .selectFrom("delegations")
    .select(["from_id", "to_id"])
    .where("begins_at", "<=", now)
    .where("ends_at", ">", now)
    .where("ended_at", "is", null)
    .orderBy("id")
    .execute();
  return new Map([...Map.groupBy(rows, (row) => row.from_id)].map(([from, of]) => [from, of.map((row) => row.to_id)]));
}
