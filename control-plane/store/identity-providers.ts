/** Identity providers: set up by the system administrator; which claims give which roles, by the security administrator. */
import type { Selectable } from "kysely";
import type { ClaimRule, IdentityProviderChange, NewIdentityProvider } from "../contract/identity-providers.ts";
import { notFound, Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { resolveDepartment } from "./departments.ts";
import { newId } from "./ids.ts";
import { type Page, page, type PageAsk } from "./page.ts";
import { endProviderSessions } from "./provider-sessions.ts";
import type { IdentityProviders } from "./schema.ts";

export type ProviderRow = Selectable<IdentityProviders>;
type Seal = (context: string, text: string) => string;

/** What its sealed secret is bound to. */
export const providerContext = (id: string): string => `identity-provider/${id}`;
export const mappingOf = (row: ProviderRow): ClaimRule[] => row.mapping as ClaimRule[];

const audited = (row: ProviderRow) => ({ subjectKind: "identity-provider", subjectId: row.id, departmentId: null });
const told = ({ issuer, client_id, scopes, makes_accounts, enabled }: ProviderRow) => ({
  issuer,
  clientId: client_id,
  scopes,
  makesAccounts: makes_accounts,
  enabled,
});

/** @throws Refusal conflict: there is one of this issuer */
export async function createProvider(tx: Tx, act: Act, ask: NewIdentityProvider, seal: Seal): Promise<ProviderRow> {
  const id = newId("idp", act.now);
  const row = await tx
    .insertInto("identity_providers")
    .values({
      id,
      name_zh: ask.nameZh,
      name_en: ask.nameEn,
      issuer: ask.issuer,
      client_id: ask.clientId,
      secret_sealed: ask.clientSecret === null ? null : seal(providerContext(id), ask.clientSecret),
      scopes: ask.scopes,
      makes_accounts: ask.makesAccounts,
      enabled: ask.enabled,
      created_at: act.now,
      updated_at: act.now,
    })
    .onConflict((on) => on.column("issuer").doNothing())
    .returningAll()
    .executeTakeFirst();
  if (!row) throw new Refusal("conflict", `There is an identity provider ${ask.issuer} already.`, { errors: [{ pointer: "/issuer", detail: "is taken" }] });
  await appendAudit(tx, act, { ...audited(row), action: "identity-provider.create", after: told(row) });
  return row;
}

export function listProviders(db: Db, ask: PageAsk): Promise<Page<ProviderRow>> {
  return page(db.selectFrom("identity_providers").selectAll(), { ...ask, by: "id" });
}
/** What the sign-in page offers. */
export const enabledProviders = (db: Db): Promise<ProviderRow[]> =>
  db.selectFrom("identity_providers").selectAll().where("enabled", "=", true).orderBy("id").execute();

/** @throws Refusal not-found */
export async function getProvider(db: Db, id: string): Promise<ProviderRow> {
  const row = await db.selectFrom("identity_providers").selectAll().where("id", "=", id).executeTakeFirst();
  if (!row) throw notFound("identity provider", id);
  return row;
}

async function lockProvider(tx: Tx, id: string): Promise<ProviderRow> {
  const row = await tx.selectFrom("identity_providers").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (!row) throw notFound("identity provider", id);
  return row;
}

/** The issuer stays: whom it knows is known by it. @param match refuses a revision that is not the one that was seen */
export async function changeProvider(
  tx: Tx,
  act: Act,
  id: string,
  change: IdentityProviderChange,
  seal: Seal,
  match: (revision: number) => void,
): Promise<ProviderRow> {
  const before = await lockProvider(tx, id);
  match(before.revision);
  const after = await tx
    .updateTable("identity_providers")
    .set({
      name_zh: change.nameZh ?? before.name_zh,
      name_en: change.nameEn ?? before.name_en,
      client_id: change.clientId ?? before.client_id,
      secret_sealed:
        change.clientSecret === undefined ? before.secret_sealed : change.clientSecret === null ? null : seal(providerContext(id), change.clientSecret),
      scopes: change.scopes ?? before.scopes,
      makes_accounts: change.makesAccounts ?? before.makes_accounts,
      enabled: change.enabled ?? before.enabled,
      revision: before.revision + 1,
      updated_at: act.now,
    })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
  // Whom it let in was let in by it.
  if (before.enabled && !after.enabled) await endProviderSessions(tx, act, id, "all", "the identity provider is offered no more");
  await appendAudit(tx, act, {
    ...audited(after),
    action: "identity-provider.change",
    before: told(before),
    after: { ...told(after), ...(change.clientSecret === undefined ? {} : { secret: "changed" }) },
  });
  return after;
}

/** Holds from everybody's next sign-in on. @throws Refusal not-found for a department that there is not */
export async function setMapping(tx: Tx, act: Act, id: string, mapping: readonly ClaimRule[], match: (revision: number) => void): Promise<ProviderRow> {
  const before = await lockProvider(tx, id);
  match(before.revision);
  // By id: a code may be given to another department one day.
  const resolved: ClaimRule[] = [];
  for (const rule of mapping) resolved.push({ ...rule, department: rule.department === null ? null : (await resolveDepartment(tx, rule.department)).id });
  const after = await tx
    .updateTable("identity_providers")
    .set({ mapping: JSON.stringify(resolved), revision: before.revision + 1, updated_at: act.now })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendAudit(tx, act, { ...audited(after), action: "identity-provider.mapping", before: { mapping: mappingOf(before) }, after: { mapping: resolved } });
  return after;
}
