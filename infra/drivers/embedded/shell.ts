/** A terminal inside a host, by its init: frames of a letter, a length and a content (guest/terminal.go). Init ends the program when we are gone. */
import { connect, type Socket } from "node:net";
import { Readable } from "node:stream";
import { DriverError, type Shell, Unsupported } from "../driver.ts";
import { initSocket, onceListening } from "./guest.ts";

const headBytes = 5;

/** @param pid of the host's init */
export async function openShell(pid: number, argv: string[], terminal: { cols: number; rows: number }): Promise<Shell> {
  const socket = await onceListening(3_000, () => connected(pid));
  socket.write(`${JSON.stringify({ argv, terminal })}\n`);
  const exited = Promise.withResolvers<number>();
  // Who doesn't ask how it ended is not to be ended by it.
  exited.promise.catch(() => undefined);
  const output = new Readable({ read: () => socket.resume() });
  let rest = Buffer.alloc(0);
  let ended = false;
  const take = (kind: string, content: Buffer) => {
    if (kind === "o" && !output.push(content)) socket.pause();
    if (kind === "x") exited.resolve(Number(content.toString()));
    if (kind === "e") exited.reject(new Unsupported(`The host gives no terminal: ${content.toString()}.`));
  };
  socket.on("data", (data: Buffer) => {
    // A host that was started by an older release answers in one line of JSON.
    if (rest.length === 0 && data[0] === 0x7b) exited.reject(new Unsupported("The host was started by an older release: it gives terminals after a restart."));
    rest = Buffer.concat([rest, data]);
    while (rest.length >= headBytes && rest.length >= headBytes + rest.readUInt32BE(1)) {
      const end = headBytes + rest.readUInt32BE(1);
      take(String.fromCharCode(rest[0]!), rest.subarray(headBytes, end));
      rest = rest.subarray(end);
    }
  });
  socket.on("error", () => undefined);
  socket.on("close", () => {
    ended = true;
    exited.reject(new DriverError("lost", "The host ended, or the program was ended."));
    output.push(null);
  });
  const send = (kind: string, content: Buffer) => {
    if (ended) return;
    const head = Buffer.alloc(headBytes);
    head.write(kind);
    head.writeUInt32BE(content.length, 1);
    socket.write(Buffer.concat([head, content]));
  };
  return {
    output,
    exited: exited.promise,
    write: (input) => send("i", input),
    resize: (cols, rows) => send("r", Buffer.from(JSON.stringify({ cols, rows }))),
    signal: (number) => send("s", Buffer.from(String(number))),
    end: () => void socket.destroy(),
  };
}

function connected(pid: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(initSocket(pid));
    socket.once("connect", () => {
      socket.off("error", reject);
      resolve(socket);
    });
    socket.once("error", reject);
  });
}
