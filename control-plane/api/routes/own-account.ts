/** One's own account: password, second factor, personal tokens. What a thief of a session would want takes the password once more. */
import { NewNotificationSettings, type NoticeKind, NotificationSettings } from "../../contract/notices.ts";
import { setMailSettings } from "../../store/mail-settings.ts";
import { etag, requireMatch } from "../middleware/etag.ts";
import {
  Again,
  ChangePassword,
  ConfirmTotp,
  MadePersonalToken,
  NewPersonalToken,
  NewTotp,
  OwnAccount,
  PersonalToken,
  RecoveryCodes,
  RemoveTotp,
} from "../../contract/accounts.ts";
import { PageQuery, pageOf } from "../../contract/common.ts";
import { otpauthUri } from "../../domain/totp.ts";
import { Refusal } from "../../domain/refusal.ts";
import { hashNewPassword, keepPassword, proveAgain } from "../../store/account-passwords.ts";
import { makeAccountToken } from "../../store/account-tokens.ts";
import { type AccountRow, getAccount } from "../../store/accounts.ts";
import { beginTotp, confirmTotp, recoveryCodesLeft, removeTotp } from "../../store/second-factors.ts";
import { listTokens, revokeToken } from "../../store/tokens.ts";
import { shownAccount, shownToken } from "../account-shown.ts";
import type { ApiContext, App, AppDeps } from "../deps.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { byId, defineRoute, jsonAnswer, jsonBody } from "../route.ts";

const path = "/api/v1/account";
const tags = ["account"];
const read = defineRoute({ method: "get", path, tags, summary: "One's own account", responses: { 200: jsonAnswer(OwnAccount) } });
const password = defineRoute({
  method: "post",
  path: `${path}/password`,
  tags,
  summary: "Change one's password; ends one's other sessions",
  problems: [429],
  request: { body: jsonBody(ChangePassword) },
  responses: { 204: { description: "Changed" } },
});
const begin = defineRoute({
  method: "post",
  path: `${path}/totp`,
  tags,
  summary: "Begin with a second factor: a secret for an authenticator app",
  problems: [429],
  request: { body: jsonBody(Again) },
  responses: { 201: jsonAnswer(NewTotp, "It counts once a code of it was seen") },
});
const confirm = defineRoute({
  method: "post",
  path: `${path}/totp/confirm`,
  tags,
  summary: "Confirm the second factor by its first code; answers recovery codes, once",
  request: { body: jsonBody(ConfirmTotp) },
  responses: { 200: jsonAnswer(RecoveryCodes) },
});
const remove = defineRoute({
  method: "post",
  path: `${path}/totp/remove`,
  tags,
  summary: "Remove the second factor, by a code of it or a recovery code",
  problems: [429],
  request: { body: jsonBody(RemoveTotp) },
  responses: { 204: { description: "Removed" } },
});
const tokens = defineRoute({
  method: "get",
  path: `${path}/tokens`,
  tags,
  summary: "One's own tokens",
  request: { query: PageQuery },
  responses: { 200: jsonAnswer(pageOf(PersonalToken)) },
});
const createToken = defineRoute({
  method: "post",
  path: `${path}/tokens`,
  tags,
  summary: "Make a token for oneself; its secret is shown once",
  problems: [429],
  request: { body: jsonBody(NewPersonalToken) },
  responses: { 201: jsonAnswer(MadePersonalToken, "Made") },
});
const revoke = defineRoute({
  method: "delete",
  path: `${path}/tokens/{id}`,
  tags,
  summary: "Revoke one of one's own tokens at once",
  request: byId,
  responses: { 204: { description: "Revoked" } },
});

const notifications = defineRoute({
  method: "get",
  path: `${path}/notifications`,
  tags,
  summary: "How one is told beside one's notices: by mail, where to and about what",
  responses: { 200: jsonAnswer(NotificationSettings) },
});
const setNotifications = defineRoute({
  method: "put",
  path: `${path}/notifications`,
  tags,
  summary: "Change how one is told",
  request: { body: jsonBody(NewNotificationSettings) },
  responses: { 200: jsonAnswer(NotificationSettings) },
});

