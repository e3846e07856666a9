/** Accounts and their tokens as the API shows them. */
import type { Account, PersonalToken } from "../contract/accounts.ts";
import type { AccountRow } from "../store/accounts.ts";
import type { TokenRow } from "../store/tokens.ts";

const time = (at: Date | null) => at?.toISOString() ?? null;

export function shownAccount(row: AccountRow, now: Date): Account {
  const locked = row.locked_until !== null && row.locked_until > now;
  const invited = row.kind === "person" && row.password_hash === null;
  return {
    id: row.id,
    name: row.name,
    displayName: row.display_name,
    kind: row.kind,
    state: row.disabled_at ? "disabled" : locked ? "locked" : invited ? "invited" : "active",
    lockedUntil: locked ? time(row.locked_until) : null,
    secondFactor: row.totp_confirmed_at !== null,
    lastSignInAt: time(row.last_sign_in_at),
    createdAt: row.created_at.toISOString(),
    revision: row.revision,
  };
}

export function shownToken(row: TokenRow): PersonalToken {
  return {
    id: row.id,
    name: row.name,
    scope: row.read_only ? "read" : "all",
    expiresAt: time(row.expires_at),
    revokedAt: time(row.revoked_at),
    lastUsedAt: time(row.last_used_at),
    createdAt: row.created_at.toISOString(),
  };
}
