/** One open terminal: the socket of whoever types on one side, the program in the host on the other, the recorder between them. */
import type { WebSocket } from "ws";
import type { Shell } from "../../infra/drivers/driver.ts";
import { TerminalAsk, type SessionEnd, type TerminalEnd } from "../contract/host-sessions.ts";
import { type Recorder, RecordingFull } from "./recorder.ts";

/** What is on its way to a slow reader, bytes; beyond that the program waits. */
const mostUnsent = 1024 * 1024;
const pingMs = 20_000;

export interface Ended {
  reason: SessionEnd;
  exitCode: number | null;
  detail: string;
}

export interface Terminal {
  /** Ends it for a reason of ours. */
  end(reason: SessionEnd, detail?: string): void;
  readonly ended: Promise<Ended>;
}

export function runTerminal(socket: WebSocket, shell: Shell, recorder: Recorder): Terminal {
  const done = Promise.withResolvers<Ended>();
  let over = false;
  const end = (reason: SessionEnd, detail = "", exitCode: number | null = null) => {
    if (over) return;
    over = true;
    clearInterval(pinging);
    shell.end();
    done.resolve({ reason, exitCode, detail });
  };
  const failed = (error: unknown) => (error instanceof RecordingFull ? end("recording-full", error.message) : end("failed", String(error)));

  let answered = true;
  const pinging = setInterval(() => {
    if (!answered) return end("closed", "no answer");
    answered = false;
    socket.ping();
  }, pingMs);
  socket.on("pong", () => (answered = true));
  socket.on("close", () => end("closed"));
  socket.on("error", () => end("closed"));

  let turn: Promise<void> = Promise.resolve();
  socket.on("message", (data: Buffer, binary: boolean) => {
    // In their order, each when it is kept; a sender who is faster than that is held up.
    socket.pause();
    turn = turn
      .then(() => (over ? undefined : take(data, binary)))
      .catch(failed)
      .finally(() => socket.resume());
  });
  socket.resume();
  const take = async (data: Buffer, binary: boolean) => {
    if (binary) {
      await recorder.record("i", data);
      return shell.write(data);
    }
    const ask = TerminalAsk.safeParse(parsed(data));
    if (!ask.success) return;
    if (ask.data.type === "resize") {
      await recorder.record("r", `${ask.data.cols}x${ask.data.rows}`);
      shell.resize(ask.data.cols, ask.data.rows);
    } else {
      await recorder.record("m", `signal ${ask.data.number}`);
      shell.signal(ask.data.number);
    }
  };

  void (async () => {
    try {
      for await (const data of shell.output as AsyncIterable<Buffer>) {
        await recorder.record("o", data);
        if (over) return;
        socket.send(data);
        await sent(socket, () => over);
      }
      const exitCode = await shell.exited;
      end("exited", "", exitCode);
    } catch (error) {
      if (error instanceof RecordingFull) failed(error);
      else end("lost", error instanceof Error ? error.message : String(error));
    }
  })();
  return { end: (reason, detail) => end(reason, detail), ended: done.promise };
}

/** Until what is on its way is little enough, or nobody waits for it any more. */
async function sent(socket: WebSocket, over: () => boolean): Promise<void> {
  while (socket.bufferedAmount > mostUnsent && !over()) await new Promise((resolve) => setTimeout(resolve, 20));
}

function parsed(data: Buffer): unknown {
  try {
    return JSON.parse(data.toString());
  } catch {
    return undefined;
  }
}

/** Says how it ended, and hangs up. */
export function hangUp(socket: WebSocket, { reason, exitCode, detail }: Ended): void {
  const message: TerminalEnd = { type: "end", reason, exitCode, detail };
  if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(message));
  socket.close(1000, reason);
}
