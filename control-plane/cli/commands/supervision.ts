/** Electronic supervision (电子监察): the board, one's own cards, corrections, rules. */
import { readFileSync } from "node:fs";
import { defineCommand } from "citty";
import { parse } from "yaml";
import type { CardCounts, Correction, SupervisionCard, SupervisionCardDetail, SupervisionRule } from "../../contract/supervision.ts";
import { json } from "../arguments.ts";
import { clientFromEnvironment } from "../client.ts";
import { type Column, localTime, show, showOne } from "../output.ts";
import { listCommand } from "./list.ts";

const board = "/api/v1/supervision-cards";
const own = "/api/v1/account/supervision-cards";
const rules = "/api/v1/supervision-rules";
const id = { type: "positional", required: true, description: "Id of the card" } as const;
const correctionId = { type: "positional", required: true, description: "Id of the correction" } as const;
const text = (description: string) => ({ type: "positional", required: true, description }) as const;

const names = (card: SupervisionCard, part: "concerned" | "superior") =>
  card.people
    .filter((one) => one.part === part)
    .map((one) => one.name ?? one.id)
    .join(", ");
const cardColumns: Column<SupervisionCard>[] = [
  { title: "colour", value: (row) => row.colour },
  { title: "state", value: (row) => (row.answerOverdue ? `${row.state} (late)` : row.state) },
  { title: "request", value: (row) => row.requestNumber },
  { title: "rule", value: (row) => row.ruleName },
  { title: "concerns", value: (row) => names(row, "concerned") },
  { title: "limit", value: (row) => localTime(row.limitAt) },
  { title: "issued", value: (row) => localTime(row.issuedAt) },
  { title: "answer by", value: (row) => localTime(row.answerDueAt) },
  { title: "id", value: (row) => row.id },
];
const correctionColumns: Column<Correction>[] = [
  { title: "state", value: (row) => (row.overdue ? "overdue" : row.state) },
  { title: "what", value: (row) => row.what },
  { title: "by", value: (row) => row.assigneeName ?? row.assignee },
  { title: "due", value: (row) => localTime(row.dueAt) },
  { title: "request", value: (row) => row.requestNumber },
  { title: "card", value: (row) => row.card },
  { title: "id", value: (row) => row.id },
];
const filters = { state: "open, answered, correcting, accepted, closed, escalated, met, pending or all", colour: "reminder, yellow or red" };

function showCard(card: SupervisionCardDetail, asJson: boolean): void {
  if (asJson) return showOne(card, true);
  const { timeline, corrections, people: _people, ...rest } = card;
  showOne({ ...rest, concerned: names(card, "concerned"), superiors: names(card, "superior") }, false);
  console.log();
  show(
    timeline,
    [
      { title: "at", value: (row) => localTime(row.at) },
      { title: "what", value: (row) => row.kind },
      { title: "by", value: (row) => row.byName ?? row.by },
      { title: "text", value: (row) => row.text },
    ],
    false,
  );
  if (corrections.length === 0) return;
  console.log();
  show(corrections, correctionColumns, false);
}

/** A correction as the caller sees it: by its id, on the board or among one's own. */
async function correctionOf(path: string, wanted: string): Promise<Correction> {
  for await (const row of clientFromEnvironment().all<Correction>(path)) if (row.id === wanted) return row;
  throw new Error(`There is no correction ${wanted} that you may see.`);
}

const list = listCommand<SupervisionCard>({
  noun: "cards of the supervision board",
  path: board,
  filters: {
    ...filters,
    department: "Id or code, with what is below it",
    rule: "Id of a rule",
    kind: "time-limit, skipped-step, split-requests or same-person",
    request: "Id of a request",
  },
  columns: cardColumns,
});

