import { readFileSync, writeFileSync } from "node:fs";
import { basename, extname } from "node:path";
import { defineCommand } from "citty";
import { Listr } from "listr2";
import { parse } from "yaml";
import { type Comment, type Evidence, evidenceTypes } from "../../contract/approvals.ts";
import { extension, type Request } from "../../contract/requests.ts";
import type { WhatIf } from "../../contract/what-if.ts";
import { json, wait } from "../arguments.ts";
import { type Client, clientFromEnvironment } from "../client.ts";
import { momentHint, restartOf } from "../moments.ts";
import { bytes, localTime, show, showOne } from "../output.ts";
import { followRequest } from "../following.ts";
import { settled, undecided } from "../wait.ts";
import { listCommand } from "./list.ts";
import { printWhatIf } from "./what-if.ts";

const path = "/api/v1/requests";
const id = { type: "positional", required: true, description: "Id of the request" } as const;
const reason = { type: "string", description: "Why" } as const;

const standIn = { type: "string", description: "Id of who is on leave, when you decide in their name" } as const;
const onBehalfOf = (id: string | undefined) => (id === undefined ? {} : { onBehalfOf: id });

const read = (client: Client, request: string) => client.get<Request>(`${path}/${encodeURIComponent(request)}`);

function restartText(restart: Request["items"][number]["restart"]): string {
  if (!restart) return "";
  if (restart.begunAt) return `begun ${localTime(restart.begunAt)}`;
  if (!restart.time) return "when?";
  return restart.dueAt ? localTime(restart.dueAt) : restart.time.when;
}

function print(request: Request, asJson: boolean): void {
  if (asJson) return showOne(request, true);
  const { items, plan, approvals, cost, ...rest } = request;
  const costs = cost ? `${(cost.amountFen / 100).toFixed(2)} yuan to ${localTime(cost.to)}, ${cost.fund.kind} fund ${cost.fund.fiscalYear}` : "nothing more";
  showOne({ ...rest, cost: costs }, false);
  console.log();
  show(
    items,
    [
      { title: "#", value: (row) => row.position },
      { title: "action", value: (row) => row.action },
      { title: "kind", value: (row) => row.kind },
      { title: "name", value: (row) => row.name },
      { title: "state", value: (row) => row.state },
      { title: "until", value: (row) => localTime(row.expiresAt) },
      { title: "restart", value: (row) => restartText(row.restart) },
      { title: "error", value: (row) => row.error?.message ?? "" },
      { title: "resource", value: (row) => row.resource },
    ],
    false,
  );
  if (approvals.length > 0) {
    console.log();
    show(
      approvals.filter((step) => step.invalidatedAt === null),
      [
        { title: "approval", value: (row) => row.name },
        { title: "state", value: (row) => row.state },
        { title: "due", value: (row) => `${localTime(row.dueAt)}${row.provisional ? " (provisional)" : ""}` },
        { title: "decided by", value: (row) => (row.onBehalfOf ? `${row.decidedByName} for ${row.onBehalfOfName}` : (row.decidedByName ?? row.decidedBy)) },
        { title: "reason", value: (row) => row.reason },
      ],
      false,
    );
  }
  if (!plan) return;
  for (const one of plan.restarts ?? []) console.log(`will restart ${one.hostName}, when its department says: ${one.why}`);
  for (const one of plan.snapshots ?? []) console.log(`deletes the snapshot ${one.volumeName}/${one.name} of ${localTime(one.takenAt)}`);
  for (const line of plan.waits ?? []) console.log(`will wait for capacity: ${line}`);
  for (const line of plan.differences) console.log(`moved since it was decided on: ${line}`);
  console.log(`\nChange plan ${plan.hash} of ${localTime(plan.computedAt)}`);
  for (const one of plan.warnings ?? []) {
    const level = one.level === 0 ? "" : ` of level ${one.level}`;
    console.log(`Soft limit: ${one.departmentName} holds ${one.held} of ${one.dimension}${level} with it, over ${one.softLimit}.`);
  }
  show(
    plan.steps,
    [
      { title: "step", value: (row) => row.action },
      { title: "kind", value: (row) => row.kind },
      { title: "name", value: (row) => row.name },
    ],
    false,
  );
  console.log();
  show(
    plan.charge,
    [
      { title: "quota", value: (row) => row.dimension },
      { title: "charge", value: (row) => row.quantity },
    ],
    false,
  );
}

