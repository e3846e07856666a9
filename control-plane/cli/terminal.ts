/** A terminal in a host, from here: the session, its socket, and what goes both ways. */
import type { WebSocket } from "ws";
import { type MadeHostSession, type TerminalAsk, TerminalEnd, terminalProtocol, ticketProtocol } from "../contract/host-sessions.ts";
import type { Client } from "./client.ts";

export interface Terminal {
  session: MadeHostSession;
  socket: WebSocket;
  write(data: Buffer | string): void;
  tell(ask: TerminalAsk): void;
  /** @throws Error when the connection broke before the control plane said how it ended */
  readonly ended: Promise<TerminalEnd>;
}

export interface TerminalOptions {
  host: string;
  purpose: string;
  argv: string[] | null;
  cols: number;
  rows: number;
  /** What the terminal shows. */
  show: (data: Buffer) => void;
}

/** @throws ApiProblem when one may not */
export async function openTerminal(client: Client, { host, purpose, argv, cols, rows, show }: TerminalOptions): Promise<Terminal> {
  const session = await client.post<MadeHostSession>(`/api/v1/hosts/${encodeURIComponent(host)}/sessions`, { purpose, argv, cols, rows });
  const socket = client.socket(`/api/v1/host-sessions/${session.id}/socket`, [terminalProtocol, `${ticketProtocol}${session.ticket}`]);
  const ended = Promise.withResolvers<TerminalEnd>();
  ended.promise.catch(() => undefined);
  socket.on("message", (data: Buffer, binary: boolean) => {
    if (binary) return show(data);
    const end = TerminalEnd.safeParse(JSON.parse(data.toString()));
    if (end.success) ended.resolve(end.data);
  });
  socket.on("close", () => ended.reject(new Error("The connection to the control plane broke.")));
  await new Promise<void>((resolve, reject) => {
    socket.once("open", () => resolve());
    socket.once("error", reject);
  });
  return {
    session,
    socket,
    write: (data) => socket.send(Buffer.from(data)),
    tell: (ask) => socket.send(JSON.stringify(ask)),
    ended: ended.promise,
  };
}
