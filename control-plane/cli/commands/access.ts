/** Tokens and sign-in links. */
import { defineCommand } from "citty";
import type { z } from "zod";
import type { MadeToken, SignInLink, Token } from "../../contract/access.ts";
import { json } from "../arguments.ts";
import { clientFromEnvironment } from "../client.ts";
import { localTime, showOne } from "../output.ts";
import { ownSessions } from "./accounts.ts";
import { listCommand } from "./list.ts";

export const tokens = defineCommand({
  meta: { name: "tokens", description: "API tokens" },
  subCommands: {
    list: listCommand<z.infer<typeof Token>>({
      noun: "tokens",
      path: "/api/v1/tokens",
      columns: [
        { title: "name", value: (row) => row.name },
        { title: "expires", value: (row) => localTime(row.expiresAt) },
        { title: "revoked", value: (row) => localTime(row.revokedAt) },
        { title: "id", value: (row) => row.id },
      ],
    }),
    create: defineCommand({
      meta: { name: "create", description: "Make a token; its secret is shown once. Roles are granted to it by `zhengyun roles grant`" },
      args: {
        name: { type: "string", required: true, description: "What it is for" },
        expires: { type: "string", description: "RFC 3339" },
        json,
      },
      async run({ args }) {
        const made = await clientFromEnvironment().post<z.infer<typeof MadeToken>>("/api/v1/tokens", {
          name: args.name,
          expiresAt: args.expires ?? null,
        });
        showOne(made, args.json);
      },
    }),
    revoke: defineCommand({
      meta: { name: "revoke", description: "Revoke a token at once" },
      args: { id: { type: "positional", required: true, description: "Id of the token" } },
      run: async ({ args }) => clientFromEnvironment().delete(`/api/v1/tokens/${args.id}`),
    }),
  },
});

export const session = defineCommand({
  meta: { name: "session", description: "Your sessions, and the web console" },
  subCommands: {
    ...ownSessions,
    link: defineCommand({
      meta: { name: "link", description: "A one-time sign-in link that acts as this token does" },
      args: { json },
      async run({ args }) {
        const client = clientFromEnvironment();
        const link = await client.post<z.infer<typeof SignInLink>>("/api/v1/sessions/links", {});
        if (args.json) return showOne({ ...link, url: client.url + link.path }, true);
        console.log(`${client.url}${link.path}  (once, until ${localTime(link.expiresAt)})`);
      },
    }),
    current: defineCommand({
      meta: { name: "current", description: "Who am I" },
      args: { json },
      run: async ({ args }) => showOne(await clientFromEnvironment().get<Record<string, unknown>>("/api/v1/sessions/current"), args.json),
    }),
  },
});
