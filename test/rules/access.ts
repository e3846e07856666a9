/** Who may call what, said a second time and on purpose: a route that is not here, or says otherwise, fails the test. */
import type { Role } from "../../control-plane/store/schema.ts";
import type { World } from "./world.ts";

export interface AccessCase {
  roles: Role[];
  scope: "subtree" | "all" | "public";
  /** For routes of subtrees that name a thing: its address and body. A stranger gets 404, the owner does not. */
  stranger?: (ids: World["ids"]) => { path: string; body?: unknown };
  /** For routes of subtrees that list: a stranger's list has none of the owner's. */
  list?: string;
}

const everyone: Role[] = ["department", "operations", "auditor"];
const open: AccessCase = { roles: [], scope: "public" };
const operations: AccessCase = { roles: ["operations"], scope: "all" };
const overseers: AccessCase = { roles: ["operations", "auditor"], scope: "all" };
const anyone: AccessCase = { roles: everyone, scope: "all" };
const lists = (list: string): AccessCase => ({ roles: everyone, scope: "subtree", list });
const reads = (noun: string, kind: keyof World["ids"]): AccessCase => ({
  roles: everyone,
  scope: "subtree",
  stranger: (ids) => ({ path: `/api/v1/${noun}/${ids[kind]}` }),
});
const does = (stranger: AccessCase["stranger"]): AccessCase => ({ roles: ["department", "operations"], scope: "subtree", stranger });

export const cases: Record<string, AccessCase> = {
  "get /healthz": open,
  "get /readyz": open,
  "get /openapi.json": open,
  "get /sign-in": open,
  "get /api/v1/tokens": overseers,
  "post /api/v1/tokens": operations,
  "delete /api/v1/tokens/{id}": operations,
  "get /api/v1/sessions/current": anyone,
  "delete /api/v1/sessions/current": anyone,
  "post /api/v1/sessions/links": anyone,
  "get /api/v1/departments": lists("/api/v1/departments"),
  "get /api/v1/departments/{id}": reads("departments", "department"),
  "post /api/v1/departments": operations,
  "patch /api/v1/departments/{id}": operations,
  "get /api/v1/projects": lists("/api/v1/projects"),
  "get /api/v1/projects/{id}": reads("projects", "project"),
  "post /api/v1/projects": operations,
  "patch /api/v1/projects/{id}": operations,
  "get /api/v1/applications": lists("/api/v1/applications"),
  "get /api/v1/applications/{id}": reads("applications", "application"),
  "post /api/v1/applications": operations,
  "patch /api/v1/applications/{id}": operations,
  "get /api/v1/pools": overseers,
  "get /api/v1/pools/{id}": overseers,
  "post /api/v1/pools": operations,
  "patch /api/v1/pools/{id}": operations,
  "get /api/v1/catalogue": anyone,
  "get /api/v1/audit": overseers,
  "get /api/v1/events": { roles: everyone, scope: "subtree", stranger: (ids) => ({ path: `/api/v1/events?department=${ids.department}` }) },
  "get /api/v1/requests/{id}/events": { roles: everyone, scope: "subtree", stranger: (ids) => ({ path: `/api/v1/requests/${ids.request}/events` }) },
  "get /api/v1/quotas": lists("/api/v1/quotas"),
  "get /api/v1/quotas/{department}/{dimension}": { roles: everyone, scope: "subtree", stranger: (ids) => ({ path: `/api/v1/quotas/${ids.department}/hosts` }) },
  "put /api/v1/quotas/{department}/{dimension}": operations,
  "get /api/v1/requests": lists("/api/v1/requests"),
  "get /api/v1/requests/{id}": reads("requests", "request"),
  "post /api/v1/requests": does((ids) => ({
    path: "/api/v1/requests",
    body: {
      project: ids.project,
      application: ids.application,
      title: "T",
      draft: true,
      items: [{ action: "create", kind: "volume", spec: { name: "v", sizeGib: 1 } }],
    },
  })),
  "post /api/v1/requests/{id}/submit": does((ids) => ({ path: `/api/v1/requests/${ids.request}/submit` })),
  "post /api/v1/requests/{id}/withdraw": does((ids) => ({ path: `/api/v1/requests/${ids.request}/withdraw` })),
  "post /api/v1/requests/{id}/approve": operations,
  "post /api/v1/requests/{id}/reject": operations,
  "get /api/v1/hosts": lists("/api/v1/hosts"),
  "get /api/v1/hosts/{id}": reads("hosts", "host"),
  "get /api/v1/volumes": lists("/api/v1/volumes"),
  "get /api/v1/volumes/{id}": reads("volumes", "volume"),
  "get /api/v1/backup-policies": lists("/api/v1/backup-policies"),
  "get /api/v1/backup-policies/{id}": reads("backup-policies", "backup-policy"),
  "get /api/v1/backups": lists("/api/v1/backups"),
  "get /api/v1/backups/{id}": reads("backups", "backup"),
  "post /api/v1/backups": does((ids) => ({ path: "/api/v1/backups", body: { volume: ids.volume } })),
  "get /api/v1/restores": lists("/api/v1/restores"),
  "get /api/v1/restores/{id}": reads("restores", "restore"),
  "post /api/v1/restores": does((ids) => ({ path: "/api/v1/restores", body: { backup: ids.backup } })),
  "get /api/v1/usage": lists("/api/v1/usage"),
  "get /api/v1/register.csv": lists("/api/v1/register.csv"),
  "post /api/v1/stack-operations": operations,
  "get /api/v1/stack-operations/{id}": reads("stack-operations", "stackOperation"),
  "get /api/v1/stack-updates": {
    roles: everyone,
    scope: "subtree",
    stranger: (ids) => ({ path: `/api/v1/stack-updates?department=${ids.department}` }),
  },
  "get /api/v1/stack-updates/{id}/events": {
    roles: everyone,
    scope: "subtree",
    stranger: (ids) => ({ path: `/api/v1/stack-updates/${ids.stackUpdate}/events` }),
  },
  "post /api/v1/city-imports": operations,
  "get /api/v1/system/backups": operations,
  "post /api/v1/system/backups": operations,
  "get /api/v1/system/backups/{id}": operations,
  "get /api/v1/system/backups/{id}/archive": operations,
  "get /api/v1/system/key-escrows": overseers,
  "post /api/v1/system/key-escrows": operations,
  "post /api/v1/system/key-escrows/{id}/approve": operations,
  "get /api/v1/system/unknown": overseers,
  "post /api/v1/system/unknown/acknowledge": operations,
};

/** Pages and scripts that are the same for everybody and hold nothing of anybody's. */
export const staticPages = ["GET /docs", "GET /docs/start.js", "GET /docs/scalar.js", "GET /*"];