export function registerOwnAccount(app: App, deps: AppDeps): void {
  /** @throws Refusal("forbidden") for a token that is no account's */
  const own = async (c: ApiContext): Promise<AccountRow> => {
    const { accountId } = c.get("holder");
    if (accountId === undefined) throw new Refusal("forbidden", "This token belongs to no account.", { remedy: "Sign in to an account first." });
    return getAccount(deps.db, accountId);
  };
  /** Of somebody who has signed in: a token, once leaked, must not make others, nor take the account over. */
  const signedIn = async (c: ApiContext): Promise<{ account: AccountRow; sessionId: string }> => {
    const account = await own(c);
    const { sessionId } = c.get("holder");
    if (sessionId === undefined) throw new Refusal("forbidden", "A token may not do this: sign in.", { remedy: "zhengyun login, or the console." });
    return { account, sessionId };
  };

  app.openapi(read, async (c) => {
    const account = await own(c);
    const body: OwnAccount = {
      ...shownAccount(account, deps.now()),
      passwordSetAt: account.password_set_at?.toISOString() ?? null,
      recoveryCodesLeft: await recoveryCodesLeft(deps.db, account.id),
    };
    return c.json(body);
  });
  app.openapi(password, async (c) => {
    const { account, sessionId } = await signedIn(c);
    const body = c.req.valid("json");
    await proveAgain(deps.db, account, body.password, deps.now());
    const hash = await hashNewPassword(deps.db, account, body.newPassword, "/newPassword");
    return idempotent(c, deps, async (tx) => {
      await keepPassword(tx, c.get("act"), account, hash, sessionId);
      return { status: 204 };
    });
  });
  app.openapi(begin, async (c) => {
    const { account } = await signedIn(c);
    await proveAgain(deps.db, account, c.req.valid("json").password, deps.now());
    return idempotent(c, deps, async (tx) => {
      const secret = await beginTotp(tx, c.get("act"), account, deps);
      return { status: 201, body: { secret, uri: otpauthUri(account.name, secret) }, secret: true };
    });
  });
  app.openapi(confirm, async (c) => {
    const { account } = await signedIn(c);
    return idempotent(c, deps, async (tx) => ({
      status: 200,
      body: { recoveryCodes: await confirmTotp(tx, c.get("act"), account, c.req.valid("json").code, deps) },
      secret: true,
    }));
  });
  app.openapi(remove, async (c) => {
    const { account } = await signedIn(c);
    const body = c.req.valid("json");
    await proveAgain(deps.db, account, body.password, deps.now());
    return idempotent(c, deps, async (tx) => {
      await removeTotp(tx, c.get("act"), account, body.code, deps);
      return { status: 204 };
    });
  });
  const shownSettings = (row: AccountRow): NotificationSettings => ({
    email: row.email,
    language: row.language,
    mailKinds: row.mail_kinds as NoticeKind[],
    mailConfigured: deps.mailConfigured ?? false,
  });
  app.openapi(notifications, async (c) => {
    const account = await own(c);
    return c.json(shownSettings(account), 200, { etag: etag(account.revision) });
  });
  app.openapi(setNotifications, async (c) => {
    const { account } = await signedIn(c);
    const body = c.req.valid("json");
    const row = await deps.db.transaction().execute((tx) => setMailSettings(tx, c.get("act"), account.id, body, (revision) => requireMatch(c, revision)));
    return c.json(shownSettings(row), 200, { etag: etag(row.revision) });
  });
  app.openapi(tokens, async (c) => {
    const { items, next } = await listTokens(deps.db, c.req.valid("query"), (await own(c)).id);
    return c.json({ items: items.map(shownToken), next });
  });
  app.openapi(createToken, async (c) => {
    const { account } = await signedIn(c);
    const { password: again, ...ask } = c.req.valid("json");
    await proveAgain(deps.db, account, again, deps.now());
    return idempotent(c, deps, async (tx) => {
      const made = await makeAccountToken(tx, c.get("act"), account, { ...ask, expiresAt: new Date(ask.expiresAt) });
      return { status: 201, body: { ...shownToken(made.token), secret: made.secret }, secret: true };
    });
  });
  app.openapi(revoke, async (c) => {
    const account = await own(c);
    await deps.db.transaction().execute((tx) => revokeToken(tx, c.get("act"), c.req.valid("param").id, account.id));
    return c.body(null, 204);
  });
}
