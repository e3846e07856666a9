/** Sessions in hosts (主机会话): terminals and single commands, each with who, when, from where, why, under which consent, and a recording. */
import { z } from "zod";
import { Id, PageQuery, Reference, Time } from "./common.ts";

export const SessionBasis = z.enum(["owner", "consent", "break-glass"]).meta({
  description: "By what right: of the owning department; by the owner's consent; in an emergency, by an elevated role, which is reviewed",
});
export type SessionBasis = z.infer<typeof SessionBasis>;

export const SessionEnd = z.enum([
  "exited",
  "closed",
  "ended",
  "consent-over",
  "authority-over",
  "time-limit",
  "recording-full",
  "lost",
  "failed",
  "lapsed",
  "cut",
]);
export type SessionEnd = z.infer<typeof SessionEnd>;
/** How a session ended, as pages say it. */
export const sessionEnds: Readonly<Record<SessionEnd, { zh: string; en: string }>> = {
  exited: { zh: "程序已退出", en: "the program ended" },
  closed: { zh: "使用者关闭", en: "closed by its user" },
  ended: { zh: "被终止", en: "ended by somebody" },
  "consent-over": { zh: "授权已撤销或到期", en: "the consent was revoked or ran out" },
  "authority-over": { zh: "权限已失效", en: "the right to it ended" },
  "time-limit": { zh: "达到时限", en: "the time limit was reached" },
  "recording-full": { zh: "录像达到上限", en: "the recording was full" },
  lost: { zh: "与主机的连接中断", en: "the host was lost" },
  failed: { zh: "未能打开", en: "it could not be opened" },
  lapsed: { zh: "未使用", en: "it was never opened" },
  cut: { zh: "控制平面中断", en: "cut: the control plane ended" },
};

export const HostSession = z
  .object({
    id: Id,
    host: Id,
    hostName: z.string(),
    department: Id,
    kind: z.enum(["shell", "exec"]),
    purpose: z.string(),
    argv: z.array(z.string()).nullable(),
    person: Id,
    personName: z.string().nullable(),
    role: z.string(),
    source: z.string(),
    basis: SessionBasis,
    consent: Id.nullable(),
    elevation: Id.nullable().meta({ description: "Of a break-glass session: the elevation, which the audit administrator reviews" }),
    reviewed: z.boolean().nullable().meta({ description: "Of a break-glass session: whether its elevation has been reviewed" }),
    state: z.enum(["ready", "open", "ended"]),
    createdAt: Time,
    openedAt: Time.nullable(),
    endedAt: Time.nullable(),
    endReason: SessionEnd.nullable(),
    endedBy: z.string().nullable(),
    exitCode: z.int().nullable(),
    recordingBytes: z.int(),
    recordingSha256: z.string().nullable().meta({ description: "Of the whole recording; the closing audit entry has it too" }),
  })
  .meta({ id: "HostSession" });
export type HostSession = z.infer<typeof HostSession>;

const Purpose = z.string().trim().min(1).max(500);
const Argv = z.array(z.string().min(1).max(4096)).min(1).max(200);
const Size = z.int().min(1).max(1000);
export const NewHostSession = z
  .strictObject({
    purpose: Purpose.default("console").meta({ description: "Why, for those who read the record" }),
    argv: Argv.nullable().default(null).meta({ description: "null: the host's own shell" }),
    cols: Size.default(80),
    rows: Size.default(24),
  })
  .meta({ id: "NewHostSession" });
/** Only the answer to the POST that made it holds the ticket. */
export const MadeHostSession = HostSession.extend({
  ticket: z.string().meta({ description: "Opens the socket once, within a minute: the second subprotocol, after zhengyun.terminal.v1" }),
}).meta({ id: "MadeHostSession" });
export type MadeHostSession = z.infer<typeof MadeHostSession>;

/** The longest that one command may take, seconds. */
export const maxExecSeconds = 300;
export const HostExec = z
  .strictObject({
    argv: Argv,
    stdin: z.string().max(1_000_000).default(""),
    purpose: Purpose.default("command"),
    timeoutSeconds: z.int().min(1).max(maxExecSeconds).default(30),
  })
  .meta({ id: "HostExec" });
export type HostExec = z.infer<typeof HostExec>;
export const HostExecResult = z
  .object({
    session: Id,
    exitCode: z.int().nullable().meta({ description: "null: it did not end by itself" }),
    endReason: SessionEnd.nullable(),
    stdout: z.string().meta({ description: "The first MiB" }),
    stderr: z.string().meta({ description: "The first MiB, or why it did not run" }),
  })
  .meta({ id: "HostExecResult" });
export type HostExecResult = z.infer<typeof HostExecResult>;
export const ConsoleLog = z.object({ text: z.string().meta({ description: "The last 256 KiB at most" }) }).meta({ id: "ConsoleLog" });

export const HostSessionQuery = PageQuery.extend({
  host: Id.optional(),
  department: Reference.optional(),
  state: z.enum(["ready", "open", "ended"]).optional(),
  basis: SessionBasis.optional(),
  unreviewed: z.enum(["true", "false"]).optional().meta({ description: "true: break-glass sessions whose elevation nobody has reviewed" }),
});

/** The socket's first subprotocol; the ticket is offered as a second one, `ticket.<ticket>`, so that it stands in no address. */
export const terminalProtocol = "zhengyun.terminal.v1";
export const ticketProtocol = "ticket.";
/** Text messages on the socket; what the terminal takes and shows are binary messages. */
export const TerminalAsk = z.union([
  z.object({ type: z.literal("resize"), cols: Size, rows: Size }),
  z.object({ type: z.literal("signal"), number: z.int().min(1).max(31) }),
]);
export type TerminalAsk = z.infer<typeof TerminalAsk>;
export const TerminalEnd = z.object({ type: z.literal("end"), reason: SessionEnd, exitCode: z.int().nullable(), detail: z.string() });
export type TerminalEnd = z.infer<typeof TerminalEnd>;