/** Follows a request until it rests, with a bar of its items. */
async function follow(client: Client, request: string, until: (one: Request) => boolean, silent: boolean): Promise<Request> {
  let last = await read(client, request);
  await new Listr(
    [
      {
        title: `${last.number} ${last.title}`,
        task: async (_, task) => {
          last = await followRequest(
            client,
            request,
            (one) => {
              const done = one.items.filter((item) => item.state === "active" || item.state === "failed").length;
              const filled = Math.round((done / one.items.length) * 24);
              task.output = `${one.state.padEnd(9)} ${"█".repeat(filled)}${"░".repeat(24 - filled)} ${done}/${one.items.length}`;
              return until(one);
            },
            { steps: true },
          );
          task.title = `${last.number} ${last.state}`;
        },
        rendererOptions: { persistentOutput: true },
      },
    ],
    { renderer: silent ? "silent" : "default", fallbackRenderer: "simple" },
  ).run();
  return last;
}

const planned = (one: Request) => settled(one.state) || undecided(one.state);

export const requests = defineCommand({
  meta: { name: "requests", description: "Requests (申请): how hosts, volumes and backups change" },
  subCommands: {
    list: listCommand<Request>({
      noun: "requests",
      path,
      filters: {
        department: "Id or code of a department",
        state:
          "draft, submitted, department-approval, authority-approval, needs-information, waiting, applying, scheduled, on-trial, active, expiring, reclaimed …",
        application: "Id or code of an application",
      },
      columns: [
        { title: "number", value: (row) => row.number },
        { title: "state", value: (row) => row.state },
        { title: "title", value: (row) => row.title },
        { title: "items", value: (row) => row.items.length },
        { title: "created", value: (row) => localTime(row.createdAt) },
        { title: "id", value: (row) => row.id },
      ],
    }),
    show: defineCommand({
      meta: { name: "show", description: "Show a request, its items and its change plan" },
      args: { id, json },
      run: async ({ args }) => print(await read(clientFromEnvironment(), args.id), args.json),
    }),
    create: defineCommand({
      meta: { name: "create", description: "Make a request from a YAML or JSON file (`-`: standard input)" },
      args: { file: { type: "positional", required: true, description: "File with the body of POST /api/v1/requests" }, wait, json },
      async run({ args }) {
        const client = clientFromEnvironment();
        const made = await client.post<Request>(path, parse(readFileSync(args.file === "-" ? 0 : args.file, "utf8")));
        print(args.wait ? await follow(client, made.id, planned, args.json) : made, args.json);
      },
    }),
    "what-if": defineCommand({
      meta: { name: "what-if", description: "What a request would charge and what would be left; changes nothing" },
      args: { file: { type: "positional", required: true, description: "File with the body of POST /api/v1/requests (`-`: standard input)" }, json },
      async run({ args }) {
        const body: unknown = parse(readFileSync(args.file === "-" ? 0 : args.file, "utf8"));
        const prospect = await clientFromEnvironment().post<WhatIf>(`${path}/what-if`, body);
        if (args.json) showOne(prospect, true);
        else printWhatIf(prospect);
        if (prospect.outcome === "refused") process.exitCode = 1;
      },
    }),
    submit: defineCommand({
      meta: { name: "submit", description: "Submit a draft" },
      args: { id, wait, json },
      async run({ args }) {
        const client = clientFromEnvironment();
        const { revision } = await read(client, args.id);
        const sent = await client.post<Request>(`${path}/${args.id}/submit`, {}, { ifMatch: revision });
        print(args.wait ? await follow(client, args.id, planned, args.json) : sent, args.json);
      },
    }),
    approve: defineCommand({
      meta: { name: "approve", description: "Approve your step, and exactly the change plan that is shown now" },
      args: { id, plan: { type: "string", description: "Hash of the plan that you looked at; left out, the present one" }, reason, for: standIn, wait, json },
      async run({ args }) {
        const client = clientFromEnvironment();
        const seen = await read(client, args.id);
        const planHash = args.plan ?? seen.plan?.hash;
        if (!planHash) throw new Error(`Request ${seen.number} has no change plan yet (it is ${seen.state}).`);
        const body = { planHash, reason: args.reason ?? "", ...onBehalfOf(args.for) };
        const approved = await client.post<Request>(`${path}/${args.id}/approve`, body, { ifMatch: seen.revision });
        // What somebody else has to approve yet is not waited for.
        const last = args.wait ? await follow(client, args.id, planned, args.json) : approved;
        print(last, args.json);
        if (last.state === "failed") process.exitCode = 1;
      },
    }),
    reject: defineCommand({
      meta: { name: "reject", description: "Reject a request; what it reserved is free again" },
      args: { id, reason: { ...reason, required: true }, for: standIn, json },
      async run({ args }) {
        const client = clientFromEnvironment();
        const { revision } = await read(client, args.id);
        print(await client.post<Request>(`${path}/${args.id}/reject`, { reason: args.reason, ...onBehalfOf(args.for) }, { ifMatch: revision }), args.json);
      },
    }),
    return: defineCommand({
      meta: { name: "return", description: "Ask the applicant; nobody decides until they have answered" },
      args: { id, question: { type: "string", required: true, description: "What you want to know" }, for: standIn, json },
      async run({ args }) {
        const client = clientFromEnvironment();
        const { revision } = await read(client, args.id);
        print(await client.post<Request>(`${path}/${args.id}/return`, { question: args.question, ...onBehalfOf(args.for) }, { ifMatch: revision }), args.json);
      },
    }),
    answer: defineCommand({
      meta: { name: "answer", description: "Answer the approver who asked" },
      args: { id, text: { type: "string", required: true, description: "The answer" }, json },
      async run({ args }) {
        const client = clientFromEnvironment();
        const { revision } = await read(client, args.id);
        print(await client.post<Request>(`${path}/${args.id}/answer`, { text: args.text }, { ifMatch: revision }), args.json);
      },
    }),
    amend: defineCommand({
      meta: { name: "amend", description: "Change what an approver asked about: {title, reason, items, text} from a YAML or JSON file" },
      args: { id, file: { type: "positional", required: true, description: "File (`-`: standard input)" }, wait, json },
      async run({ args }) {
        const client = clientFromEnvironment();
        const { revision } = await read(client, args.id);
        const body: unknown = parse(readFileSync(args.file === "-" ? 0 : args.file, "utf8"));
        const sent = await client.post<Request>(`${path}/${args.id}/amend`, body, { ifMatch: revision });
        print(args.wait ? await follow(client, args.id, planned, args.json) : sent, args.json);
      },
    }),
    "check-plan": defineCommand({
      meta: { name: "check-plan", description: "Plan it anew; where the plan moved, it goes back to its first approver" },
      args: { id, json },
      async run({ args }) {
        const client = clientFromEnvironment();
        const { revision } = await read(client, args.id);
        print(await client.post<Request>(`${path}/${args.id}/check-plan`, {}, { ifMatch: revision }), args.json);
      },
    }),
    comment: defineCommand({
      meta: { name: "comment", description: "Comment on a request" },
      args: { id, text: { type: "positional", required: true, description: "What you say" }, json },
      async run({ args }) {
        showOne(await clientFromEnvironment().post<Comment>(`${path}/${args.id}/comments`, { text: args.text }), args.json);
      },
    }),
    comments: defineCommand({
      meta: { name: "comments", description: "Comments, questions and answers" },
      args: { id, json },
      async run({ args }) {
        const rows: Comment[] = [];
        for await (const row of clientFromEnvironment().all<Comment>(`${path}/${args.id}/comments`)) rows.push(row);
        show(
          rows,
          [
            { title: "at", value: (row) => localTime(row.createdAt) },
            { title: "kind", value: (row) => row.kind },
            { title: "who", value: (row) => row.authorName ?? row.author },
            { title: "text", value: (row) => row.text },
          ],
          args.json,
        );
      },
    }),
    attach: defineCommand({
      meta: { name: "attach", description: "Attach a file as evidence (PDF, OFD, PNG, JPEG, text, CSV, DOCX, XLSX; at most 4 MiB)" },
      args: { id, file: { type: "positional", required: true, description: "The file" }, json },
      async run({ args }) {
        const ending = extname(args.file).toLowerCase();
        const type = Object.entries(evidenceTypes).find(([, endings]) => (endings as readonly string[]).includes(ending))?.[0];
        if (type === undefined) throw new Error(`A file that ends in "${ending}" is not taken: ${Object.values(evidenceTypes).flat().join(" ")} are.`);
        const body = { name: basename(args.file), type, content: readFileSync(args.file).toString("base64") };
        showOne(await clientFromEnvironment().post<Evidence>(`${path}/${args.id}/evidence`, body), args.json);
      },
    }),
    evidence: defineCommand({
      meta: { name: "evidence", description: "Files that were attached; with --save ID --to FILE, one of them" },
      args: {
        id,
        save: { type: "string", description: "Id of one to be saved" },
        to: { type: "string", description: "Where" },
        json,
      },
      async run({ args }) {
        const client = clientFromEnvironment();
        const address = `${path}/${args.id}/evidence`;
        if (args.save) {
          if (!args.to) throw new Error("--save needs --to FILE.");
          const response = await client.send("GET", `${address}/${encodeURIComponent(args.save)}`);
          return writeFileSync(args.to, Buffer.from(await response.arrayBuffer()), { flag: "wx" });
        }
        const rows: Evidence[] = [];
        for await (const row of client.all<Evidence>(address)) rows.push(row);
        show(
          rows,
          [
            { title: "name", value: (row) => row.name },
            { title: "size", value: (row) => bytes(row.sizeBytes) },
            { title: "who", value: (row) => row.authorName ?? row.author },
            { title: "at", value: (row) => localTime(row.createdAt) },
            { title: "sha-256", value: (row) => row.sha256 },
            { title: "id", value: (row) => row.id },
          ],
          args.json,
        );
      },
    }),
    "agree-restart": defineCommand({
      meta: {
        name: "agree-restart",
        description: "Say when hosts may be restarted for what cannot be changed while they run; until it begins, it can be said anew",
      },
      args: {
        id,
        at: { type: "string", description: `At a moment: ${momentHint}` },
        now: { type: "boolean", description: "As soon as it is approved", default: false },
        window: { type: "boolean", description: "In the next maintenance window that concerns the host", default: false },
        item: { type: "string", description: "Id of an item; left out, all that take a restart" },
        json,
      },
      async run({ args }) {
        const said = [...(args.at === undefined ? [] : [args.at]), ...(args.now ? ["now"] : []), ...(args.window ? ["window"] : [])];
        if (said.length !== 1) throw new Error("Say one of --at, --now and --window.");
        const client = clientFromEnvironment();
        const { revision } = await read(client, args.id);
        const body = { time: restartOf(said[0]!), ...(args.item ? { items: [args.item] } : {}) };
        print(await client.post<Request>(`${path}/${args.id}/agree-restart`, body, { ifMatch: revision }), args.json);
      },
    }),
    "accept-trial": defineCommand({
      meta: { name: "accept-trial", description: "Accept what is on trial (试运行): the request is active" },
      args: { id, json },
      async run({ args }) {
        const client = clientFromEnvironment();
        const { revision } = await read(client, args.id);
        print(await client.post<Request>(`${path}/${args.id}/accept-trial`, {}, { ifMatch: revision }), args.json);
      },
    }),
    "refuse-trial": defineCommand({
      meta: { name: "refuse-trial", description: "Refuse what is on trial: shows the request by which it is retired" },
      args: { id, reason: { ...reason, required: true }, json },
      async run({ args }) {
        const client = clientFromEnvironment();
        const { revision } = await read(client, args.id);
        print(await client.post<Request>(`${path}/${args.id}/refuse-trial`, { reason: args.reason }, { ifMatch: revision }), args.json);
      },
    }),
    extend: defineCommand({
      meta: { name: "extend", description: "Ask that everything which a request made and which has a term is kept until a day" },
      args: { id, until: { type: "string", required: true, description: "The day, such as 2027-12-31: until its end in Beijing" }, reason, wait, json },
      async run({ args }) {
        if (!/^\d{4}-\d{2}-\d{2}$/.test(args.until)) throw new Error(`--until is a day such as 2027-12-31, not ${args.until}.`);
        const client = clientFromEnvironment();
        const body = extension(await read(client, args.id), args.until, args.reason ?? "");
        if (body.items.length === 0) throw new Error("Nothing that it made has a term.");
        const made = await client.post<Request>(path, body);
        print(args.wait ? await follow(client, made.id, planned, args.json) : made, args.json);
      },
    }),
    withdraw: defineCommand({
      meta: { name: "withdraw", description: "Withdraw a request of one's own" },
      args: { id, json },
      async run({ args }) {
        const client = clientFromEnvironment();
        const { revision } = await read(client, args.id);
        print(await client.post<Request>(`${path}/${args.id}/withdraw`, {}, { ifMatch: revision }), args.json);
      },
    }),
    watch: defineCommand({
      meta: { name: "watch", description: "Follow a request until it rests" },
      args: { id, json },
      run: async ({ args }) => print(await follow(clientFromEnvironment(), args.id, (one) => settled(one.state), args.json), args.json),
    }),
  },
});
