/**
 * Who may call what: the one table of route × role × scope. Routes enforce it, the OpenAPI document shows it (`x-access`),
 * docs/access.md is made of it, and tests try every row with every role.
 */
import { Role } from "../contract/roles.ts";

/**
 * - `subtree`: what it shows or changes lies in the departments for which the roles are held; the rest answers 404
 * - `all`: not by department
 * - `self`: whoever is signed in, with whatever role or none
 * - `public`: without credentials
 */
export interface Access {
  roles: readonly Role[];
  scope: "subtree" | "all" | "self" | "public";
}

const everyone = Role.options;
/** Those whom the cloud's own business concerns: who asks, decides, pays, supervises, runs and audits. */
const business: readonly Role[] = ["applicant", "approver", "authority", "finance", "supervision", "operations", "audit-admin", "auditor"];
/** Those who may say something about a request: auditors only look. */
const speaks: Access = { roles: business.filter((role) => role !== "auditor" && role !== "audit-admin"), scope: "subtree" };
const platform: readonly Role[] = ["operations", "authority", "audit-admin", "auditor"];

const open: Access = { roles: [], scope: "public" };
const self: Access = { roles: [], scope: "self" };
const reads: Access = { roles: business, scope: "subtree" };
/** Whoever sets them sees them too. */
const readsPolicies: Access = { roles: [...business, "security-admin"], scope: "subtree" };
const asks: Access = { roles: ["applicant", "operations"], scope: "subtree" };
const files: Access = { roles: ["applicant", "authority"], scope: "subtree" };
const decides: Access = { roles: ["approver", "authority"], scope: "subtree" };
/** Whoever uses what was made, or decided on it. */
const answersTrials: Access = { roles: ["applicant", "approver", "authority", "operations"], scope: "subtree" };
const supervises: Access = { roles: ["supervision"], scope: "subtree" };
/** The supervision board. Whom a card names finds it under /account. */
const oversees: Access = { roles: ["supervision", "audit-admin", "auditor"], scope: "subtree" };
const all = (...roles: Role[]): Access => ({ roles, scope: "all" });
const operates = all("operations");
/** What leaves the house, and where to. */
const watches = all("system-admin", "audit-admin", "auditor");

/** Who may be in a host at all; by what right stands in domain/host-access.ts: auditors never are. */
const enters: Access = { roles: ["applicant", "operations", "system-admin"], scope: "subtree" };
const owns: Access = { roles: ["applicant", "approver"], scope: "subtree" };
/** That somebody was in a host, and who let them in. */
const sees: Access = { roles: ["applicant", "approver", "operations", "system-admin", "security-admin", "audit-admin", "auditor"], scope: "subtree" };

