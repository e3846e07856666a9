import { readFileSync } from "node:fs";
import { defineCommand } from "citty";
import { Listr } from "listr2";
import { parse } from "yaml";
import type { Request } from "../../contract/requests.ts";
import { json, wait } from "../arguments.ts";
import { type Client, clientFromEnvironment } from "../client.ts";
import { localTime, show, showOne } from "../output.ts";
import { settled, waitFor } from "../wait.ts";
import { listCommand } from "./list.ts";

const path = "/api/v1/requests";
const id = { type: "positional", required: true, description: "Id of the request" } as const;
const reason = { type: "string", description: "Why" } as const;

const read = (client: Client, request: string) => client.get<Request>(`${path}/${encodeURIComponent(request)}`);

function print(request: Request, asJson: boolean): void {
  if (asJson) return showOne(request, true);
  const { items, plan, cost, ...rest } = request;
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
      { title: "error", value: (row) => row.error?.message ?? "" },
      { title: "resource", value: (row) => row.resource },
    ],
    false,
  );
  if (!plan) return;
  console.log(`\nChange plan ${plan.hash} of ${localTime(plan.computedAt)}`);
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
          last = await waitFor(
            () => read(client, request),
            (one) => {
              const done = one.items.filter((item) => item.state === "active" || item.state === "failed").length;
              const filled = Math.round((done / one.items.length) * 24);
              task.output = `${one.state.padEnd(9)} ${"█".repeat(filled)}${"░".repeat(24 - filled)} ${done}/${one.items.length}`;
              return until(one);
            },
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

const decided = (one: Request) => settled(one.state) || one.state === "planned";

export const requests = defineCommand({
  meta: { name: "requests", description: "Requests (申请): how hosts, volumes and backups change" },
  subCommands: {
    list: listCommand<Request>({
      noun: "requests",
      path,
      filters: {
        department: "Id or code of a department",
        state: "draft, submitted, planned, approved, applying, active …",
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
        print(args.wait ? await follow(client, made.id, decided, args.json) : made, args.json);
      },
    }),
    submit: defineCommand({
      meta: { name: "submit", description: "Submit a draft" },
      args: { id, wait, json },
      async run({ args }) {
        const client = clientFromEnvironment();
        const { revision } = await read(client, args.id);
        const sent = await client.post<Request>(`${path}/${args.id}/submit`, {}, { ifMatch: revision });
        print(args.wait ? await follow(client, args.id, decided, args.json) : sent, args.json);
      },
    }),
    approve: defineCommand({
      meta: { name: "approve", description: "Approve exactly the change plan that is shown now" },
      args: { id, plan: { type: "string", description: "Hash of the plan that you looked at; left out, the present one" }, reason, wait, json },
      async run({ args }) {
        const client = clientFromEnvironment();
        const seen = await read(client, args.id);
        const planHash = args.plan ?? seen.plan?.hash;
        if (!planHash) throw new Error(`Request ${seen.number} has no change plan yet (it is ${seen.state}).`);
        const approved = await client.post<Request>(`${path}/${args.id}/approve`, { planHash, reason: args.reason ?? "" }, { ifMatch: seen.revision });
        const last = args.wait ? await follow(client, args.id, (one) => settled(one.state), args.json) : approved;
        print(last, args.json);
        if (last.state === "failed") process.exitCode = 1;
      },
    }),
    reject: defineCommand({
      meta: { name: "reject", description: "Reject a request; what it reserved is free again" },
      args: { id, reason: { ...reason, required: true }, json },
      async run({ args }) {
        const client = clientFromEnvironment();
        const { revision } = await read(client, args.id);
        print(await client.post<Request>(`${path}/${args.id}/reject`, { reason: args.reason }, { ifMatch: revision }), args.json);
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
