/** How each route of subtrees is tried by a stranger: who may call what stands in control-plane/api/access.ts alone. */
import type { World } from "./world.ts";

export interface Trial {
  /** For routes that name a thing: its address and body. A stranger gets 404, the owner does not. */
  stranger?: (ids: World["ids"]) => { path: string; body?: unknown };
  /** For routes that list: a stranger's list has none of the owner's. */
  list?: string;
  /** The field that says whose an item is, where items may well speak of others: a denial names what was asked for. */
  by?: string;
}

const lists = (list: string): Trial => ({ list });
const names = (stranger: Trial["stranger"]): Trial => ({ stranger });
const reads = (noun: string, kind: keyof World["ids"]): Trial => names((ids) => ({ path: `/api/v1/${noun}/${ids[kind]}` }));

export const trials: Record<string, Trial> = {
  "get /api/v1/departments": lists("/api/v1/departments"),
  "get /api/v1/departments/{id}": reads("departments", "department"),
  "get /api/v1/projects": lists("/api/v1/projects"),
  "get /api/v1/projects/{id}": reads("projects", "project"),
  "post /api/v1/projects": names((ids) => ({
    path: "/api/v1/projects",
    body: { department: ids.department, code: "q", name: "Q", fiscalYear: 2026, budgetFen: 1 },
  })),
  "patch /api/v1/projects/{id}": names((ids) => ({ path: `/api/v1/projects/${ids.filedProject}`, body: { name: "Other" } })),
  "post /api/v1/projects/{id}/advance": names((ids) => ({ path: `/api/v1/projects/${ids.project}/advance`, body: { event: "operate", reason: "r" } })),
  "get /api/v1/projects/{id}/steps": names((ids) => ({ path: `/api/v1/projects/${ids.project}/steps` })),
  "put /api/v1/projects/{id}/funds/{kind}/{year}": names((ids) => ({
    path: `/api/v1/projects/${ids.project}/funds/construction/2026`,
    body: { amountFen: 2, reason: "r" },
  })),
  "post /api/v1/project-imports": names((ids) => ({
    path: "/api/v1/project-imports",
    body: { dryRun: true, projects: [{ department: ids.department, code: "q", name: "Q", fiscalYear: 2026, budgetFen: 1 }] },
  })),
  "get /api/v1/applications": lists("/api/v1/applications"),
  "get /api/v1/applications/{id}": reads("applications", "application"),
  "get /api/v1/audit": { list: "/api/v1/audit?limit=500", by: "department" },
  "get /api/v1/events": names((ids) => ({ path: `/api/v1/events?department=${ids.department}` })),
  "get /api/v1/requests/{id}/events": names((ids) => ({ path: `/api/v1/requests/${ids.request}/events` })),
  "get /api/v1/quotas": lists("/api/v1/quotas"),
  "get /api/v1/quotas/{department}/{dimension}": names((ids) => ({ path: `/api/v1/quotas/${ids.department}/hosts` })),
  "get /api/v1/requests": lists("/api/v1/requests"),
  "get /api/v1/requests/{id}": reads("requests", "request"),
  "post /api/v1/requests": names((ids) => ({
    path: "/api/v1/requests",
    body: {
      project: ids.project,
      application: ids.application,
      title: "T",
      draft: true,
      items: [{ action: "create", kind: "volume", spec: { name: "v", sizeGib: 1 } }],
    },
  })),
  "post /api/v1/requests/what-if": names((ids) => ({
    path: "/api/v1/requests/what-if",
    body: {
      project: ids.project,
      application: ids.application,
      title: "T",
      draft: true,
      items: [{ action: "create", kind: "volume", spec: { name: "v", sizeGib: 1 } }],
    },
  })),
  "post /api/v1/requests/{id}/submit": names((ids) => ({ path: `/api/v1/requests/${ids.request}/submit` })),
  "post /api/v1/requests/{id}/withdraw": names((ids) => ({ path: `/api/v1/requests/${ids.request}/withdraw` })),
  "post /api/v1/requests/{id}/approve": names((ids) => ({ path: `/api/v1/requests/${ids.request}/approve`, body: { planHash: "0".repeat(64) } })),
  "post /api/v1/requests/{id}/reject": names((ids) => ({ path: `/api/v1/requests/${ids.request}/reject`, body: { reason: "no" } })),
  "post /api/v1/requests/{id}/agree-restart": names((ids) => ({ path: `/api/v1/requests/${ids.request}/agree-restart`, body: { time: { when: "now" } } })),
  "post /api/v1/requests/{id}/accept-trial": names((ids) => ({ path: `/api/v1/requests/${ids.request}/accept-trial` })),
  "post /api/v1/requests/{id}/refuse-trial": names((ids) => ({ path: `/api/v1/requests/${ids.request}/refuse-trial`, body: { reason: "no" } })),
  "get /api/v1/requests/{id}/decision": names((ids) => ({ path: `/api/v1/requests/${ids.request}/decision` })),
  "post /api/v1/requests/{id}/return": names((ids) => ({ path: `/api/v1/requests/${ids.request}/return`, body: { question: "why?" } })),
  "post /api/v1/requests/{id}/check-plan": names((ids) => ({ path: `/api/v1/requests/${ids.request}/check-plan` })),
  "post /api/v1/requests/{id}/answer": names((ids) => ({ path: `/api/v1/requests/${ids.request}/answer`, body: { text: "T" } })),
  "post /api/v1/requests/{id}/amend": names((ids) => ({
    path: `/api/v1/requests/${ids.request}/amend`,
    body: { text: "T", items: [{ action: "create", kind: "volume", spec: { name: "v", sizeGib: 1 } }] },
  })),
  "get /api/v1/requests/{id}/comments": names((ids) => ({ path: `/api/v1/requests/${ids.request}/comments` })),
  "post /api/v1/requests/{id}/comments": names((ids) => ({ path: `/api/v1/requests/${ids.request}/comments`, body: { text: "T" } })),
  "get /api/v1/requests/{id}/evidence": names((ids) => ({ path: `/api/v1/requests/${ids.request}/evidence` })),
  "post /api/v1/requests/{id}/evidence": names((ids) => ({
    path: `/api/v1/requests/${ids.request}/evidence`,
    body: { name: "t.txt", type: "text/plain", content: "dGV4dA==" },
  })),
  "get /api/v1/requests/{id}/evidence/{evidence}": names((ids) => ({ path: `/api/v1/requests/${ids.request}/evidence/${ids.evidence}` })),
  "get /api/v1/approval-policies": lists("/api/v1/approval-policies"),
  "get /api/v1/approval-policies/{department}": names((ids) => ({ path: `/api/v1/approval-policies/${ids.department}` })),
  "get /api/v1/supervision-rules": lists("/api/v1/supervision-rules?limit=500"),
  "get /api/v1/supervision-rules/{id}": reads("supervision-rules", "supervisionRule"),
  "get /api/v1/supervision-rules/{id}/versions": names((ids) => ({ path: `/api/v1/supervision-rules/${ids.supervisionRule}/versions` })),
  "post /api/v1/supervision-rules": names((ids) => ({
    path: "/api/v1/supervision-rules",
    body: { department: ids.department, name: "R", terms: { kind: "same-person", colour: "red" } },
  })),
  "put /api/v1/supervision-rules/{id}": names((ids) => ({
    path: `/api/v1/supervision-rules/${ids.supervisionRule}`,
    body: { name: "R", terms: { kind: "same-person", colour: "red" } },
  })),
  "get /api/v1/supervision-cards": lists("/api/v1/supervision-cards"),
  "get /api/v1/supervision-cards/{id}": reads("supervision-cards", "supervisionCard"),
  "post /api/v1/supervision-cards/{id}/accept": names((ids) => ({ path: `/api/v1/supervision-cards/${ids.supervisionCard}/accept`, body: {} })),
  "get /api/v1/supervision-counts": names((ids) => ({ path: `/api/v1/supervision-counts?department=${ids.department}` })),
  "get /api/v1/corrections": lists("/api/v1/corrections"),
  "post /api/v1/corrections": names((ids) => ({
    path: "/api/v1/corrections",
    body: { card: ids.supervisionCard, what: "W", assignee: "tok_00000000000000000000000000", due: "2999-01-01" },
  })),
  "post /api/v1/corrections/{id}/close": names((ids) => ({ path: `/api/v1/corrections/${ids.correction}/close`, body: { note: "n" } })),
  "post /api/v1/corrections/{id}/reopen": names((ids) => ({ path: `/api/v1/corrections/${ids.correction}/reopen`, body: { note: "n", due: "2999-01-01" } })),
  "get /api/v1/hosts": lists("/api/v1/hosts"),
  "get /api/v1/hosts/{id}": reads("hosts", "host"),
  "post /api/v1/hosts/{id}/sessions": names((ids) => ({ path: `/api/v1/hosts/${ids.host}/sessions`, body: { purpose: "look" } })),
  "post /api/v1/hosts/{id}/exec": names((ids) => ({ path: `/api/v1/hosts/${ids.host}/exec`, body: { argv: ["true"] } })),
  "get /api/v1/hosts/{id}/console-log": names((ids) => ({ path: `/api/v1/hosts/${ids.host}/console-log` })),
  "get /api/v1/host-sessions": lists("/api/v1/host-sessions"),
  "get /api/v1/host-sessions/{id}": reads("host-sessions", "hostSession"),
  // Without an upgrade it is a mistake of whoever may see the session, and nothing to anybody else.
  "get /api/v1/host-sessions/{id}/socket": names((ids) => ({ path: `/api/v1/host-sessions/${ids.hostSession}/socket` })),
  "get /api/v1/host-sessions/{id}/recording": names((ids) => ({ path: `/api/v1/host-sessions/${ids.hostSession}/recording` })),
  "post /api/v1/host-sessions/{id}/end": names((ids) => ({ path: `/api/v1/host-sessions/${ids.hostSession}/end`, body: {} })),
  "get /api/v1/consents": lists("/api/v1/consents"),
  "get /api/v1/consents/{id}": reads("consents", "consent"),
  "post /api/v1/consents/{id}/grant": names((ids) => ({ path: `/api/v1/consents/${ids.consent}/grant`, body: {} })),
  "post /api/v1/consents/{id}/refuse": names((ids) => ({ path: `/api/v1/consents/${ids.consent}/refuse`, body: { reason: "no" } })),
  "post /api/v1/consents/{id}/revoke": names((ids) => ({ path: `/api/v1/consents/${ids.consent}/revoke`, body: {} })),
  "get /api/v1/volumes": lists("/api/v1/volumes"),
  "get /api/v1/volumes/{id}": reads("volumes", "volume"),
  "get /api/v1/backup-policies": lists("/api/v1/backup-policies"),
  "get /api/v1/backup-policies/{id}": reads("backup-policies", "backup-policy"),
  "get /api/v1/backups": lists("/api/v1/backups"),
  "get /api/v1/backups/{id}": reads("backups", "backup"),
  "post /api/v1/backups": names((ids) => ({ path: "/api/v1/backups", body: { volume: ids.volume } })),
  "get /api/v1/restores": lists("/api/v1/restores"),
  "get /api/v1/restores/{id}": reads("restores", "restore"),
  "post /api/v1/restores": names((ids) => ({ path: "/api/v1/restores", body: { backup: ids.backup } })),
  "get /api/v1/snapshots": lists("/api/v1/snapshots"),
  "get /api/v1/snapshots/{id}": reads("snapshots", "snapshot"),
  "post /api/v1/snapshots": names((ids) => ({ path: "/api/v1/snapshots", body: { volume: ids.volume, name: "s" } })),
  "patch /api/v1/snapshots/{id}": names((ids) => ({ path: `/api/v1/snapshots/${ids.snapshot}`, body: { note: "N" } })),
  "delete /api/v1/snapshots/{id}": names((ids) => ({ path: `/api/v1/snapshots/${ids.snapshot}` })),
  "get /api/v1/snapshot-reverts": lists("/api/v1/snapshot-reverts"),
  "get /api/v1/snapshot-reverts/{id}": reads("snapshot-reverts", "snapshotRevert"),
  "post /api/v1/snapshot-reverts": names((ids) => ({
    path: "/api/v1/snapshot-reverts",
    body: { snapshot: ids.snapshot, volumeName: "volume", reason: "R" },
  })),
  "post /api/v1/snapshot-reverts/{id}/confirm": names((ids) => ({
    path: `/api/v1/snapshot-reverts/${ids.snapshotRevert}/confirm`,
    body: { volumeName: "volume" },
  })),
  "post /api/v1/snapshot-reverts/{id}/cancel": names((ids) => ({ path: `/api/v1/snapshot-reverts/${ids.snapshotRevert}/cancel`, body: { reason: "R" } })),
  "get /api/v1/maintenance-windows": lists("/api/v1/maintenance-windows"),
  "get /api/v1/maintenance-windows/{id}": reads("maintenance-windows", "maintenanceWindow"),
  "get /api/v1/usage": lists("/api/v1/usage"),
  "get /api/v1/register.csv": lists("/api/v1/register.csv"),
  "get /api/v1/stack-operations/{id}": reads("stack-operations", "stackOperation"),
  "get /api/v1/drift": lists("/api/v1/drift"),
  "get /api/v1/drift/{id}": reads("drift", "drift"),
  "get /api/v1/stack-updates": names((ids) => ({ path: `/api/v1/stack-updates?department=${ids.department}` })),
  "get /api/v1/stack-updates/{id}/events": names((ids) => ({ path: `/api/v1/stack-updates/${ids.stackUpdate}/events` })),
};

/** Pages and scripts that are the same for everybody and hold nothing of anybody's. */
export const staticPages = ["GET /docs", "GET /docs/start.js", "GET /docs/scalar.js", "GET /*"];
