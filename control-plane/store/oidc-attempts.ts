/** Browsers that have gone to an identity provider and will come back: each once, within ten minutes, and only the same browser. */
import type { Selectable } from "kysely";
import type { Db } from "./database.ts";
import type { OidcAttempts } from "./schema.ts";
import { hashSecret, newSecret } from "./tokens.ts";

export const attemptSeconds = 600;

export interface Attempt extends Pick<Selectable<OidcAttempts>, "provider_id" | "nonce" | "verifier" | "redirect_uri"> {
  state: string;
}

/** @returns the browser's own secret, for its cookie */
export async function beginAttempt(db: Db, attempt: Attempt, now: Date): Promise<string> {
  const browser = newSecret("zyo");
  const { state, ...rest } = attempt;
  await db
    .insertInto("oidc_attempts")
    .values({ ...rest, state_hash: hashSecret(state), browser_hash: hashSecret(browser), expires_at: new Date(now.getTime() + attemptSeconds * 1000) })
    .execute();
  return browser;
}

/** Uses it up, whatever becomes of it. undefined: another browser's, used, too old, or never begun */
export async function takeAttempt(db: Db, state: string, browser: string, now: Date): Promise<Omit<Attempt, "state"> | undefined> {
  return db
    .deleteFrom("oidc_attempts")
    .where("state_hash", "=", hashSecret(state))
    .where("browser_hash", "=", hashSecret(browser))
    .where("expires_at", ">", now)
    .returning(["provider_id", "nonce", "verifier", "redirect_uri"])
    .executeTakeFirst();
}
