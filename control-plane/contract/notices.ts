/** Notices (通知): what a person is told, what it reads like, and how they want to be told. */
import { z } from "zod";
import { Id, Time } from "./common.ts";

/** What a notice says beside its kind: plain values, never a secret. Its texts are made of it where it is shown. */
export type NoticeData = Readonly<Record<string, string | number | boolean | null>>;
export type Language = "zh-CN" | "en";
type Words = Record<Language, string>;

interface Kind {
  /** What people choose it by. */
  name: Words;
  /** {number} stands for data.number; what isn't there is left out. */
  text: Words;
}

/** Every kind: a new one needs its line here. */
export const noticeKinds = {
  "step.opened": {
    name: { "zh-CN": "待我审批", en: "Waits for my decision" },
    text: {
      "zh-CN": "申请 {number}《{title}》等待您审批（{stage}），截止 {due}",
      en: "Request {number} “{title}” waits for your decision ({stage}), due {due}",
    },
  },
  "step.due-soon": {
    name: { "zh-CN": "审批即将到期", en: "A decision is due soon" },
    text: { "zh-CN": "申请 {number}《{title}》的审批（{stage}）即将到期：{due}", en: "Request {number} “{title}”: the decision ({stage}) is due soon, {due}" },
  },
  "request.answered": {
    name: { "zh-CN": "申请人已答复", en: "The applicant has answered" },
    text: { "zh-CN": "申请 {number}《{title}》的申请人已答复您的询问", en: "Request {number} “{title}”: the applicant has answered your question" },
  },
  "request.returned": {
    name: { "zh-CN": "申请被退回补正", en: "My request needs information" },
    text: { "zh-CN": "申请 {number}《{title}》需要补充说明", en: "Request {number} “{title}” needs information from you" },
  },
  "request.approved": {
    name: { "zh-CN": "申请已批准", en: "My request was approved" },
    text: { "zh-CN": "申请 {number}《{title}》已批准", en: "Request {number} “{title}” was approved" },
  },
  "request.rejected": {
    name: { "zh-CN": "申请被驳回", en: "My request was rejected" },
    text: { "zh-CN": "申请 {number}《{title}》被驳回：{reason}", en: "Request {number} “{title}” was rejected: {reason}" },
  },
  "request.failed": {
    name: { "zh-CN": "申请执行失败", en: "My request failed" },
    text: { "zh-CN": "申请 {number}《{title}》执行失败", en: "Request {number} “{title}” failed" },
  },
  "request.active": {
    name: { "zh-CN": "申请已开通", en: "My request is active" },
    text: { "zh-CN": "申请 {number}《{title}》已开通", en: "Request {number} “{title}” is active" },
  },
  "request.expired": {
    name: { "zh-CN": "申请逾期撤回", en: "My request has lapsed" },
    text: {
      "zh-CN": "申请 {number}《{title}》逾期无人审批，预留已释放",
      en: "Request {number} “{title}” was not decided in time; its reservation was given back",
    },
  },
  "request.on-trial": {
    name: { "zh-CN": "申请进入试运行", en: "My request is on trial" },
    text: {
      "zh-CN": "申请 {number}《{title}》已开通并进入试运行，请在 {until} 前确认或退回",
      en: "Request {number} “{title}” is on trial: accept or refuse it by {until}",
    },
  },
  "trial.ended": {
    name: { "zh-CN": "试运行期满待确认", en: "A trial has ended without an answer" },
    text: {
      "zh-CN": "申请 {number}《{title}》试运行已于 {until} 期满，请确认或退回",
      en: "Request {number} “{title}”: the trial ended {until}; accept or refuse it",
    },
  },
  "request.expiring": {
    name: { "zh-CN": "资源即将到期", en: "A term ends soon" },
    text: {
      "zh-CN": "申请 {number}《{title}》的资源将于 {until} 到期（剩 {days} 天），需继续使用请申请延期，否则将停机并回收",
      en: "Request {number} “{title}”: the term of its resources ends {until} ({days} days left). Ask for an extension, or they are stopped and then reclaimed",
    },
  },
  "request.stopping": {
    name: { "zh-CN": "到期停机", en: "Hosts are stopped: their term is over" },
    text: {
      "zh-CN": "申请 {number}《{title}》的资源已到期未续，按申请 {by} 停机（不删除）",
      en: "Request {number} “{title}”: the term is over; its hosts are stopped by {by}. Nothing is deleted",
    },
  },
  "request.reclaiming": {
    name: { "zh-CN": "拟到期回收", en: "It is proposed to reclaim what is over" },
    text: {
      "zh-CN": "申请 {number}《{title}》的资源到期未续，已提出回收申请 {by}，待审批；需保留请申请延期",
      en: "Request {number} “{title}”: its resources are to be retired by {by}, which awaits approval. Ask for an extension to keep them",
    },
  },
  "request.reclaimed": {
    name: { "zh-CN": "资源已回收", en: "My request's resources were reclaimed" },
    text: { "zh-CN": "申请 {number}《{title}》的资源已回收", en: "Request {number} “{title}”: its resources were reclaimed" },
  },
  // 重启: what cannot be changed while a host runs.
  "restart.needed": {
    name: { "zh-CN": "变更需重启，请约定时间", en: "A change takes a restart: say when" },
    text: {
      "zh-CN": "申请 {number}《{title}》已批准，但须重启主机 {hosts} 才能完成：请在申请页面约定重启时间",
      en: "Request {number} “{title}” is approved, and takes a restart of {hosts}: say on its page when that may be",
    },
  },
  "restart.scheduled": {
    name: { "zh-CN": "重启时间已约定", en: "A restart was agreed to" },
    text: {
      "zh-CN": "申请 {number}《{title}》将重启主机 {hosts}：{at}（{when}）；开始前可改期或撤回",
      en: "Request {number} “{title}” will restart {hosts}: {at} ({when}). Until it begins, the time can be changed or the request withdrawn",
    },
  },
  "restart.soon": {
    name: { "zh-CN": "主机即将按约重启", en: "An agreed restart comes soon" },
    text: {
      "zh-CN": "一小时内将按约重启主机 {hosts}：{at}（申请 {number}《{title}》）",
      en: "Within an hour {hosts} will be restarted, as agreed: {at} (request {number} “{title}”)",
    },
  },
  "restart.done": {
    name: { "zh-CN": "主机已按约重启", en: "Hosts were restarted as agreed" },
    text: {
      "zh-CN": "主机 {hosts} 已按约重启，变更已生效（申请 {number}《{title}》）",
      en: "{hosts}: restarted as agreed, and changed (request {number} “{title}”)",
    },
  },
  "restart.failed": {
    name: { "zh-CN": "按约重启的变更失败", en: "A change with a restart failed" },
    text: {
      "zh-CN": "主机 {hosts} 的变更失败，按原样继续运行（申请 {number}《{title}》）",
      en: "{hosts}: the change that took a restart failed, it goes on as it was (request {number} “{title}”)",
    },
  },
  "host.moving": {
    name: { "zh-CN": "主机将因运维迁移而重启", en: "Hosts are going to be restarted by operations" },
    text: {
      "zh-CN": "主机 {hosts} 即将迁移到其他服务器，期间会重启：{reason}",
      en: "{hosts}: about to be moved to another machine, with a restart: {reason}",
    },
  },
  "host.moved": {
    name: { "zh-CN": "主机已因运维迁移", en: "Hosts were moved by operations" },
    text: { "zh-CN": "主机 {hosts} 的迁移已结束，失败 {failed} 台", en: "{hosts}: the move has ended, {failed} failed" },
  },
  "quota.nearly-full": {
    name: { "zh-CN": "配额将满", en: "A quota is nearly full" },
    text: {
      "zh-CN": "{departmentZh} 的配额 {dimension} 将满：已占用 {held}，上限 {limit}",
      en: "{departmentEn}: the quota of {dimension} is nearly full, {held} of {limit}",
    },
  },
  "drift.found": {
    name: { "zh-CN": "发现配置漂移", en: "Drift was found" },
    text: {
      "zh-CN": "{departmentZh}：云上有 {count} 处与批准的不一致（{what}），请决定恢复或采纳",
      en: "{departmentEn}: {count} properties on the cloud are not as they were applied ({what}); decide to put back or adopt",
    },
  },
  "role.elevated": {
    name: { "zh-CN": "应急提权", en: "A role was taken in an emergency" },
    text: { "zh-CN": "{name} 应急取得角色 {role}，至 {until}：{reason}", en: "{name} has taken the role {role} until {until}: {reason}" },
  },
  "consent.asked": {
    name: { "zh-CN": "运维请求进入主机", en: "Operations ask to enter a host" },
    text: {
      "zh-CN": "{name} 请求进入 {what}（{minutes} 分钟）：{purpose}。请同意或拒绝",
      en: "{name} asks to enter {what} for {minutes} minutes: {purpose}. Grant or refuse it",
    },
  },
  "consent.granted": {
    name: { "zh-CN": "进入主机已获授权", en: "A consent was granted" },
    text: { "zh-CN": "{name} 已同意进入 {what}，至 {until}", en: "{name} has consented to {what}, until {until}" },
  },
  "consent.refused": {
    name: { "zh-CN": "进入主机被拒绝", en: "A consent was refused" },
    text: { "zh-CN": "{name} 拒绝了进入 {what} 的请求", en: "{name} has refused the request to enter {what}" },
  },
  "consent.revoked": {
    name: { "zh-CN": "授权已撤销", en: "A consent was revoked" },
    text: { "zh-CN": "{name} 撤销了进入 {what} 的授权", en: "{name} has revoked the consent to enter {what}" },
  },
  // 快照回滚: what was written since is lost, so that two people decide.
  "revert.asked": {
    name: { "zh-CN": "待确认快照回滚", en: "A volume is to be put back to a snapshot" },
    text: {
      "zh-CN": "{name} 申请将存储卷 {volume} 回滚到快照 {snapshot}，其后写入的内容将丢失：{reason}。须由本部门另一人确认",
      en: "{name} asks to put volume {volume} back to snapshot {snapshot}; what was written since is lost: {reason}. Somebody else of the department must agree",
    },
  },
  "revert.refused": {
    name: { "zh-CN": "快照回滚被拒绝", en: "A revert was refused" },
    text: { "zh-CN": "{name} 拒绝将存储卷 {volume} 回滚到快照 {snapshot}", en: "{name} has refused to put volume {volume} back to snapshot {snapshot}" },
  },
  "revert.complete": {
    name: { "zh-CN": "存储卷已回滚", en: "A volume was put back to a snapshot" },
    text: { "zh-CN": "存储卷 {volume} 已回滚到快照 {snapshot}", en: "Volume {volume} was put back to snapshot {snapshot}" },
  },
  "revert.failed": {
    name: { "zh-CN": "存储卷回滚失败", en: "A revert failed" },
    text: { "zh-CN": "存储卷 {volume} 未能回滚到快照 {snapshot}：{error}", en: "Volume {volume} could not be put back to snapshot {snapshot}: {error}" },
  },
  "host-session.break-glass": {
    name: { "zh-CN": "应急进入主机", en: "A host was entered in an emergency" },
    text: {
      "zh-CN": "{name} 未经授权应急进入主机 {what}（来自 {source}）：{purpose}。全程录像，事后复核",
      en: "{name} has entered the host {what} in an emergency, without consent, from {source}: {purpose}. It is recorded and will be reviewed",
    },
  },
  "account.locked": {
    name: { "zh-CN": "我的账户被锁定", en: "My account was locked" },
    text: {
      "zh-CN": "您的账户因多次登录失败被锁定至 {until}。如非本人操作，请修改密码并告知管理员",
      en: "Your account was locked until {until} after failed sign-ins. If that was not you, change the password and tell an administrator",
    },
  },
  "calendar.missing": {
    name: { "zh-CN": "工作日历未导入", en: "A calendar of working days is missing" },
    text: {
      "zh-CN": "{years} 年工作日历尚未导入：跨入该年的时限按双休日暂定，请按国务院通知导入",
      en: "The calendar of working days of {years} has not been imported: deadlines there are provisional, by weekends only. Import the State Council's notice",
    },
  },
  "webhook.paused": {
    name: { "zh-CN": "Webhook 已暂停", en: "A webhook was paused" },
    text: { "zh-CN": "Webhook「{name}」一直投递失败，已暂停：{error}", en: "The webhook “{name}” only fails and was paused: {error}" },
  },
  "webhook.test": {
    name: { "zh-CN": "Webhook 测试", en: "A webhook's test" },
    text: { "zh-CN": "Webhook「{name}」的测试", en: "A test of the webhook “{name}”" },
  },
  // 维护窗口: to those whose hosts are concerned, and to operations.
  "maintenance.announced": {
    name: { "zh-CN": "维护公告", en: "Maintenance is announced" },
    text: {
      "zh-CN": "维护公告：{departmentZh} 的 {hosts} 台主机将于 {from} 至 {to} 维护（{reason}），期间中断不计入故障时间：{names}",
      en: "Maintenance of {hosts} hosts of {departmentEn} is announced, {from} to {to} ({reason}); time in it is not downtime: {names}",
    },
  },
  "maintenance.changed": {
    name: { "zh-CN": "维护时间变更", en: "Maintenance was moved" },
    text: {
      "zh-CN": "维护时间变更（{reason}）：{departmentZh} 的 {hosts} 台主机现为 {from} 至 {to}：{names}",
      en: "Maintenance of {hosts} hosts of {departmentEn} is now {from} to {to} ({reason}): {names}",
    },
  },
  "maintenance.cancelled": {
    name: { "zh-CN": "维护取消", en: "Maintenance was cancelled" },
    text: {
      "zh-CN": "原定 {from} 开始的维护已取消（{reason}）：{departmentZh}，{hosts} 台主机",
      en: "The maintenance that was to begin {from} was cancelled ({reason}): {departmentEn}, {hosts} hosts",
    },
  },
  "maintenance.soon": {
    name: { "zh-CN": "维护即将开始", en: "Maintenance begins within a day" },
    text: {
      "zh-CN": "一天内开始维护：{departmentZh} 的 {hosts} 台主机，{from} 至 {to}（{reason}）：{names}",
      en: "Within a day: maintenance of {hosts} hosts of {departmentEn}, {from} to {to} ({reason}): {names}",
    },
  },
  "maintenance.begun": {
    name: { "zh-CN": "维护开始", en: "Maintenance has begun" },
    text: {
      "zh-CN": "维护已开始：{departmentZh} 的 {hosts} 台主机，至 {to}（{reason}）：{names}",
      en: "Maintenance of {hosts} hosts of {departmentEn} has begun, until {to} ({reason}): {names}",
    },
  },
  "maintenance.ended": {
    name: { "zh-CN": "维护结束", en: "Maintenance has ended" },
    text: {
      "zh-CN": "维护已于 {to} 结束：{departmentZh} 的 {hosts} 台主机（{reason}）：{names}",
      en: "Maintenance of {hosts} hosts of {departmentEn} ended {to} ({reason}): {names}",
    },
  },
  // 失联节点: members that do not answer, and what was on them.
  "member.lost": {
    name: { "zh-CN": "节点失联", en: "A member does not answer" },
    text: { "zh-CN": "集群节点 {member} 自 {since} 起失联", en: "Member {member} has not answered since {since}" },
  },
  "member.returned": {
    name: { "zh-CN": "节点恢复", en: "A member answers again" },
    text: { "zh-CN": "集群节点 {member} 已恢复应答（自 {since} 起失联）", en: "Member {member} answers again (it had not since {since})" },
  },
  "member.asked": {
    name: { "zh-CN": "待确认移出节点", en: "A member is to be given up" },
    text: {
      "zh-CN": "有人申请将失联节点 {member} 移出集群，需另一名运维人员确认",
      en: "Somebody asks that the lost member {member} is given up: somebody else of operations must agree",
    },
  },
  "member.filed": {
    name: { "zh-CN": "按策略提出移出节点", en: "A policy files that a member is given up" },
    text: {
      "zh-CN": "资源池 {pool} 的策略提出将失联节点 {member}（{hosts} 台主机）移出集群，需两名运维人员先后确认机器已断电",
      en: "The policy of pool {pool} files that the lost member {member} ({hosts} hosts) is given up: two people of operations must agree that its machine is off",
    },
  },
  "member.elsewhere": {
    name: { "zh-CN": "按策略在其他节点启动", en: "Hosts are started elsewhere by a policy" },
    text: {
      "zh-CN": "节点 {member} 失联：按资源池 {pool} 的策略，其 {hosts} 台主机正在其他节点启动",
      en: "Member {member} does not answer: by the policy of pool {pool} {hosts} of its hosts are being started elsewhere",
    },
  },
  "member.held": {
    name: { "zh-CN": "恢复的节点已停用", en: "A returned member is set aside" },
    text: {
      "zh-CN": "节点 {member} 已恢复应答，但其主机已在其他节点启动：该节点不再接收主机，请确认其上没有残留后再恢复",
      en: "Member {member} answers again, but its hosts were started elsewhere: it takes none until you have made sure that nothing is left running on it and bring it back",
    },
  },
  "member.removed": {
    name: { "zh-CN": "节点已移出", en: "A member was removed" },
    text: { "zh-CN": "失联节点 {member} 已移出集群", en: "The lost member {member} was removed from its cluster" },
  },
  "hosts.down": {
    name: { "zh-CN": "主机随节点中断", en: "Hosts are down with their member" },
    text: {
      "zh-CN": "{departmentZh} 的 {hosts} 台主机所在节点 {member} 自 {since} 起失联，现计为中断：{names}",
      en: "{hosts} hosts of {departmentEn} count as down: their member {member} has not answered since {since}: {names}",
    },
  },
  "request.restoring": {
    name: { "zh-CN": "拟异地重建", en: "It is proposed to make lost hosts anew" },
    text: {
      "zh-CN": "申请 {number}《{title}》的主机所在节点已失联，已提出重建申请 {by}，待审批",
      en: "Request {number} “{title}”: its hosts were on a member that was lost; {by}, which awaits approval, asks for them anew",
    },
  },
  // 电子监察: cards and what becomes of them.
  "supervision.reminder": {
    name: { "zh-CN": "监察预警", en: "Supervision: reminder" },
    text: { "zh-CN": "监察预警：申请 {number}《{title}》", en: "Supervision, reminder: request {number} “{title}”" },
  },
  "supervision.yellow": {
    name: { "zh-CN": "监察黄牌", en: "Supervision: yellow card" },
    text: { "zh-CN": "监察黄牌：申请 {number}《{title}》，请说明原因", en: "Supervision, yellow card: request {number} “{title}”; an answer is asked for" },
  },
  "supervision.red": {
    name: { "zh-CN": "监察红牌", en: "Supervision: red card" },
    text: { "zh-CN": "监察红牌：申请 {number}《{title}》，请说明原因", en: "Supervision, red card: request {number} “{title}”; an answer is asked for" },
  },
  "supervision.answered": {
    name: { "zh-CN": "监察事项已回复", en: "Supervision: answered" },
    text: { "zh-CN": "监察事项已回复：申请 {number}《{title}》", en: "Supervision, a card was answered: request {number} “{title}”" },
  },
  "supervision.accepted": {
    name: { "zh-CN": "监察回复已采纳", en: "Supervision: answer accepted" },
    text: { "zh-CN": "监察回复已采纳：申请 {number}《{title}》", en: "Supervision, the answer was accepted: request {number} “{title}”" },
  },
  "supervision.correction": {
    name: { "zh-CN": "监察纠错", en: "Supervision: correction" },
    text: { "zh-CN": "监察纠错：申请 {number}《{title}》", en: "Supervision, a correction: request {number} “{title}”" },
  },
} as const satisfies Record<string, Kind>;

