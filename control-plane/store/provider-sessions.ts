/** Sessions that an identity provider opened: it ends them too (OpenID Connect Back-Channel Logout 1.0), and is told when the person does. */
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Db, Tx } from "./database.ts";
import { hashSecret } from "./tokens.ts";

/** What its ID token is sealed for. */
export const idTokenContext = (sessionId: string): string => `session/${sessionId}`;

/** @param sid the provider's own session @param idTokenSealed by `idTokenContext` */
export async function noteProvider(
  tx: Tx,
  sessionId: string,
  { providerId, sid, idTokenSealed }: { providerId: string; sid: string | null; idTokenSealed: string },
): Promise<void> {
  await tx.updateTable("sessions").set({ provider_id: providerId, provider_sid: sid, id_token_sealed: idTokenSealed }).where("id", "=", sessionId).execute();
}

/** undefined: nobody's session, or one that no provider opened. */
export async function providerOf(db: Db, secret: string): Promise<{ id: string; providerId: string; idTokenSealed: string } | undefined> {
  const row = await db.selectFrom("sessions").select(["id", "provider_id", "id_token_sealed"]).where("secret_hash", "=", hashSecret(secret)).executeTakeFirst();
  return row?.provider_id && row.id_token_sealed ? { id: row.id, providerId: row.provider_id, idTokenSealed: row.id_token_sealed } : undefined;
}

/** False: this token has been used. @param expiresAt until when it could be sent again */
export async function takeLogout(tx: Tx, providerId: string, jti: string, expiresAt: Date): Promise<boolean> {
  const taken = await tx
    .insertInto("oidc_logouts")
    .values({ provider_id: providerId, jti_hash: hashSecret(jti), expires_at: expiresAt })
    .onConflict((on) => on.doNothing())
    .returning("jti_hash")
    .executeTakeFirst();
  return taken !== undefined;
}

/** Whose sessions: those of the provider's session, of one of its people, or all that it opened. */
export type Whose = { sid: string } | { subject: string } | { accountId: string } | "all";

/** Ends them at once. @returns how many */
export async function endProviderSessions(tx: Tx, act: Act, providerId: string, whose: Whose, why: string): Promise<number> {
  let query = tx.deleteFrom("sessions").where("provider_id", "=", providerId);
  if (whose !== "all") {
    if ("sid" in whose) query = query.where("provider_sid", "=", whose.sid);
    else if ("accountId" in whose) query = query.where("account_id", "=", whose.accountId);
    else
      query = query.where("account_id", "=", (of) =>
        of.selectFrom("identities").select("account_id").where("provider_id", "=", providerId).where("subject", "=", whose.subject),
      );
  }
  const ended = await query.returning(["id", "account_id"]).execute();
  for (const { id, account_id } of ended)
    await appendAudit(tx, act, { action: "session.end", subjectKind: "session", subjectId: id, departmentId: null, after: { account: account_id, why } });
  return ended.length;
}