export const supervision = defineCommand({
  meta: { name: "supervision", description: "Electronic supervision (电子监察): cards, corrections, rules" },
  subCommands: {
    list,
    counts: defineCommand({
      meta: { name: "counts", description: "How many cards of each colour wait, and what is late" },
      args: { department: { type: "string", description: "Id or code, with what is below it" }, json },
      async run({ args }) {
        const counts = await clientFromEnvironment().get<CardCounts>("/api/v1/supervision-counts", { department: args.department });
        if (args.json) return showOne(counts, true);
        const { colours, ...rest } = counts;
        showOne({ ...Object.fromEntries(colours.map((one) => [one.colour, `${one.pending} of ${one.all}`])), ...rest }, false);
      },
    }),
    show: defineCommand({
      meta: { name: "show", description: "A card with its timeline and corrections, as supervision sees it" },
      args: { id, json },
      async run({ args }) {
        showCard(await clientFromEnvironment().get<SupervisionCardDetail>(`${board}/${encodeURIComponent(args.id)}`), args.json);
      },
    }),
    accept: defineCommand({
      meta: { name: "accept", description: "The answer is enough" },
      args: { id, note: { type: "string", description: "A remark", default: "" }, json },
      async run({ args }) {
        const client = clientFromEnvironment();
        const path = `${board}/${encodeURIComponent(args.id)}`;
        const { revision } = await client.get<SupervisionCard>(path);
        showCard(await client.post<SupervisionCardDetail>(`${path}/accept`, { note: args.note }, { ifMatch: revision }), args.json);
      },
    }),
    correct: defineCommand({
      meta: { name: "correct", description: "Order a correction (纠错)" },
      args: {
        id,
        what: text("What is to be corrected"),
        by: { type: "string", required: true, description: "Id of one whom the card names" },
        due: { type: "string", required: true, description: "Last day, such as 2026-12-01" },
        json,
      },
      async run({ args }) {
        const client = clientFromEnvironment();
        const { revision } = await client.get<SupervisionCard>(`${board}/${encodeURIComponent(args.id)}`);
        const ask = { card: args.id, what: args.what, assignee: args.by, due: args.due };
        showOne(await client.post<Correction>("/api/v1/corrections", ask, { ifMatch: revision }), args.json);
      },
    }),
    corrections: listCommand<Correction>({
      noun: "corrections",
      path: "/api/v1/corrections",
      filters: { state: "open, done, closed or overdue", department: "Id or code, with what is below it" },
      columns: correctionColumns,
    }),
    close: defineCommand({
      meta: { name: "close", description: "It has been corrected" },
      args: { id: correctionId, note: text("What was seen"), json },
      async run({ args }) {
        const { revision } = await correctionOf("/api/v1/corrections", args.id);
        showOne(await clientFromEnvironment().post<Correction>(`/api/v1/corrections/${args.id}/close`, { note: args.note }, { ifMatch: revision }), args.json);
      },
    }),
    reopen: defineCommand({
      meta: { name: "reopen", description: "What was done is not enough" },
      args: { id: correctionId, note: text("What is missing"), due: { type: "string", required: true, description: "Last day now" }, json },
      async run({ args }) {
        const { revision } = await correctionOf("/api/v1/corrections", args.id);
        const ask = { note: args.note, due: args.due };
        showOne(await clientFromEnvironment().post<Correction>(`/api/v1/corrections/${args.id}/reopen`, ask, { ifMatch: revision }), args.json);
      },
    }),
    mine: defineCommand({
      meta: { name: "mine", description: "Cards and corrections that concern you" },
      args: { all: { type: "boolean", description: "Settled ones too", default: false }, json },
      async run({ args }) {
        const client = clientFromEnvironment();
        const cards: SupervisionCard[] = [];
        const corrections: Correction[] = [];
        for await (const row of client.all<SupervisionCard>(own, args.all ? {} : { state: "pending" })) cards.push(row);
        for await (const row of client.all<Correction>("/api/v1/account/corrections", args.all ? {} : { state: "open" })) corrections.push(row);
        if (args.json) return console.log(JSON.stringify({ cards, corrections }, null, 2));
        show(cards, cardColumns, false);
        if (corrections.length === 0) return;
        console.log();
        show(corrections, correctionColumns, false);
      },
    }),
    answer: defineCommand({
      meta: { name: "answer", description: "Answer a card with the reason; later ones are added" },
      args: { id, text: text("The reason"), json },
      async run({ args }) {
        const client = clientFromEnvironment();
        const path = `${own}/${encodeURIComponent(args.id)}`;
        const { revision } = await client.get<SupervisionCard>(path);
        showCard(await client.post<SupervisionCardDetail>(`${path}/answers`, { text: args.text }, { ifMatch: revision }), args.json);
      },
    }),
    done: defineCommand({
      meta: { name: "done", description: "A correction that you were to make has been made" },
      args: { id: correctionId, note: text("How"), json },
      async run({ args }) {
        const { revision } = await correctionOf("/api/v1/account/corrections", args.id);
        const path = `/api/v1/account/corrections/${args.id}/done`;
        showOne(await clientFromEnvironment().post<Correction>(path, { note: args.note }, { ifMatch: revision }), args.json);
      },
    }),
    rules: listCommand<SupervisionRule>({
      noun: "supervision rules",
      path: rules,
      columns: [
        { title: "name", value: (row) => row.name },
        { title: "for", value: (row) => row.departmentName ?? "all" },
        { title: "enabled", value: (row) => (row.enabled ? "yes" : "no") },
        { title: "terms", value: (row) => JSON.stringify(row.terms) },
        { title: "version", value: (row) => row.version },
        { title: "id", value: (row) => row.id },
      ],
    }),
    rule: defineCommand({
      meta: { name: "rule", description: "Make a rule, or a new version of one: {name, terms, answerDays, enabled, note, department} in a file" },
      args: {
        file: { type: "positional", required: true, description: "YAML or JSON file (`-`: standard input)" },
        id: { type: "string", description: "Id of the rule to be changed; left out: a new one" },
        json,
      },
      async run({ args }) {
        const client = clientFromEnvironment();
        const body: unknown = parse(readFileSync(args.file === "-" ? 0 : args.file, "utf8"));
        if (args.id === undefined) return showOne(await client.post<SupervisionRule>(rules, body), args.json);
        const path = `${rules}/${encodeURIComponent(args.id)}`;
        const { version } = await client.get<SupervisionRule>(path);
        showOne(await client.put<SupervisionRule>(path, body, version), args.json);
      },
    }),
  },
});