/** By method and path, as the routes have them. */
export const accessTable: Readonly<Record<string, Access>> = {
  "get /healthz": open,
  "get /readyz": open,
  "get /openapi.json": open,
  "get /metrics": all("operations", "system-admin", "audit-admin", "auditor"),
  "get /sign-in": open,
  "get /sign-in/oidc/callback": open,
  "get /sign-in/oidc/{id}/start": open,
  "post /sign-in/oidc/{id}/back-channel-logout": open,
  "get /api/v1/sign-in/providers": open,

  "post /api/v1/sign-in": open,
  "post /api/v1/account-links/read": open,
  "post /api/v1/account-links/use": open,
  "get /api/v1/account": self,
  "post /api/v1/account/password": self,
  "post /api/v1/account/totp": self,
  "post /api/v1/account/totp/confirm": self,
  "post /api/v1/account/totp/remove": self,
  "get /api/v1/account/tokens": self,
  "post /api/v1/account/tokens": self,
  "delete /api/v1/account/tokens/{id}": self,
  "get /api/v1/account/notifications": self,
  "put /api/v1/account/notifications": self,
  "get /api/v1/notices": self,
  "get /api/v1/notices/unread": self,
  "post /api/v1/notices/read": self,
  "get /api/v1/accounts": all("system-admin", "security-admin", "audit-admin", "auditor"),
  "post /api/v1/accounts": all("system-admin"),
  "get /api/v1/accounts/{id}": all("system-admin", "security-admin", "audit-admin", "auditor"),
  "post /api/v1/accounts/{id}/disable": all("system-admin"),
  "post /api/v1/accounts/{id}/enable": all("system-admin"),
  "post /api/v1/accounts/{id}/unlock": all("system-admin"),
  "post /api/v1/accounts/{id}/reset": all("system-admin"),
  "post /api/v1/accounts/{id}/tokens": all("system-admin"),
  "get /api/v1/identity-providers": all("system-admin", "security-admin", "audit-admin", "auditor"),
  "post /api/v1/identity-providers": all("system-admin"),
  "get /api/v1/identity-providers/{id}": all("system-admin", "security-admin", "audit-admin", "auditor"),
  "patch /api/v1/identity-providers/{id}": all("system-admin"),
  "put /api/v1/identity-providers/{id}/mapping": all("security-admin"),
  "get /api/v1/identity-providers/{id}/identities": all("system-admin", "security-admin", "audit-admin", "auditor"),
  "post /api/v1/identity-providers/{id}/identities": all("system-admin"),
  "delete /api/v1/identity-providers/{id}/identities/{account}": all("system-admin"),
  "get /api/v1/sessions": self,
  "delete /api/v1/sessions/{id}": self,
  "get /api/v1/sessions/current": self,
  "delete /api/v1/sessions/current": self,
  "post /api/v1/sessions/links": self,
  "get /api/v1/tokens": all("system-admin", "security-admin", "audit-admin", "auditor"),
  "post /api/v1/tokens": all("system-admin"),
  "delete /api/v1/tokens/{id}": all("system-admin", "security-admin"),
  "get /api/v1/role-bindings": all("system-admin", "security-admin", "audit-admin", "auditor"),
  // A system administrator makes the first security administrator, and is refused everything else.
  "post /api/v1/role-bindings": all("security-admin", "system-admin"),
  "post /api/v1/role-bindings/{id}/revoke": all("security-admin"),
  "post /api/v1/role-bindings/{id}/elevate": self,
  "post /api/v1/role-bindings/{id}/review": all("audit-admin"),
  "get /api/v1/audit": { roles: ["supervision", "audit-admin", "auditor"], scope: "subtree" },
  "get /api/v1/audit/export": all("audit-admin", "auditor"),
  "get /api/v1/audit/checkpoints": all("audit-admin", "auditor"),

  "get /api/v1/departments": { roles: everyone, scope: "subtree" },
  "get /api/v1/departments/{id}": { roles: everyone, scope: "subtree" },
  "post /api/v1/departments": operates,
  "patch /api/v1/departments/{id}": operates,
  "get /api/v1/projects": reads,
  "get /api/v1/projects/{id}": reads,
  // Which role may take which step stands in domain/project-stages.ts.
  "post /api/v1/projects": files,
  "patch /api/v1/projects/{id}": files,
  "post /api/v1/projects/{id}/advance": { roles: ["applicant", "authority", "finance"], scope: "subtree" },
  "get /api/v1/projects/{id}/steps": reads,
  "put /api/v1/projects/{id}/funds/{kind}/{year}": { roles: ["finance"], scope: "subtree" },
  "post /api/v1/project-imports": files,
  "get /api/v1/plan-policy": { roles: business, scope: "all" },
  "put /api/v1/plan-policy": all("authority"),
  "get /api/v1/term-policy": { roles: business, scope: "all" },
  "put /api/v1/term-policy": all("authority"),
  "get /api/v1/price-books": { roles: business, scope: "all" },
  "post /api/v1/price-books": all("finance"),
  "get /api/v1/applications": reads,
  "get /api/v1/applications/{id}": reads,
  "post /api/v1/applications": operates,
  "patch /api/v1/applications/{id}": operates,
  "get /api/v1/pools": { roles: platform, scope: "all" },
  "get /api/v1/pools/{id}": { roles: platform, scope: "all" },
  "get /api/v1/pools/{id}/members": { roles: platform, scope: "all" },
  "post /api/v1/pools": operates,
  "patch /api/v1/pools/{id}": operates,
  "get /api/v1/members": { roles: platform, scope: "all" },
  "get /api/v1/members/{pool}/{name}/things": { roles: platform, scope: "all" },
  "get /api/v1/operation-plans": { roles: platform, scope: "all" },
  "get /api/v1/operation-plans/{id}": { roles: platform, scope: "all" },
  "post /api/v1/operation-plans": operates,
  // Whoever drew it up doesn't confirm it.
  "post /api/v1/operation-plans/{id}/confirm": operates,
  "post /api/v1/operation-plans/{id}/cancel": operates,
  "post /api/v1/operation-plans/{id}/recompute": operates,
  "get /api/v1/catalogue": { roles: everyone, scope: "all" },
  "get /api/v1/images": { roles: platform, scope: "all" },
  "get /api/v1/images/{code}": { roles: platform, scope: "all" },
  "put /api/v1/images/{code}": operates,
  "delete /api/v1/images/{code}": operates,
  "post /api/v1/city-imports": operates,

  "get /api/v1/quotas": reads,
  "get /api/v1/quotas/{department}/{dimension}": reads,
  "put /api/v1/quotas/{department}/{dimension}": operates,
  "get /api/v1/quota-findings": { roles: platform, scope: "all" },
  "post /api/v1/quota-reconciliations": operates,
  "post /api/v1/quota-findings/{id}/close": operates,
  "post /api/v1/requests/what-if": { roles: ["applicant", "approver", "authority", "finance", "operations"], scope: "subtree" },
  "get /api/v1/requests": reads,
  "get /api/v1/requests/{id}": reads,
  "post /api/v1/requests": asks,
  "post /api/v1/requests/{id}/submit": asks,
  "post /api/v1/requests/{id}/withdraw": asks,
  "post /api/v1/requests/{id}/approve": decides,
  "post /api/v1/requests/{id}/reject": decides,
  "post /api/v1/requests/{id}/return": decides,
  "post /api/v1/requests/{id}/check-plan": decides,
  "post /api/v1/requests/{id}/answer": asks,
  "post /api/v1/requests/{id}/amend": asks,
  "post /api/v1/requests/{id}/agree-restart": owns,
  "post /api/v1/requests/{id}/accept-trial": answersTrials,
  "post /api/v1/requests/{id}/refuse-trial": answersTrials,
  "get /api/v1/requests/{id}/decision": reads,
  "get /api/v1/requests/{id}/comments": reads,
  "post /api/v1/requests/{id}/comments": speaks,
  "get /api/v1/requests/{id}/evidence": reads,
  "post /api/v1/requests/{id}/evidence": speaks,
  "get /api/v1/requests/{id}/evidence/{evidence}": reads,
  // What the caller may decide is for domain/deciding.ts to say, step by step.
  "get /api/v1/inbox": all("approver", "authority"),
  "get /api/v1/delegations": all("approver", "authority", "supervision", "audit-admin", "auditor"),
  "post /api/v1/delegations": all("approver", "authority"),
  "delete /api/v1/delegations/{id}": all("approver", "authority"),
  "get /api/v1/approval-policies": readsPolicies,
  "get /api/v1/approval-policies/{department}": readsPolicies,
  "put /api/v1/approval-policies/{department}": all("security-admin"),
  "get /api/v1/calendars": { roles: everyone, scope: "all" },
  "get /api/v1/calendars/{year}": { roles: everyone, scope: "all" },
  "post /api/v1/calendars": all("system-admin"),
  "put /api/v1/calendars/{year}": all("system-admin"),
  "get /api/v1/supervision-rules": oversees,
  "get /api/v1/supervision-rules/{id}": oversees,
  "get /api/v1/supervision-rules/{id}/versions": oversees,
  "post /api/v1/supervision-rules": supervises,
  "put /api/v1/supervision-rules/{id}": supervises,
  "get /api/v1/supervision-cards": oversees,
  "get /api/v1/supervision-cards/{id}": oversees,
  "post /api/v1/supervision-cards/{id}/accept": supervises,
  "get /api/v1/supervision-counts": oversees,
  "get /api/v1/corrections": oversees,
  "post /api/v1/corrections": supervises,
  "post /api/v1/corrections/{id}/close": supervises,
  "post /api/v1/corrections/{id}/reopen": supervises,
  "get /api/v1/account/supervision-cards": self,
  "get /api/v1/account/supervision-cards/{id}": self,
  "post /api/v1/account/supervision-cards/{id}/answers": self,
  "get /api/v1/account/corrections": self,
  "post /api/v1/account/corrections/{id}/done": self,
  "get /api/v1/events": reads,
  "get /api/v1/requests/{id}/events": reads,
  "get /api/v1/hosts": reads,
  "get /api/v1/hosts/{id}": reads,
  "post /api/v1/hosts/{id}/sessions": enters,
  "post /api/v1/hosts/{id}/exec": enters,
  "get /api/v1/hosts/{id}/console-log": enters,
  "get /api/v1/host-sessions": sees,
  "get /api/v1/host-sessions/{id}": sees,
  "get /api/v1/host-sessions/{id}/socket": enters,
  "get /api/v1/host-sessions/{id}/recording": { roles: ["applicant", "security-admin", "audit-admin"], scope: "subtree" },
  "post /api/v1/host-sessions/{id}/end": { roles: ["applicant", "operations", "system-admin", "security-admin"], scope: "subtree" },
  "get /api/v1/consents": sees,
  "get /api/v1/consents/{id}": sees,
  "post /api/v1/consents": all("operations", "system-admin"),
  "post /api/v1/consents/{id}/grant": owns,
  "post /api/v1/consents/{id}/refuse": owns,
  "post /api/v1/consents/{id}/revoke": { roles: ["applicant", "approver", "operations", "system-admin", "security-admin"], scope: "subtree" },
  "get /api/v1/volumes": reads,
  "get /api/v1/volumes/{id}": reads,
  "get /api/v1/backup-policies": reads,
  "get /api/v1/backup-policies/{id}": reads,
  "get /api/v1/backups": reads,
  "get /api/v1/backups/{id}": reads,
  "post /api/v1/backups": asks,
  "get /api/v1/restores": reads,
  "get /api/v1/restores/{id}": reads,
  "post /api/v1/restores": asks,
  "get /api/v1/snapshots": reads,
  "get /api/v1/snapshots/{id}": reads,
  "post /api/v1/snapshots": asks,
  "patch /api/v1/snapshots/{id}": asks,
  "delete /api/v1/snapshots/{id}": asks,
  "get /api/v1/snapshot-reverts": reads,
  "get /api/v1/snapshot-reverts/{id}": reads,
  "post /api/v1/snapshot-reverts": asks,
  // Somebody else of the department than whoever asked, and no operator (domain/host-access.ts).
  "post /api/v1/snapshot-reverts/{id}/confirm": owns,
  "post /api/v1/snapshot-reverts/{id}/cancel": { roles: ["applicant", "approver", "operations"], scope: "subtree" },
  "get /api/v1/snapshot-policy": { roles: business, scope: "all" },
  "put /api/v1/snapshot-policy": all("authority"),
  "get /api/v1/member-losses": { roles: platform, scope: "all" },
  "get /api/v1/member-losses/{id}": { roles: platform, scope: "all" },
  "post /api/v1/member-losses/{id}/give-up": operates,
  "post /api/v1/member-losses/{id}/confirm": operates,
  "post /api/v1/member-losses/{id}/keep": operates,
  "get /api/v1/maintenance-windows": reads,
  "get /api/v1/maintenance-windows/{id}": reads,
  "post /api/v1/maintenance-windows": operates,
  "patch /api/v1/maintenance-windows/{id}": operates,
  "post /api/v1/maintenance-windows/{id}/cancel": operates,
  "get /api/v1/maintenance-policy": { roles: business, scope: "all" },
  "put /api/v1/maintenance-policy": all("authority"),
  "get /api/v1/usage": reads,
  "get /api/v1/register.csv": reads,

  "get /api/v1/drift": reads,
  "get /api/v1/drift/{id}": reads,
  "post /api/v1/adoption-scans": operates,
  "get /api/v1/adoption-scans/{pool}": operates,
  "get /api/v1/adoptions": operates,
  "post /api/v1/adoptions": operates,
  "post /api/v1/drift-scans": operates,
  "post /api/v1/drift/{id}/put-back": operates,
  "post /api/v1/drift/{id}/adopt": operates,
  "post /api/v1/drift/{id}/accept": operates,
  "post /api/v1/stack-operations": operates,
  "get /api/v1/stack-operations/{id}": reads,
  "get /api/v1/stack-updates": reads,
  "get /api/v1/stack-updates/{id}/events": reads,
  "get /api/v1/webhooks": watches,
  "get /api/v1/webhooks/{id}": watches,
  "post /api/v1/webhooks": all("system-admin"),
  "patch /api/v1/webhooks/{id}": all("system-admin"),
  "delete /api/v1/webhooks/{id}": all("system-admin"),
  "post /api/v1/webhooks/{id}/rotate-secret": all("system-admin"),
  "post /api/v1/webhooks/{id}/test": all("system-admin"),
  "get /api/v1/webhooks/{id}/deliveries": watches,
  "get /api/v1/deliveries": watches,
  "post /api/v1/deliveries/{id}/redeliver": all("system-admin"),
  "get /api/v1/system/backups": all("system-admin"),
  "post /api/v1/system/backups": all("system-admin"),
  "get /api/v1/system/backups/{id}": all("system-admin"),
  "get /api/v1/system/backups/{id}/archive": all("system-admin"),
  "get /api/v1/system/key-escrows": all("system-admin", "security-admin", "audit-admin", "auditor"),
  "post /api/v1/system/key-escrows": all("system-admin", "security-admin"),
  "post /api/v1/system/key-escrows/{id}/approve": all("system-admin", "security-admin"),
  "get /api/v1/system/unknown": all("operations", "system-admin", "audit-admin", "auditor"),
  "post /api/v1/system/unknown/acknowledge": operates,
};

/** @throws when a route has no row: it must not start */
export function accessOf(method: string, path: string): Access {
  const access = accessTable[`${method} ${path}`];
  if (!access) throw new Error(`${method} ${path} has no row in the table of access (api/access.ts).`);
  return access;
}
