/** Words for states and kinds. */
import { msg } from "@lit/localize";
import { type Role, roleNames } from "../../control-plane/contract/roles.ts";
import { getLocale } from "./index.ts";

const names: Record<string, () => string> = {
  online: () => msg("在线", { id: "s-online" }),
  evacuated: () => msg("停止接收", { id: "s-evacuated" }),
  offline: () => msg("无应答", { id: "s-offline" }),
  planning: () => msg("编制中", { id: "s-planning" }),
  confirmed: () => msg("已确认", { id: "s-confirmed" }),
  done: () => msg("完成", { id: "s-complete" }),
  running: () => msg("运行中", { id: "s-running" }),
  stopped: () => msg("已停止", { id: "s-stopped" }),
  crashed: () => msg("异常退出", { id: "s-crashed" }),
  missing: () => msg("未发现", { id: "s-missing" }),
  unknown: () => msg("未知", { id: "s-unknown" }),
  present: () => msg("正常", { id: "s-present" }),
  live: () => msg("在用", { id: "s-live" }),
  wanted: () => msg("待开通", { id: "s-wanted" }),
  proposed: () => msg("拟申请", { id: "s-proposed" }),
  retiring: () => msg("回收中", { id: "s-retiring" }),
  gone: () => msg("已回收", { id: "s-gone" }),
  failed: () => msg("失败", { id: "s-failed" }),
  draft: () => msg("草稿", { id: "s-draft" }),
  submitted: () => msg("已提交，编制方案中", { id: "s-submitted" }),
  planned: () => msg("方案已编制", { id: "s-planned" }),
  "department-approval": () => msg("待部门审批", { id: "s-department" }),
  "authority-approval": () => msg("待主管部门审批", { id: "s-authority" }),
  "needs-information": () => msg("待补充说明", { id: "s-information" }),
  deciding: () => msg("待审批", { id: "s-deciding" }),
  asked: () => msg("已退回补充", { id: "s-asked" }),
  skipped: () => msg("无需审批", { id: "s-skipped" }),
  waiting: () => msg("等待资源", { id: "s-waiting" }),
  approved: () => msg("已批准", { id: "s-approved" }),
  applying: () => msg("实施中", { id: "s-applying" }),
  scheduled: () => msg("待重启", { id: "s-scheduled" }),
  "on-trial": () => msg("试运行", { id: "s-on-trial" }),
  active: () => msg("已完成", { id: "s-active" }),
  expiring: () => msg("即将到期", { id: "s-expiring" }),
  reclaimed: () => msg("已到期回收", { id: "s-reclaimed" }),
  rejected: () => msg("已驳回", { id: "s-rejected" }),
  withdrawn: () => msg("已撤回", { id: "s-withdrawn" }),
  pending: () => msg("等待", { id: "s-pending" }),
  complete: () => msg("完成", { id: "s-complete" }),
  expired: () => msg("已过期", { id: "s-expired" }),
  cancelled: () => msg("已取消", { id: "s-cancelled" }),
  filed: () => msg("已申报", { id: "s-filed" }),
  reviewed: () => msg("已评审", { id: "s-reviewed" }),
  accepted: () => msg("已验收", { id: "s-accepted" }),
  evaluated: () => msg("已绩效评价", { id: "s-evaluated" }),
  closed: () => msg("已关闭", { id: "s-closed" }),
  construction: () => msg("建设资金", { id: "f-construction" }),
  operating: () => msg("运维", { id: "f-operating" }),
  support: () => msg("同意", { id: "v-support" }),
  "support-with-changes": () => msg("修改后同意", { id: "v-changes" }),
  oppose: () => msg("不同意", { id: "v-oppose" }),
};
export const stateName = (state: string): string => names[state]?.() ?? state;

const kinds: Record<string, () => string> = {
  host: () => msg("主机", { id: "k-host" }),
  volume: () => msg("存储卷", { id: "k-volume" }),
  attachment: () => msg("挂载", { id: "k-attachment" }),
  "backup-policy": () => msg("备份策略", { id: "k-policy" }),
  create: () => msg("新建", { id: "a-create" }),
  adopt: () => msg("纳管（采纳现状）", { id: "a-adopt" }),
  update: () => msg("变更", { id: "a-update" }),
  replace: () => msg("替换", { id: "a-replace" }),
  delete: () => msg("删除", { id: "a-delete" }),
  resize: () => msg("调整", { id: "a-resize" }),
  extend: () => msg("延期", { id: "a-extend" }),
  start: () => msg("启动", { id: "a-start" }),
  stop: () => msg("停止", { id: "a-stop" }),
  retire: () => msg("回收", { id: "a-retire" }),
  redeploy: () => msg("重新部署", { id: "a-redeploy" }),
  transfer: () => msg("移交", { id: "a-transfer" }),
  application: () => msg("业务系统", { id: "application" }),
  grow: () => msg("扩容", { id: "a-grow" }),
  attach: () => msg("挂载", { id: "k-attachment" }),
  detach: () => msg("卸载", { id: "a-detach" }),
};
export const kindName = (kind: string): string => kinds[kind]?.() ?? kind;

