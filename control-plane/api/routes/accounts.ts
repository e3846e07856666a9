/** Accounts as administrators see them. Nobody gives a password: a person sets it by a one-time link. */
import { Account, MadeAccount, MadePersonalToken, NewAccount, ServiceToken } from "../../contract/accounts.ts";
import { PageQuery, pageOf } from "../../contract/common.ts";
import { Refusal } from "../../domain/refusal.ts";
import { linkPath, makeSetUpLink, resetAccount } from "../../store/account-links.ts";
import { makeAccountToken } from "../../store/account-tokens.ts";
import { changeAccount, createAccount, getAccount, listAccounts } from "../../store/accounts.ts";
import { shownAccount, shownToken } from "../account-shown.ts";
import type { App, AppDeps } from "../deps.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { byId, defineRoute, jsonAnswer, jsonBody } from "../route.ts";

const path = "/api/v1/accounts";
const tags = ["accounts"];
const list = defineRoute({
  method: "get",
  path,
  tags,
  summary: "Accounts",
  request: { query: PageQuery },
  responses: { 200: jsonAnswer(pageOf(Account)) },
});
const read = defineRoute({
  method: "get",
  path: `${path}/{id}`,
  tags,
  summary: "One account",
  request: byId,
  responses: { 200: jsonAnswer(Account) },
});
const create = defineRoute({
  method: "post",
  path,
  tags,
  summary: "Make an account; a person sets the password by the link in the answer",
  request: { body: jsonBody(NewAccount) },
  responses: { 201: jsonAnswer(MadeAccount, "Made") },
});
const changes = (["disable", "enable", "unlock"] as const).map((change) => ({
  change,
  route: defineRoute({
    method: "post",
    path: `${path}/{id}/${change}`,
    tags,
    summary: {
      disable: "Disable an account and end its sessions at once",
      enable: "Enable a disabled account",
      unlock: "Unlock an account after too many failures",
    }[change],
    request: byId,
    responses: { 200: jsonAnswer(Account) },
  }),
}));
const reset = defineRoute({
  method: "post",
  path: `${path}/{id}/reset`,
  tags,
  summary: "Make password, second factor, sessions and personal tokens void, and a new link to set them up",
  request: byId,
  responses: { 200: jsonAnswer(MadeAccount) },
});
const createToken = defineRoute({
  method: "post",
  path: `${path}/{id}/tokens`,
  tags,
  summary: "Make a token for a service account; its secret is shown once",
  request: { ...byId, body: jsonBody(ServiceToken) },
  responses: { 201: jsonAnswer(MadePersonalToken, "Made") },
});

const setUp = ({ code, expiresAt }: { code: string; expiresAt: Date }) => ({ path: linkPath(code), expiresAt: expiresAt.toISOString() });

export function registerAccounts(app: App, deps: AppDeps): void {
  app.openapi(list, async (c) => {
    const { items, next } = await listAccounts(deps.db, c.req.valid("query"));
    return c.json({ items: items.map((row) => shownAccount(row, deps.now())), next });
  });
  app.openapi(read, async (c) => c.json(shownAccount(await getAccount(deps.db, c.req.valid("param").id), deps.now())));
  app.openapi(create, (c) =>
    idempotent(c, deps, async (tx) => {
      const act = c.get("act");
      const account = await createAccount(tx, act, c.req.valid("json"));
      const body: MadeAccount = {
        ...shownAccount(account, act.now),
        setUp: account.kind === "person" ? setUp(await makeSetUpLink(tx, act, account.id)) : null,
      };
      return { status: 201, body, secret: body.setUp !== null };
    }),
  );
  for (const { change, route } of changes)
    app.openapi(route, (c) =>
      idempotent(c, deps, async (tx) => ({
        status: 200,
        body: shownAccount(await changeAccount(tx, c.get("act"), c.req.valid("param").id, change), deps.now()),
      })),
    );
  app.openapi(reset, (c) =>
    idempotent(c, deps, async (tx) => {
      const { id } = c.req.valid("param");
      const link = await resetAccount(tx, c.get("act"), id);
      const body: MadeAccount = { ...shownAccount(await getAccount(tx, id), deps.now()), setUp: setUp(link) };
      return { status: 200, body, secret: true };
    }),
  );
  app.openapi(createToken, (c) =>
    idempotent(c, deps, async (tx) => {
      const account = await getAccount(tx, c.req.valid("param").id);
      if (account.kind !== "service") throw new Refusal("rule-broken", "People make their tokens themselves: zhengyun token create.");
      const ask = c.req.valid("json");
      const made = await makeAccountToken(tx, c.get("act"), account, { ...ask, expiresAt: new Date(ask.expiresAt) });
      return { status: 201, body: { ...shownToken(made.token), secret: made.secret }, secret: true };
    }),
  );
}