const names = Object.keys(noticeKinds) as (keyof typeof noticeKinds)[];
export const NoticeKind = z.enum(names);
export type NoticeKind = z.infer<typeof NoticeKind>;
/** What mails and webhooks are subscribed to; a test is sent when it is asked for. */
export const subscribable = names.filter((kind) => kind !== "webhook.test");

const isTime = (value: unknown): value is string => typeof value === "string" && /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:[\d.]+Z$/.test(value);
const shown = (value: NoticeData[string] | undefined, language: Language): string => {
  if (isTime(value)) return new Intl.DateTimeFormat(language, { timeZone: "Asia/Shanghai", dateStyle: "medium", timeStyle: "short" }).format(new Date(value));
  return value === undefined || value === null ? "–" : String(value);
};

/** One line for people. */
export function noticeText(kind: NoticeKind, data: NoticeData, language: Language): string {
  return noticeKinds[kind].text[language].replaceAll(/\{(\w+)\}/g, (_, name: string) => shown(data[name], language));
}

export const Notice = z
  .object({
    id: Id,
    kind: NoticeKind,
    department: Id.nullable(),
    request: Id.nullable(),
    /** What it is about, where that is no request. */
    subject: z.string().nullable(),
    data: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
    at: Time,
    readAt: Time.nullable(),
  })
  .meta({ id: "Notice" });
export type Notice = z.infer<typeof Notice>;

/** Those that are named, or all up to one that was seen. */
export const ReadNotices = z
  .strictObject({ ids: z.array(Id).min(1).max(500).nullable().default(null), upTo: Id.nullable().default(null) })
  .refine(({ ids, upTo }) => (ids === null) !== (upTo === null), "either ids or upTo")
  .meta({ id: "ReadNotices" });
/** No more than 100 are counted. */
export const Unread = z.object({ unread: z.int().max(100) }).meta({ id: "Unread" });
export type Unread = z.infer<typeof Unread>;

/** How a person wants to be told beside their own list. */
const MailSettings = {
  email: z.email().max(254).nullable(),
  language: z.enum(["zh-CN", "en"]),
  /** Which kinds by mail. */
  mailKinds: z.array(NoticeKind).max(100),
};
export const NotificationSettings = z
  .object({ ...MailSettings, /** Whether a mail server is configured. */ mailConfigured: z.boolean() })
  .meta({ id: "NotificationSettings" });
export type NotificationSettings = z.infer<typeof NotificationSettings>;
export const NewNotificationSettings = z.strictObject(MailSettings).meta({ id: "NewNotificationSettings" });
