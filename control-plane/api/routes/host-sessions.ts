import { upgradeWebSocket } from "@hono/node-server";
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { WebSocket } from "ws";
import { Id, pageOf } from "../../contract/common.ts";
import {
  ConsoleLog,
  HostExec,
  HostExecResult,
  HostSession,
  HostSessionQuery,
  MadeHostSession,
  NewHostSession,
  terminalProtocol,
  ticketProtocol,
} from "../../contract/host-sessions.ts";
import { Refusal } from "../../domain/refusal.ts";
import { appendAudit } from "../../store/audit.ts";
import { placeOf } from "../../store/host-access.ts";
import { readRecording } from "../../store/host-recordings.ts";
import {
  createHostSession,
  digestInAudit,
  endHostSession,
  getHostSession,
  listHostSessions,
  type NamedHostSession,
  openHostSession,
  requireRight,
} from "../../store/host-sessions.ts";
import type { ApiContext, App, AppDeps, HostShells } from "../deps.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { defineRoute, jsonAnswer, jsonBody } from "../route.ts";
import { departmentsAsked } from "../scope.ts";

const tags = ["hosts"];
const params = z.object({ id: Id });
const sessions = "/api/v1/host-sessions";

const make = defineRoute({
  method: "post",
  path: "/api/v1/hosts/{id}/sessions",
  tags,
  summary: "A ticket for a terminal in a host: its owner's people; operators by the owner's consent or break-glass",
  request: { params, body: jsonBody(NewHostSession) },
  responses: { 201: jsonAnswer(MadeHostSession, "Made; its socket opens once, within a minute") },
});
const exec = defineRoute({
  method: "post",
  path: "/api/v1/hosts/{id}/exec",
  tags,
  summary: "Run one command in a host, by the same right; answered when it is over",
  request: { params, body: jsonBody(HostExec) },
  responses: { 200: jsonAnswer(HostExecResult) },
});
const log = defineRoute({
  method: "get",
  path: "/api/v1/hosts/{id}/console-log",
  tags,
  summary: "The last of what a host's console showed, by the same right",
  request: { params },
  responses: { 200: jsonAnswer(ConsoleLog) },
  problems: [409],
});
const list = defineRoute({
  method: "get",
  path: sessions,
  tags,
  summary: "Who was in which host when, from where, why and by what right, newest first",
  request: { query: HostSessionQuery },
  responses: { 200: jsonAnswer(pageOf(HostSession)) },
});
const get = defineRoute({
  method: "get",
  path: `${sessions}/{id}`,
  tags,
  summary: "One session in a host",
  request: { params },
  responses: { 200: jsonAnswer(HostSession) },
});
const socket = defineRoute({
  method: "get",
  path: `${sessions}/{id}/socket`,
  tags,
  summary: `The terminal as a WebSocket; subprotocols ${terminalProtocol} and ${ticketProtocol}<ticket>`,
  request: { params },
  responses: { 101: { description: "Binary messages are what is typed and shown, text messages are TerminalAsk and TerminalEnd" } },
});
const recording = defineRoute({
  method: "get",
  path: `${sessions}/{id}/recording`,
  tags,
  summary: "A session's recording (asciicast 2), checked against the digest in its closing audit entry",
  request: { params },
  responses: { 200: { description: "Recorded so far, where it goes on", content: { "application/x-asciicast": { schema: z.string() } } } },
  problems: [409],
});
const end = defineRoute({
  method: "post",
  path: `${sessions}/{id}/end`,
  tags,
  summary: "End a session within a second: one's own, one in one's own hosts, or as security or system administrator",
  request: { params },
  responses: { 202: jsonAnswer(HostSession, "Asked for") },
});

const time = (at: Date | null) => at?.toISOString() ?? null;
const shown = (row: NamedHostSession): HostSession => ({
  id: row.id,
  host: row.host_id,
  hostName: row.host_name,
  department: row.department_id,
  kind: row.kind,
  purpose: row.purpose,
  argv: row.argv,
  person: row.person_id,
  personName: row.person_name,
  role: row.role,
  source: row.source,
  basis: row.basis,
  consent: row.consent_id,
  elevation: row.binding_id,
  reviewed: row.binding_id === null ? null : row.reviewed_at !== null,
  state: row.state,
  createdAt: row.created_at.toISOString(),
  openedAt: time(row.opened_at),
  endedAt: time(row.ended_at),
  endReason: row.end_reason,
  endedBy: row.end_asked_by,
  exitCode: row.exit_code,
  recordingBytes: row.recording_bytes,
  recordingSha256: row.recording_sha256,
});

function carried(deps: AppDeps): HostShells {
  if (!deps.shells) throw new Refusal("unavailable", "This control plane lets nobody into hosts.");
  return deps.shells;
}

/** Browsers say where a socket's page comes from; whoever has a ticket uses it from the console's own pages, or from no page. */
function requireOwnPage(c: ApiContext, deps: AppDeps): void {
  const origin = c.req.header("origin");
  if (origin === undefined) return;
  const own = [c.req.header("host"), deps.publicUrl === undefined ? undefined : new URL(deps.publicUrl).host];
  if (!URL.canParse(origin) || !own.includes(new URL(origin).host)) throw new Refusal("forbidden", "A terminal is opened from the console's own pages only.");
}

const ticketOf = (c: ApiContext): string | undefined => {
  const offered = (c.req.header("sec-websocket-protocol") ?? "").split(",").map((one) => one.trim());
  return offered.includes(terminalProtocol) ? offered.find((one) => one.startsWith(ticketProtocol))?.slice(ticketProtocol.length) : undefined;
};

