/** A terminal in a host, from the browser: the session, its socket, and what goes both ways. */
import { type MadeHostSession, TerminalEnd, type TerminalAsk, terminalProtocol, ticketProtocol } from "../../control-plane/contract/host-sessions.ts";
import { api } from "../paths.ts";
import { post } from "./index.ts";

export interface OpenTerminal {
  session: MadeHostSession;
  write(data: string): void;
  tell(ask: TerminalAsk): void;
  close(): void;
}

export interface TerminalHooks {
  shown(data: Uint8Array): void;
  /** undefined: the connection broke. */
  ended(end: TerminalEnd | undefined): void;
}

/** @throws ApiProblem when one may not */
export async function openTerminal(host: string, ask: { purpose: string; cols: number; rows: number }, { shown, ended }: TerminalHooks): Promise<OpenTerminal> {
  const session = await post<MadeHostSession>(api.hostSession.make(host), ask);
  const address = new URL(api.hostSession.socket(session.id), location.href);
  address.protocol = address.protocol.replace("http", "ws");
  const socket = new WebSocket(address, [terminalProtocol, `${ticketProtocol}${session.ticket}`]);
  socket.binaryType = "arraybuffer";
  let end: TerminalEnd | undefined;
  socket.addEventListener("message", ({ data }: MessageEvent<ArrayBuffer | string>) => {
    if (typeof data !== "string") return shown(new Uint8Array(data));
    const said = TerminalEnd.safeParse(JSON.parse(data));
    if (said.success) end = said.data;
  });
  socket.addEventListener("close", () => ended(end));
  await new Promise<void>((resolve) => {
    socket.addEventListener("open", () => resolve());
    socket.addEventListener("close", () => resolve());
  });
  const send = (data: string | Uint8Array<ArrayBuffer>) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(data);
  };
  return {
    session,
    write: (data) => send(new TextEncoder().encode(data)),
    tell: (what) => send(JSON.stringify(what)),
    close: () => socket.close(),
  };
}
