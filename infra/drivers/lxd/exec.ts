/** Programs inside hosts, by the server's websockets. */
import { WebSocket } from "ws";
import { DriverError } from "../driver.ts";
import type { Address } from "./address.ts";
import type { LxdClient } from "./client.ts";
import { openSocket } from "./operations.ts";

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}
/** Of each stream the first bytes are kept, as the embedded driver does. */
const outputLimit = 1 << 20;

/** @param path of the instance */
export async function execInside(
  client: LxdClient,
  address: Address,
  { path, project }: { path: string; project: string },
  argv: string[],
  { stdin = "", timeoutMs = 30_000 }: { stdin?: string; timeoutMs?: number },
): Promise<Ran> {
  const begun = await client.begin<{ fds: Record<string, string> }>(`${path}/exec`, {
    project,
    body: {
      command: argv,
      "wait-for-websocket": true,
      interactive: false,
      environment: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", HOME: "/root" },
      cwd: "/",
    },
  });
  const open = (fd: string) => openSocket(address, `/1.0/operations/${begun.id}/websocket?secret=${begun.metadata.fds[fd]}`);
  const [input, output, errors, control] = ["0", "1", "2", "control"].map(open) as [WebSocket, WebSocket, WebSocket, WebSocket];
  const all = [input, output, errors, control];
  // A program may end before each of them is open: the server refuses those that come late, and its operation says how the program ended.
  for (const socket of all) socket.on("error", () => undefined);
  const limit = AbortSignal.timeout(timeoutMs);
  try {
    input.once("open", () => {
      if (stdin !== "") input.send(Buffer.from(stdin));
      // An empty text message says that there is no more.
      input.send("");
    });
    const [stdout, stderr, ended] = await Promise.all([collect(output), collect(errors), client.operations.wait(begun.id, limit)]);
    if (ended.status_code !== 200) throw new DriverError("exec-failed", ended.err);
    return { code: (ended.metadata as { return: number }).return, stdout, stderr };
  } catch (error) {
    if (!limit.aborted) throw error;
    control.send(JSON.stringify({ command: "signal", signal: 9 }));
    throw new DriverError("exec-timeout", `${argv[0]} did not end within ${timeoutMs / 1000} s and was killed.`, { cause: error });
  } finally {
    for (const socket of all) socket.close();
  }
}

/** Everything until the server says that there is no more. */
function collect(socket: WebSocket): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let kept = 0;
    const done = () => {
      resolve(Buffer.concat(chunks).toString());
    };
    socket.on("message", (data: Buffer, binary) => {
      if (!binary) return done();
      if (kept >= outputLimit) return;
      chunks.push(data.subarray(0, outputLimit - kept));
      kept += data.length;
    });
    socket.once("close", done);
    socket.once("error", reject);
  });
}
