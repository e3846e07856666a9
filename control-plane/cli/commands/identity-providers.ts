/** Identity providers: who else signs people in. */
import { readFileSync } from "node:fs";
import { defineCommand } from "citty";
import { parse } from "yaml";
import type { Identity, IdentityProvider } from "../../contract/identity-providers.ts";
import type { z } from "zod";
import { json } from "../arguments.ts";
import { clientFromEnvironment } from "../client.ts";
import { localTime, showOne } from "../output.ts";
import { listCommand } from "./list.ts";
import { showCommand } from "./show.ts";

const path = "/api/v1/identity-providers";
const id = { type: "positional", required: true, description: "Id of the identity provider" } as const;
const secretFile = { type: "string", description: "File with the client's secret; left out: a public client" } as const;
const secret = (file: string | undefined) => (file === undefined ? null : readFileSync(file, "utf8").trim());

/** Changes what is there now. */
async function change(provider: string, body: object, asJson: boolean): Promise<void> {
  const client = clientFromEnvironment();
  const { revision } = await client.get<IdentityProvider>(`${path}/${provider}`);
  showOne(await client.patch<IdentityProvider>(`${path}/${provider}`, body, revision), asJson);
}

export const identityProviders = defineCommand({
  meta: { name: "identity-providers", description: "Signing in by OpenID Connect (统一身份认证)" },
  subCommands: {
    list: listCommand<IdentityProvider>({
      noun: "identity providers",
      path,
      columns: [
        { title: "name", value: (row) => `${row.nameZh} / ${row.nameEn}` },
        { title: "issuer", value: (row) => row.issuer },
        { title: "client", value: (row) => row.clientId },
        { title: "first sign-in makes the account", value: (row) => (row.makesAccounts ? "yes" : "no") },
        { title: "offered", value: (row) => (row.enabled ? "yes" : "no") },
        { title: "id", value: (row) => row.id },
      ],
    }),
    show: showCommand("identity-providers", path),
    create: defineCommand({
      meta: { name: "create", description: "Let people sign in by a provider; its redirect address is <console>/sign-in/oidc/callback" },
      args: {
        issuer: { type: "positional", required: true, description: "Such as https://sso.example.gov.cn" },
        client: { type: "string", required: true, description: "Client id at the provider" },
        "secret-file": secretFile,
        name: { type: "string", required: true, description: "As the sign-in page calls it" },
        "name-en": { type: "string", description: "In English; left out: the name" },
        scopes: { type: "string", default: "openid profile", description: "Scopes to ask for" },
        "makes-accounts": { type: "boolean", description: "Somebody's first sign-in makes their account" },
        json,
      },
      async run({ args }) {
        const body = {
          issuer: args.issuer,
          clientId: args.client,
          clientSecret: secret(args["secret-file"]),
          nameZh: args.name,
          nameEn: args["name-en"] ?? args.name,
          scopes: args.scopes,
          makesAccounts: args["makes-accounts"] ?? false,
        };
        showOne(await clientFromEnvironment().post<IdentityProvider>(path, body), args.json);
      },
    }),
    enable: defineCommand({
      meta: { name: "enable", description: "Offer it on the sign-in page" },
      args: { id, json },
      run: ({ args }) => change(args.id, { enabled: true }, args.json),
    }),
    disable: defineCommand({
      meta: { name: "disable", description: "Offer it no more" },
      args: { id, json },
      run: ({ args }) => change(args.id, { enabled: false }, args.json),
    }),
    "set-secret": defineCommand({
      meta: { name: "set-secret", description: "Change the client's secret" },
      args: { id, "secret-file": { ...secretFile, required: true }, json },
      run: ({ args }) => change(args.id, { clientSecret: secret(args["secret-file"]) }, args.json),
    }),
    map: defineCommand({
      meta: { name: "map", description: "Which claims give which roles, as security administrator: a list of {claim, value, role, department}" },
      args: { id, file: { type: "positional", required: true, description: "YAML or JSON file (`-`: standard input)" }, json },
      async run({ args }) {
        const client = clientFromEnvironment();
        const mapping = parse(readFileSync(args.file === "-" ? 0 : args.file, "utf8")) as unknown;
        const { revision } = await client.get<IdentityProvider>(`${path}/${args.id}`);
        showOne(await client.put<IdentityProvider>(`${path}/${args.id}/mapping`, { mapping }, revision), args.json);
      },
    }),
    link: defineCommand({
      meta: { name: "link", description: "Say who of the provider's people an account is" },
      args: {
        id,
        account: { type: "string", required: true, description: "Id of the account" },
        subject: { type: "string", required: true, description: "The provider's `sub` of the person" },
        json,
      },
      async run({ args }) {
        const body = { account: args.account, subject: args.subject };
        showOne(await clientFromEnvironment().post<z.infer<typeof Identity>>(`${path}/${args.id}/identities`, body), args.json);
      },
    }),
    unlink: defineCommand({
      meta: { name: "unlink", description: "An account is none of the provider's people any more: its sessions by it end at once" },
      args: { id, account: { type: "string", required: true, description: "Id of the account" } },
      run: ({ args }) => clientFromEnvironment().delete(`${path}/${args.id}/identities/${args.account}`),
    }),
    people: defineCommand({
      meta: { name: "people", description: "Who of the provider's people is which account" },
      args: { id, json },
      async run({ args }) {
        for await (const one of clientFromEnvironment().all<z.infer<typeof Identity>>(`${path}/${args.id}/identities`))
          console.log(args.json ? JSON.stringify(one) : `${one.subject}  ${one.accountName}  ${localTime(one.createdAt)}  ${one.account}`);
      },
    }),
  },
});
