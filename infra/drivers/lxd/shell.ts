/** Terminals inside hosts, by the server's websockets: one carries the terminal, the other window sizes and signals. */
import { Readable } from "node:stream";
import type { WebSocket } from "ws";
import { DriverError, type Shell } from "../driver.ts";
import type { Address } from "./address.ts";
import type { LxdClient } from "./client.ts";
import { environment, execInside, type Inside } from "./exec.ts";
import { openSocket } from "./operations.ts";

/** Better than the least that every Linux has, where it is there. */
export async function ownShell(client: LxdClient, address: Address, inside: Inside): Promise<string[]> {
  const bash = ["/bin/bash", "-l"];
  const found = await execInside(client, address, inside, [...bash, "-c", ":"], { timeoutMs: 10_000 }).catch(() => undefined);
  return found?.code === 0 ? bash : ["/bin/sh"];
}

export async function openShell(
  client: LxdClient,
  address: Address,
  { path, project }: Inside,
  argv: string[],
  { cols, rows }: { cols: number; rows: number },
): Promise<Shell> {
  const begun = await client.begin<{ fds: Record<string, string> }>(`${path}/exec`, {
    project,
    body: {
      command: argv,
      "wait-for-websocket": true,
      interactive: true,
      width: cols,
      height: rows,
      environment: { ...environment, TERM: "xterm-256color" },
      cwd: "/root",
    },
  });
  const open = (fd: string) => openSocket(address, `/1.0/operations/${begun.id}/websocket?secret=${begun.metadata.fds[fd]}`);
  const [terminal, control] = [open("0"), open("control")];
  const output = new Readable({ read: () => terminal.resume() });
  const gone = new AbortController();
  terminal.on("message", (data: Buffer, binary) => {
    // A text says that there is no more; the server waits for us to hang up before it says how the program ended.
    if (!binary) {
      output.push(null);
      terminal.close();
    } else if (!output.push(data)) terminal.pause();
  });
  terminal.once("close", () => output.push(null));
  const failed = (error: Error) => gone.abort(new DriverError("lost", `The terminal's connection broke: ${error.message}.`));
  for (const socket of [terminal, control]) socket.on("error", failed);
  const exited = (async () => {
    try {
      const ended = await client.operations.wait(begun.id, gone.signal);
      if (ended.status_code !== 200) throw new DriverError("exec-failed", ended.err || "The server ended it.");
      return (ended.metadata as { return: number }).return;
    } finally {
      control.close();
      // What it wrote last may still be on its way.
      setTimeout(() => terminal.close(), 1_000).unref();
    }
  })();
  exited.catch(() => undefined);
  const tell = (message: object) => {
    if (control.readyState === control.OPEN) control.send(JSON.stringify(message));
  };
  await Promise.all([opened(terminal), opened(control)]);
  return {
    output,
    exited,
    write: (input) => {
      if (terminal.readyState === terminal.OPEN) terminal.send(input);
    },
    resize: (width, height) => tell({ command: "window-resize", args: { width: String(width), height: String(height) } }),
    signal: (number) => tell({ command: "signal", signal: number }),
    end: () => {
      tell({ command: "signal", signal: 9 });
      gone.abort(new DriverError("lost", "The program was ended."));
    },
  };
}

function opened(socket: WebSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    if (socket.readyState === socket.OPEN) return resolve();
    socket.once("open", () => resolve());
    socket.once("error", reject);
  });
}