const events: Record<string, () => string> = {
  "request.submitted": () => msg("已提交，开始编制变更方案", { id: "e-submitted" }),
  "request.planned": () => msg("变更方案已编制", { id: "e-planned" }),
  "request.department-approval": () => msg("待部门审批", { id: "s-department" }),
  "request.authority-approval": () => msg("待主管部门审批", { id: "s-authority" }),
  "request.needs-information": () => msg("待补充说明", { id: "s-information" }),
  "request.comment": () => msg("意见", { id: "c-comment" }),
  "request.question": () => msg("询问", { id: "c-question" }),
  "request.answer": () => msg("答复", { id: "c-answer" }),
  "request.amendment": () => msg("变更说明", { id: "c-amendment" }),
  "request.attached": () => msg("添加附件", { id: "attach" }),
  "approval.opened": () => msg("提交审批", { id: "e-opened" }),
  "approval.approved": () => msg("环节通过", { id: "e-step-approved" }),
  "approval.rejected": () => msg("环节驳回", { id: "e-step-rejected" }),
  "approval.returned": () => msg("退回补充", { id: "return" }),
  "approval.invalidated": () => msg("方案已变动，此前审批失效", { id: "e-invalidated" }),
  "request.waiting": () => msg("等待资源", { id: "s-waiting" }),
  "request.approved": () => msg("已批准", { id: "s-approved" }),
  "request.applying": () => msg("开始实施", { id: "e-applying" }),
  "request.scheduled": () => msg("待重启", { id: "s-scheduled" }),
  "restart.needed": () => msg("须重启，请约定时间", { id: "e-restart-needed" }),
  "restart.scheduled": () => msg("重启时间已约定", { id: "e-restart-agreed" }),
  "restart.soon": () => msg("即将按约重启", { id: "e-restart-soon" }),
  "restart.done": () => msg("已按约重启", { id: "e-restart-done" }),
  "restart.failed": () => msg("按约重启的变更失败", { id: "e-restart-failed" }),
  "request.trial-refused": () => msg("试运行不通过", { id: "e-trial-refused" }),
  "request.on-trial": () => msg("试运行", { id: "s-on-trial" }),
  "request.active": () => msg("已完成", { id: "s-active" }),
  "request.stopping": () => msg("到期停机，申请", { id: "e-stopping" }),
  "request.reclaiming": () => msg("拟到期回收，申请", { id: "e-reclaiming" }),
  "request.expiring": () => msg("即将到期", { id: "s-expiring" }),
  "request.reclaimed": () => msg("已到期回收", { id: "s-reclaimed" }),
  "request.failed": () => msg("失败", { id: "s-failed" }),
  "request.rejected": () => msg("已驳回", { id: "s-rejected" }),
  "request.withdrawn": () => msg("已撤回", { id: "s-withdrawn" }),
  "step.started": () => msg("引擎开始", { id: "e-step-started" }),
  "step.done": () => msg("引擎完成", { id: "e-step-done" }),
  "step.failed": () => msg("引擎失败", { id: "e-step-failed" }),
  "application.transferred": () => msg("业务系统已移交", { id: "e-transferred" }),
  "item.applied": () => msg("事项已实施", { id: "e-item-applied" }),
  "item.failed": () => msg("事项失败", { id: "e-item-failed" }),
};
export const eventName = (type: string): string => events[type]?.() ?? type;

const dimensions: Record<string, () => string> = {
  hosts: () => msg("主机", { id: "hosts" }),
  vcpu: () => "vCPU",
  memory_mib: () => msg("内存 MiB", { id: "d-memory" }),
  "storage_gib:standard": () => msg("标准存储 GiB", { id: "d-standard" }),
  "storage_gib:performance": () => msg("高性能存储 GiB", { id: "d-performance" }),
  "storage_gib:capacity": () => msg("大容量存储 GiB", { id: "d-capacity" }),
  backup_gib: () => msg("备份 GiB", { id: "d-backup" }),
};
export const dimensionName = (dimension: string): string => dimensions[dimension]?.() ?? dimension;

const commentKinds: Record<string, () => string> = {
  comment: () => msg("意见", { id: "c-comment" }),
  question: () => msg("询问", { id: "c-question" }),
  answer: () => msg("答复", { id: "c-answer" }),
  amendment: () => msg("变更说明", { id: "c-amendment" }),
};
export const commentKind = (kind: string): string => commentKinds[kind]?.() ?? kind;

/** Of a deadline in a year whose holidays are not known yet. */
export const provisionalMark = (): string => msg("（暂定：该年工作日历未导入）", { id: "provisional" });

/** How much time a decision has, in words. */
export function timeLeft({ overdue, workingDaysLeft, provisional }: { overdue: boolean; workingDaysLeft: number | null; provisional: boolean }): string {
  if (overdue) return `✕ ${msg("已逾期", { id: "overdue" })}`;
  if (workingDaysLeft === null) return "–";
  if (workingDaysLeft === 0) return `▲ ${msg("今日截止", { id: "due-today" })}`;
  return `${workingDaysLeft} ${msg("个工作日", { id: "working-days" })}${provisional ? ` ${provisionalMark()}` : ""}`;
}

const results: Record<string, () => string> = {
  done: () => msg("成功", { id: "r-done" }),
  denied: () => msg("拒绝", { id: "r-denied" }),
  failed: () => msg("失败", { id: "s-failed" }),
};
/** Of an audit entry. */
export const resultName = (result: string): string => results[result]?.() ?? result;

/** The roles that an audit entry names, with commas; of whom is no person (system) as it is. */
export const roleName = (roles: string): string =>
  roles
    .split(",")
    .map((role) => (Object.hasOwn(roleNames, role) ? roleNames[role as Role][getLocale() === "en" ? "en" : "zh"] : role))
    .join(", ");
