/** Accounts, and one's own sessions and tokens. */
import { defineCommand } from "citty";
import type { Account, MadeAccount, OwnSession, PersonalToken } from "../../contract/accounts.ts";
import { json } from "../arguments.ts";
import { clientFromEnvironment } from "../client.ts";
import { localTime, showOne } from "../output.ts";
import { password } from "../prompt.ts";
import { listCommand } from "./list.ts";
import { showCommand } from "./show.ts";

const path = "/api/v1/accounts";
const id = { type: "positional", required: true, description: "Id of the account" } as const;
const inDays = (days: string) => new Date(Date.now() + Number(days) * 86_400_000).toISOString();
const token = {
  name: { type: "string", required: true, description: "What it is for" },
  scope: { type: "enum", options: ["read", "all"] as string[], default: "read", description: "read: changes nothing; all: what the account may" },
  days: { type: "string", default: "90", description: "How long it lasts; at most 366" },
} as const;

/** With the link where the person sets the password. */
function showMade({ setUp, ...account }: MadeAccount, url: string, asJson: boolean): void {
  showOne({ ...account, ...(setUp ? { setUp: `${url}${setUp.path}`, setUpUntil: setUp.expiresAt } : {}) }, asJson);
}

const change = (verb: "disable" | "enable" | "unlock", description: string) =>
  defineCommand({
    meta: { name: verb, description },
    args: { id, json },
    run: async ({ args }) => showOne(await clientFromEnvironment().post<Account>(`${path}/${args.id}/${verb}`, {}), args.json),
  });

export const accounts = defineCommand({
  meta: { name: "accounts", description: "Who may sign in (roles are granted by `zhengyun roles grant`)" },
  subCommands: {
    list: listCommand<Account>({
      noun: "accounts",
      path,
      columns: [
        { title: "name", value: (row) => row.name },
        { title: "who", value: (row) => row.displayName },
        { title: "kind", value: (row) => row.kind },
        { title: "state", value: (row) => row.state },
        { title: "second factor", value: (row) => (row.secondFactor ? "yes" : "no") },
        { title: "last sign-in", value: (row) => localTime(row.lastSignInAt) },
        { title: "id", value: (row) => row.id },
      ],
    }),
    show: showCommand("accounts", path),
    create: defineCommand({
      meta: { name: "create", description: "Make an account; a person sets the password by the link that is shown, once" },
      args: {
        name: { type: "positional", required: true, description: "For signing in: 2 to 64 of a-z, 0-9, dot, dash, underscore, @" },
        "display-name": { type: "string", description: "Left out: the name" },
        service: { type: "boolean", description: "For a program: it cannot sign in, and acts by tokens" },
        json,
      },
      async run({ args }) {
        const client = clientFromEnvironment();
        const body = { name: args.name, displayName: args["display-name"] ?? args.name, kind: args.service ? "service" : "person" };
        showMade(await client.post<MadeAccount>(path, body), client.url, args.json);
      },
    }),
    disable: change("disable", "Disable an account and end its sessions at once"),
    enable: change("enable", "Enable a disabled account"),
    unlock: change("unlock", "Unlock an account after too many failures"),
    reset: defineCommand({
      meta: { name: "reset", description: "Make password, second factor, sessions and tokens void; shows a link to set them up anew" },
      args: { id, json },
      async run({ args }) {
        const client = clientFromEnvironment();
        showMade(await client.post<MadeAccount>(`${path}/${args.id}/reset`, {}), client.url, args.json);
      },
    }),
    token: defineCommand({
      meta: { name: "token", description: "Make a token for a service account; its secret is shown once" },
      args: { id, ...token, json },
      async run({ args }) {
        const body = { name: args.name, scope: args.scope, expiresAt: inDays(args.days) };
        showOne(await clientFromEnvironment().post<Record<string, unknown>>(`${path}/${args.id}/tokens`, body), args.json);
      },
    }),
  },
});

export const ownTokens = defineCommand({
  meta: { name: "token", description: "Your account's own tokens, for your programs" },
  subCommands: {
    list: listCommand<PersonalToken>({
      noun: "your tokens",
      path: "/api/v1/account/tokens",
      columns: [
        { title: "name", value: (row) => row.name },
        { title: "scope", value: (row) => row.scope },
        { title: "expires", value: (row) => localTime(row.expiresAt) },
        { title: "revoked", value: (row) => localTime(row.revokedAt) },
        { title: "last used", value: (row) => localTime(row.lastUsedAt) },
        { title: "id", value: (row) => row.id },
      ],
    }),
    create: defineCommand({
      meta: { name: "create", description: "Make a token that acts as you do; its secret is shown once" },
      args: { ...token, "password-file": { type: "string", description: "Its first line is your password; left out: asked for" }, json },
      async run({ args }) {
        const body = { name: args.name, scope: args.scope, expiresAt: inDays(args.days), password: await password(args["password-file"]) };
        showOne(await clientFromEnvironment().post<Record<string, unknown>>("/api/v1/account/tokens", body), args.json);
      },
    }),
    revoke: defineCommand({
      meta: { name: "revoke", description: "Revoke one of your tokens at once" },
      args: { id: { type: "positional", required: true, description: "Id of the token" } },
      run: async ({ args }) => clientFromEnvironment().delete(`/api/v1/account/tokens/${args.id}`),
    }),
  },
});

export const ownSessions = {
  list: listCommand<OwnSession>({
    noun: "your sessions",
    path: "/api/v1/sessions",
    columns: [
      { title: "from", value: (row) => row.source },
      { title: "signed in", value: (row) => localTime(row.createdAt) },
      { title: "last seen", value: (row) => localTime(row.lastSeenAt) },
      { title: "program", value: (row) => row.agent?.slice(0, 40) },
      { title: "this one", value: (row) => (row.current ? "yes" : "") },
      { title: "id", value: (row) => row.id },
    ],
  }),
  end: defineCommand({
    meta: { name: "end", description: "End one of your sessions at once" },
    args: { id: { type: "positional", required: true, description: "Id of the session" } },
    run: async ({ args }) => clientFromEnvironment().delete(`/api/v1/sessions/${args.id}`),
  }),
};
