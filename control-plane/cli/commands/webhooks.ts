/** Webhooks, and everything that was sent out of the house. */
import { defineCommand } from "citty";
import { subscribable } from "../../contract/notices.ts";
import type { Delivery, MadeWebhook, Webhook } from "../../contract/webhooks.ts";
import { department, json } from "../arguments.ts";
import { clientFromEnvironment } from "../client.ts";
import { type Column, localTime, show, showOne } from "../output.ts";
import { listCommand } from "./list.ts";
import { kindsOf } from "./notices.ts";

const path = "/api/v1/webhooks";
const id = { type: "positional", required: true, description: "Id of the webhook" } as const;
const kinds = `With commas, or all; of: ${subscribable.join(", ")}`;
const at = (webhook: string) => `${path}/${encodeURIComponent(webhook)}`;

const sent: Column<Delivery>[] = [
  { title: "at", value: (row) => localTime(row.createdAt) },
  { title: "channel", value: (row) => row.channel },
  { title: "kind", value: (row) => row.kind },
  { title: "state", value: (row) => row.state },
  { title: "attempts", value: (row) => row.attempts },
  { title: "status", value: (row) => row.lastStatus },
  { title: "error", value: (row) => row.lastError },
  { title: "next", value: (row) => (row.state === "waiting" ? localTime(row.dueAt) : "") },
  { title: "id", value: (row) => row.id },
];
const state = { type: "enum" as const, options: ["waiting", "delivered", "dead"], description: "Only those; dead: the dead letters" };

/** A change of a webhook as it is now. */
async function change(webhook: string, body: object, asJson: boolean): Promise<void> {
  const client = clientFromEnvironment();
  const { revision } = await client.get<Webhook>(at(webhook));
  showOne(await client.patch<Webhook>(at(webhook), body, revision), asJson);
}

export const webhooks = defineCommand({
  meta: { name: "webhooks", description: "Who outside is told what" },
  subCommands: {
    list: listCommand<Webhook>({
      noun: "webhooks",
      path,
      columns: [
        { title: "name", value: (row) => row.name },
        { title: "url", value: (row) => row.url },
        { title: "state", value: (row) => row.state },
        { title: "kinds", value: (row) => row.kinds.length },
        { title: "department", value: (row) => row.department },
        { title: "last success", value: (row) => localTime(row.lastSuccessAt) },
        { title: "why paused", value: (row) => row.pausedReason ?? "" },
        { title: "id", value: (row) => row.id },
      ],
    }),
    create: defineCommand({
      meta: { name: "create", description: "Tell an address outside of what happens; the secret that deliveries are signed with is shown once" },
      args: {
        url: { type: "positional", required: true, description: "https://…" },
        name: { type: "string", required: true, description: "What it is for" },
        kinds: { type: "string", default: "all", description: kinds },
        department,
        json,
      },
      async run({ args }) {
        const body = { name: args.name, url: args.url, kinds: kindsOf(args.kinds), department: args.department ?? null };
        showOne(await clientFromEnvironment().post<MadeWebhook>(path, body), args.json);
      },
    }),
    show: defineCommand({
      meta: { name: "show", description: "A webhook" },
      args: { id, json },
      run: async ({ args }) => showOne(await clientFromEnvironment().get<Webhook>(at(args.id)), args.json),
    }),
    set: defineCommand({
      meta: { name: "set", description: "Change a webhook" },
      args: {
        id,
        name: { type: "string", description: "What it is for" },
        url: { type: "string", description: "https://…" },
        kinds: { type: "string", description: kinds },
        json,
      },
      run: ({ args }) =>
        change(
          args.id,
          {
            ...(args.name === undefined ? {} : { name: args.name }),
            ...(args.url === undefined ? {} : { url: args.url }),
            ...(args.kinds === undefined ? {} : { kinds: kindsOf(args.kinds) }),
          },
          args.json,
        ),
    }),
    pause: defineCommand({
      meta: { name: "pause", description: "What happens meanwhile waits, for a week" },
      args: { id, json },
      run: ({ args }) => change(args.id, { state: "paused" }, args.json),
    }),
    resume: defineCommand({
      meta: { name: "resume", description: "Go on with one that is paused; it gets what has waited" },
      args: { id, json },
      run: ({ args }) => change(args.id, { state: "active" }, args.json),
    }),
    remove: defineCommand({
      meta: { name: "remove", description: "Remove a webhook with its deliveries" },
      args: { id },
      run: ({ args }) => clientFromEnvironment().delete(at(args.id)),
    }),
    "rotate-secret": defineCommand({
      meta: { name: "rotate-secret", description: "A new secret, shown once; for a day deliveries are signed with the old one too" },
      args: { id, json },
      run: async ({ args }) => showOne(await clientFromEnvironment().post<MadeWebhook>(`${at(args.id)}/rotate-secret`, {}), args.json),
    }),
    test: defineCommand({
      meta: { name: "test", description: "Send a test; `webhooks deliveries` says what became of it" },
      args: { id, json },
      run: async ({ args }) => showOne(await clientFromEnvironment().post<Delivery>(`${at(args.id)}/test`, {}), args.json),
    }),
    deliveries: defineCommand({
      meta: { name: "deliveries", description: "What was sent, newest first: to a webhook, or without its id everywhere, mail included" },
      args: { id: { ...id, required: false }, state, json },
      async run({ args }) {
        const rows: Delivery[] = [];
        const from = args.id ? `${at(args.id)}/deliveries` : "/api/v1/deliveries";
        for await (const row of clientFromEnvironment().all<Delivery>(from, { state: args.state })) rows.push(row);
        show(rows, sent, args.json);
      },
    }),
    redeliver: defineCommand({
      meta: { name: "redeliver", description: "Send one once more, under the same id" },
      args: { id: { type: "positional", required: true, description: "Id of the delivery" }, json },
      run: async ({ args }) =>
        showOne(await clientFromEnvironment().post<Delivery>(`/api/v1/deliveries/${encodeURIComponent(args.id)}/redeliver`, {}), args.json),
    }),
  },
});
