/** Where each role can go, in the order of the navigation: one line a page. */
import { msg } from "@lit/localize";
import type { Role } from "../control-plane/contract/roles.ts";
import { pages } from "./paths.ts";

export interface Place {
  path: string;
  name(): string;
  /** Whom it is shown; left out: everyone. */
  roles?: readonly Role[];
}

/** Of one's own cards: how many wait is shown beside it. */
export const ownCards: Place = {
  path: pages.ownCards(),
  name: () => msg("我的监察件", { id: "own-cards" }),
  roles: ["applicant", "approver", "authority", "finance", "operations"],
};

export const places: readonly Place[] = [
  { path: pages.usage(), name: () => msg("用量与配额", { id: "usage-title" }) },
  { path: pages.inbox(), name: () => msg("审批", { id: "inbox" }), roles: ["approver", "authority"] },
  { path: pages.requests(), name: () => msg("申请", { id: "requests" }) },
  { path: pages.newRequest(), name: () => msg("新建申请", { id: "new-request" }) },
  { path: pages.delegations(), name: () => msg("请假与代理", { id: "delegations" }), roles: ["approver", "authority"] },
  { path: pages.supervision(), name: () => msg("电子监察", { id: "supervision" }), roles: ["supervision", "audit-admin", "auditor"] },
  ownCards,
  { path: pages.audit(), name: () => msg("审计记录", { id: "audit" }), roles: ["supervision", "audit-admin", "auditor"] },
  { path: pages.pools(), name: () => msg("资源池", { id: "pools" }), roles: ["operations", "authority", "audit-admin", "auditor"] },
  { path: pages.images(), name: () => msg("镜像", { id: "images" }), roles: ["operations"] },
  { path: pages.members(), name: () => msg("集群与运维方案", { id: "members-title" }), roles: ["operations"] },
  { path: pages.adoptions(), name: () => msg("纳管", { id: "adoptions" }), roles: ["operations"] },
  { path: pages.losses(), name: () => msg("失联成员", { id: "losses" }), roles: ["operations", "authority", "audit-admin", "auditor"] },
  { path: pages.drift(), name: () => msg("配置漂移", { id: "drift" }), roles: ["operations"] },
  {
    path: pages.hostSessions(),
    name: () => msg("主机授权与会话", { id: "inside-hosts" }),
    roles: ["applicant", "approver", "operations", "system-admin", "security-admin", "audit-admin", "auditor"],
  },
  { path: pages.maintenance(), name: () => msg("维护窗口", { id: "mw-title" }), roles: ["operations", "authority"] },
  { path: pages.quotaFindings(), name: () => msg("配额对账", { id: "quota-findings" }), roles: ["operations", "authority", "audit-admin", "auditor"] },
  { path: pages.accounts(), name: () => msg("账户", { id: "accounts" }), roles: ["system-admin", "security-admin", "audit-admin", "auditor"] },
  { path: pages.roles(), name: () => msg("角色授权", { id: "roles" }), roles: ["system-admin", "security-admin", "audit-admin", "auditor"] },
  { path: pages.webhooks(), name: () => msg("对外通知（Webhook）", { id: "webhooks" }), roles: ["system-admin", "audit-admin", "auditor"] },
  { path: pages.calendars(), name: () => msg("工作日历", { id: "calendars" }), roles: ["system-admin", "supervision"] },
];
