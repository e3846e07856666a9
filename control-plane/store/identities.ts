/** Who of an identity provider's people is which account: by its `sub` alone, never by name or e-mail. */
import type { Selectable } from "kysely";
import type { OidcError } from "../contract/identity-providers.ts";
import { LoginName } from "../contract/accounts.ts";
import { namesFrom, rulesThatHold } from "../domain/claims.ts";
import { notFound, Refusal } from "../domain/refusal.ts";
import { type AccountRow, createAccount, getAccount } from "./accounts.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { mappingOf, type ProviderRow } from "./identity-providers.ts";
import { nameOf } from "./names.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import { endProviderSessions } from "./provider-sessions.ts";
import { bind, revokeRole } from "./role-bindings.ts";
import type { Identities } from "./schema.ts";
import type { Opened } from "./sessions.ts";
import { actOf, admit, type Visitor } from "./sign-in.ts";

/** Why somebody whom the provider knows is not let in. */
export class NotAdmitted extends Error {
  readonly code: OidcError;
  readonly accountId: string | undefined;
  constructor(code: OidcError, accountId?: string) {
    super(code);
    this.name = "NotAdmitted";
    this.code = code;
    this.accountId = accountId;
  }
}

export type IdentityRow = Selectable<Identities> & { account_name: string | null };

export function listIdentities(db: Db, providerId: string, ask: PageAsk): Promise<Page<IdentityRow>> {
  const query = db.selectFrom("identities as i").selectAll("i").select(nameOf("i.account_id").as("account_name")).where("i.provider_id", "=", providerId);
  return page(query, { ...ask, by: "i.account_id" });
}

/** @throws Refusal not-found, rule-broken for a service, conflict when either is linked already */
export async function linkIdentity(
  tx: Tx,
  act: Act,
  provider: ProviderRow,
  { accountId, subject }: { accountId: string; subject: string },
): Promise<IdentityRow> {
  const account = await getAccount(tx, accountId);
  if (account.kind !== "person") throw new Refusal("rule-broken", "A service signs in nowhere.", { errors: [{ pointer: "/account", detail: "is a service" }] });
  const row = await tx
    .insertInto("identities")
    .values({ provider_id: provider.id, subject, account_id: accountId, created_at: act.now })
    .onConflict((on) => on.doNothing())
    .returningAll()
    .executeTakeFirst();
  if (!row) throw new Refusal("conflict", "This person of the provider, or this account, is linked already.");
  await appendAudit(tx, act, {
    action: "identity.link",
    subjectKind: "account",
    subjectId: accountId,
    departmentId: null,
    after: { provider: provider.id, subject },
  });
  return { ...row, account_name: account.display_name };
}

/** From then on the account is nobody's of this provider: the sessions that it opened end, and the roles that its claims gave. @throws Refusal not-found */
export async function unlinkIdentity(tx: Tx, act: Act, provider: ProviderRow, accountId: string): Promise<void> {
  const row = await tx
    .deleteFrom("identities")
    .where("provider_id", "=", provider.id)
    .where("account_id", "=", accountId)
    .returning("subject")
    .executeTakeFirst();
  if (!row) throw notFound("identity", accountId);
  await endProviderSessions(tx, act, provider.id, { accountId }, "the account was unlinked from the identity provider");
  await bringRoles(tx, act, provider, accountId, {});
  await appendAudit(tx, act, {
    action: "identity.unlink",
    subjectKind: "account",
    subjectId: accountId,
    departmentId: null,
    before: { provider: provider.id, subject: row.subject },
  });
}

/**
 * Lets in whom the provider has confirmed: with the roles that their claims give now, and no more with those that they gave before.
 * @throws NotAdmitted
 */
export async function signInByProvider(
  tx: Tx,
  provider: ProviderRow,
  claims: Readonly<Record<string, unknown>> & { sub: string },
  visitor: Visitor,
): Promise<Opened & { account: AccountRow }> {
  const byProvider: Act = { actor: provider.id, role: "identity-provider", source: visitor.source, correlationId: visitor.correlationId, now: visitor.now };
  const account = (await accountOf(tx, provider.id, claims.sub)) ?? (await makeAccount(tx, byProvider, provider, claims));
  if (account.disabled_at) throw new NotAdmitted("account-disabled", account.id);
  await bringRoles(tx, byProvider, provider, account.id, claims);
  const opened = await admit(tx, actOf(account, visitor), account, visitor, provider.id);
  return { ...opened, account };
}

async function accountOf(tx: Tx, providerId: string, subject: string): Promise<AccountRow | undefined> {
  return tx
    .selectFrom("accounts")
    .selectAll()
    .where("id", "=", (of) => of.selectFrom("identities").select("account_id").where("provider_id", "=", providerId).where("subject", "=", subject))
    .forUpdate()
    .executeTakeFirst();
}

/** Somebody's first sign-in. A name that somebody else has is never taken over: it gets a number. */
async function makeAccount(tx: Tx, act: Act, provider: ProviderRow, claims: Readonly<Record<string, unknown>> & { sub: string }): Promise<AccountRow> {
  if (!provider.makes_accounts) throw new NotAdmitted("no-account");
  const { login, displayName } = namesFrom(claims, claims.sub);
  const fit = LoginName.safeParse(
    login
      .toLowerCase()
      .replaceAll(/[^a-z0-9._@-]/g, "-")
      .slice(0, 60),
  );
  const base = fit.success ? fit.data : "person";
  const taken = new Set(
    (
      await tx
        .selectFrom("accounts")
        .select("name")
        .where("name", "like", `${base.replaceAll(/[%_\\]/g, "\\$&")}%`)
        .execute()
    ).map((one) => one.name),
  );
  let name = base;
  for (let number = 2; taken.has(name); number++) name = `${base}-${number}`;
  const account = await createAccount(tx, act, { name, displayName, kind: "person" });
  await linkIdentity(tx, act, provider, { accountId: account.id, subject: claims.sub });
  return account;
}

async function bringRoles(tx: Tx, act: Act, provider: ProviderRow, accountId: string, claims: Readonly<Record<string, unknown>>): Promise<void> {
  const wanted = rulesThatHold(claims, mappingOf(provider));
  const held = await tx
    .selectFrom("role_bindings")
    .select(["id", "role", "department_id"])
    .where("subject_id", "=", accountId)
    .where("provider_id", "=", provider.id)
    .where("revoked_at", "is", null)
    .execute();
  const same = (rule: (typeof wanted)[number], row: (typeof held)[number]) => rule.role === row.role && rule.department === row.department_id;
  // What is withdrawn first may be what excludes the other.
  for (const row of held) if (!wanted.some((rule) => same(rule, row))) await revokeRole(tx, act, row.id, "not among the claims any more");
  for (const rule of wanted) {
    if (held.some((row) => same(rule, row))) continue;
    try {
      await bind(tx, act, {
        subject_id: accountId,
        role: rule.role,
        department_id: rule.department,
        kind: "standing",
        valid_from: act.now,
        valid_until: null,
        period_from: null,
        period_to: null,
        reason: `claims of ${provider.issuer}`,
        provider_id: provider.id,
      });
    } catch (error) {
      if (error instanceof Refusal && error.code === "conflict") throw new NotAdmitted("roles-conflict", accountId);
      throw error;
    }
  }
}
