/** Identity providers as administrators see them. */
import { Id, PageQuery, pageOf } from "../../contract/common.ts";
import { ClaimMapping, Identity, IdentityProvider, IdentityProviderChange, NewIdentity, NewIdentityProvider } from "../../contract/identity-providers.ts";
import { type IdentityRow, linkIdentity, listIdentities, unlinkIdentity } from "../../store/identities.ts";
import { changeProvider, createProvider, getProvider, listProviders, mappingOf, type ProviderRow, setMapping } from "../../store/identity-providers.ts";
import type { z } from "zod";
import type { App, AppDeps } from "../deps.ts";
import { baseUrl } from "../base-url.ts";
import { etag, requireMatch } from "../middleware/etag.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { requireSecureIssuer } from "../oidc-client.ts";
import { byId, defineRoute, jsonAnswer, jsonBody } from "../route.ts";

const path = "/api/v1/identity-providers";
const tags = ["identity-providers"];
const list = defineRoute({
  method: "get",
  path,
  tags,
  summary: "Identity providers",
  request: { query: PageQuery },
  responses: { 200: jsonAnswer(pageOf(IdentityProvider)) },
});
const read = defineRoute({
  method: "get",
  path: `${path}/{id}`,
  tags,
  summary: "An identity provider",
  request: byId,
  responses: { 200: jsonAnswer(IdentityProvider) },
});
const create = defineRoute({
  method: "post",
  path,
  tags,
  summary: "Let people sign in by an identity provider (OpenID Connect)",
  request: { body: jsonBody(NewIdentityProvider) },
  responses: { 201: jsonAnswer(IdentityProvider, "Made") },
});
const change = defineRoute({
  method: "patch",
  path: `${path}/{id}`,
  tags,
  summary: "Change an identity provider, or offer it no more",
  request: { ...byId, body: jsonBody(IdentityProviderChange) },
  responses: { 200: jsonAnswer(IdentityProvider) },
});
const map = defineRoute({
  method: "put",
  path: `${path}/{id}/mapping`,
  tags,
  summary: "Which claims give which roles, from everybody's next sign-in on",
  request: { ...byId, body: jsonBody(ClaimMapping) },
  responses: { 200: jsonAnswer(IdentityProvider) },
});
const identities = defineRoute({
  method: "get",
  path: `${path}/{id}/identities`,
  tags,
  summary: "Who of the provider's people is which account",
  request: { ...byId, query: PageQuery },
  responses: { 200: jsonAnswer(pageOf(Identity)) },
});
const link = defineRoute({
  method: "post",
  path: `${path}/{id}/identities`,
  tags,
  summary: "Say who of the provider's people an account is",
  request: { ...byId, body: jsonBody(NewIdentity) },
  responses: { 201: jsonAnswer(Identity, "Linked") },
});

const unlink = defineRoute({
  method: "delete",
  path: `${path}/{id}/identities/{account}`,
  tags,
  summary: "Say that an account is none of the provider's people any more: its sessions by it end at once",
  request: { params: byId.params.extend({ account: Id }) },
  responses: { 204: { description: "Unlinked" } },
});

const shown = (row: ProviderRow, base: string): IdentityProvider => ({
  id: row.id,
  nameZh: row.name_zh,
  nameEn: row.name_en,
  issuer: row.issuer,
  clientId: row.client_id,
  hasSecret: row.secret_sealed !== null,
  scopes: row.scopes,
  makesAccounts: row.makes_accounts,
  enabled: row.enabled,
  mapping: mappingOf(row),
  register: {
    redirectUri: `${base}/sign-in/oidc/callback`,
    postLogoutRedirectUri: `${base}/`,
    backChannelLogoutUri: `${base}/sign-in/oidc/${row.id}/back-channel-logout`,
  },
  createdAt: row.created_at.toISOString(),
  updatedAt: row.updated_at.toISOString(),
  revision: row.revision,
});
const shownIdentity = (row: IdentityRow): z.infer<typeof Identity> => ({
  subject: row.subject,
  account: row.account_id,
  accountName: row.account_name ?? row.account_id,
  createdAt: row.created_at.toISOString(),
});

export function registerIdentityProviders(app: App, deps: AppDeps): void {
  app.openapi(list, async (c) => {
    const { items, next } = await listProviders(deps.db, c.req.valid("query"));
    return c.json({ items: items.map((row) => shown(row, baseUrl(c, deps))), next });
  });
  app.openapi(read, async (c) => {
    const row = await getProvider(deps.db, c.req.valid("param").id);
    return c.json(shown(row, baseUrl(c, deps)), 200, { etag: etag(row.revision) });
  });
  app.openapi(create, (c) => {
    const body = c.req.valid("json");
    requireSecureIssuer(body.issuer, deps);
    return idempotent(c, deps, async (tx) => ({ status: 201, body: shown(await createProvider(tx, c.get("act"), body, deps.seal), baseUrl(c, deps)) }));
  });
  app.openapi(change, async (c) => {
    const row = await deps.db
      .transaction()
      .execute((tx) => changeProvider(tx, c.get("act"), c.req.valid("param").id, c.req.valid("json"), deps.seal, (revision) => requireMatch(c, revision)));
    return c.json(shown(row, baseUrl(c, deps)), 200, { etag: etag(row.revision) });
  });
  app.openapi(map, async (c) => {
    const row = await deps.db
      .transaction()
      .execute((tx) => setMapping(tx, c.get("act"), c.req.valid("param").id, c.req.valid("json").mapping, (revision) => requireMatch(c, revision)));
    return c.json(shown(row, baseUrl(c, deps)), 200, { etag: etag(row.revision) });
  });
  app.openapi(identities, async (c) => {
    const provider = await getProvider(deps.db, c.req.valid("param").id);
    const { items, next } = await listIdentities(deps.db, provider.id, c.req.valid("query"));
    return c.json({ items: items.map(shownIdentity), next });
  });
  app.openapi(unlink, async (c) => {
    const { id, account } = c.req.valid("param");
    const provider = await getProvider(deps.db, id);
    await deps.db.transaction().execute((tx) => unlinkIdentity(tx, c.get("act"), provider, account));
    return c.body(null, 204);
  });
  app.openapi(link, (c) =>
    idempotent(c, deps, async (tx) => {
      const provider = await getProvider(tx, c.req.valid("param").id);
      const { account, subject } = c.req.valid("json");
      return { status: 201, body: shownIdentity(await linkIdentity(tx, c.get("act"), provider, { accountId: account, subject })) };
    }),
  );
}