export function registerHostSessions(app: App, deps: AppDeps): void {
  app.openapi(make, (c) =>
    idempotent(c, deps, async (tx) => {
      const place = await placeOf(tx, c.get("principal"), c.req.valid("param").id);
      const ask = { kind: "shell" as const, signInId: c.get("holder").sessionId, ...c.req.valid("json") };
      const { id, ticket } = await createHostSession(tx, c.get("act"), place, ask);
      return { status: 201, body: { ...shown(await getHostSession(tx, c.get("principal"), id)), ticket }, secret: true };
    }),
  );
  app.openapi(exec, async (c) => {
    const { argv, stdin, purpose, timeoutSeconds } = c.req.valid("json");
    const principal = c.get("principal");
    // The key is used up before anything is begun: a repeated call never runs it twice.
    const made = await idempotent(c, deps, async (tx) => {
      const place = await placeOf(tx, principal, c.req.valid("param").id);
      carried(deps);
      const ask = { kind: "exec" as const, purpose, argv, cols: 80, rows: 24, signInId: c.get("holder").sessionId };
      const { id } = await createHostSession(tx, c.get("act"), place, ask);
      return { status: 200, body: { session: id } };
    });
    const { session } = (await made.json()) as { session: string };
    const shells = carried(deps);
    const before = await getHostSession(deps.db, principal, session);
    if (made.headers.has("idempotency-replayed") && before.state !== "ready") {
      if (before.state === "open") throw new Refusal("idempotency-in-progress", "The command is still running.");
      return c.json({ session, ...(await shells.said(before)) }, 200, { "idempotency-replayed": "true" });
    }
    const row = await deps.db.transaction().execute((tx) => openHostSession(tx, c.get("act"), principal, session, undefined, shells.replica));
    return c.json({ session, ...(await shells.exec(row, { stdin, timeoutMs: timeoutSeconds * 1000 })) }, 200);
  });
  app.openapi(log, async (c) => {
    const { id } = c.req.valid("param");
    const place = await placeOf(deps.db, c.get("principal"), id);
    const { basis, consentId, bindingId } = await requireRight(deps.db, c.get("act").actor, place, deps.now());
    const after = { basis, consent: consentId, elevation: bindingId };
    await deps.db
      .transaction()
      .execute((tx) =>
        appendAudit(tx, c.get("act"), { action: "host.console-log", subjectKind: "host", subjectId: id, departmentId: place.departmentId, after }),
      );
    const shells = carried(deps);
    try {
      return c.json({ text: await shells.consoleLog(id) }, 200, { "cache-control": "no-store" });
    } catch (error) {
      throw new Refusal("unavailable", error instanceof Error ? error.message : String(error));
    }
  });
  app.openapi(list, async (c) => {
    const { department, host, unreviewed, ...filter } = c.req.valid("query");
    const principal = c.get("principal");
    const departmentIds = await departmentsAsked(deps.db, principal, department, true);
    const asked = { ...filter, departmentIds, hostId: host, unreviewed: unreviewed === "true", period: principal.period };
    const { items, next } = await listHostSessions(deps.db, asked);
    return c.json({ items: items.map(shown), next });
  });
  app.openapi(get, async (c) => c.json(shown(await getHostSession(deps.db, c.get("principal"), c.req.valid("param").id)), 200));
  app.openapi(socket, async (c) => {
    const { id } = c.req.valid("param");
    const principal = c.get("principal");
    await getHostSession(deps.db, principal, id);
    if (c.req.header("upgrade")?.toLowerCase() !== "websocket") throw new Refusal("malformed", "This address is a WebSocket.");
    requireOwnPage(c, deps);
    const shells = carried(deps);
    const row = await deps.db.transaction().execute((tx) => openHostSession(tx, c.get("act"), principal, id, ticketOf(c) ?? "", shells.replica));
    shells.expect(row);
    return upgradeWebSocket(c as unknown as Context, { onOpen: (_, opened) => shells.attach(opened.raw as unknown as WebSocket, row) });
  });
  app.openapi(recording, async (c) => {
    const { id } = c.req.valid("param");
    const row = await getHostSession(deps.db, c.get("principal"), id);
    const altered = (why: unknown) =>
      new Refusal("conflict", `The recording is not what was recorded: ${why instanceof Error ? why.message : String(why)}`, {
        remedy: "Tell the audit administrator.",
      });
    const read = await readRecording(deps.db, deps.unseal, id).catch((error: unknown) => {
      throw altered(error);
    });
    if (row.state === "ended" && (read?.sha256 ?? null) !== (await digestInAudit(deps.db, id)))
      throw altered("its digest is another one than in the closing audit entry.");
    const after = { host: row.host_id, person: row.person_id };
    const subject = { action: "host-session.replay", subjectKind: "host-session", subjectId: id, departmentId: row.department_id, after };
    await deps.db.transaction().execute((tx) => appendAudit(tx, c.get("act"), subject));
    return c.body(read?.text ?? "", 200, { "content-type": "application/x-asciicast", "cache-control": "no-store" });
  });
  app.openapi(end, async (c) => {
    const { id } = c.req.valid("param");
    const response = await idempotent(c, deps, async (tx) => {
      await endHostSession(tx, c.get("act"), c.get("principal"), id);
      return { status: 202, body: shown(await getHostSession(tx, c.get("principal"), id)) };
    });
    deps.shells?.look();
    return response;
  });
}
