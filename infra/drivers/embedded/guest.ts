/** Calls of the guest program from outside, and of a host's init from outside. */
import { spawn } from "node:child_process";
import { connect } from "node:net";
import type { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { findGuest } from "../../engine/engine.ts";
import { DriverError, NoSpace } from "../driver.ts";

let found: Promise<string> | undefined;
/** Path of the guest program: ZHENGYUN_GUEST, or what the set-up built. @throws when it was not built */
export function guestProgram(): Promise<string> {
  const given = process.env["ZHENGYUN_GUEST"];
  found ??= given ? Promise.resolve(given) : findGuest();
  return found;
}

/**
 * Runs the guest program outside any host; its standard output, or its standard error as a DriverError.
 * `input` and `output` stream through it.
 */
export async function guest(args: string[], streams: { text?: string; input?: Readable; output?: Writable } = {}): Promise<string> {
  const child = spawn(await guestProgram(), args, { stdio: ["pipe", "pipe", "pipe"], env: {}, detached: false });
  let said = "";
  let complained = "";
  child.stderr.on("data", (data: Buffer) => (complained = (complained + data.toString()).slice(-4000)));
  const ended = new Promise<number>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve(signal ? 1 : (code ?? 1)));
  });
  child.stdin.on("error", () => undefined);
  const flows: Promise<unknown>[] = [];
  if (streams.input) flows.push(pipeline(streams.input, child.stdin).catch(() => undefined));
  else child.stdin.end(streams.text ?? "");
  if (streams.output) flows.push(pipeline(child.stdout, streams.output));
  else child.stdout.on("data", (data: Buffer) => (said += data.toString()));
  const [code] = await Promise.all([ended, ...flows]);
  if (code !== 0 && /no space left/i.test(complained)) throw new NoSpace(`${args[0]}: ${complained.trim()}`);
  if (code !== 0) throw new DriverError("guest-failed", `${args[0]}: ${complained.trim() || `ended with code ${code}`}`);
  return said.trim();
}

/** Asks a running host's init to run a program inside. */
export async function runInside(
  pid: number,
  argv: string[],
  options: { stdin?: string; timeoutMs?: number; signal?: AbortSignal },
): Promise<{ code: number; stdout: string; stderr: string }> {
  const timeoutMs = options.timeoutMs ?? 30_000;
  return onceListening(Math.min(timeoutMs, 3_000), () => ask(pid, { argv, stdin: options.stdin ?? "", timeoutMs }, timeoutMs + 2_000, options.signal));
}

/** Where a host's init takes what is to run inside. */
export const initSocket = (pid: number) => `/proc/${pid}/root/run/zyguest.sock`;

/** @param patienceMs how long a host may take until it listens */
export async function onceListening<T>(patienceMs: number, work: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      // A host that has just been started listens a moment later.
      const code = (error as NodeJS.ErrnoException).code ?? "";
      if (!["ENOENT", "ECONNREFUSED", "EACCES"].includes(code) || Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

function ask(pid: number, request: object, timeoutMs: number, signal?: AbortSignal): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect(initSocket(pid));
    let answer = "";
    const ended = () => socket.destroy(new DriverError("ended", "The program was ended."));
    signal?.addEventListener("abort", ended, { once: true });
    if (signal?.aborted) ended();
    socket.once("close", () => signal?.removeEventListener("abort", ended));
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error("the host does not answer")));
    socket.on("connect", () => socket.write(`${JSON.stringify(request)}\n`));
    socket.on("data", (data) => (answer += data.toString()));
    socket.on("error", reject);
    socket.on("end", () => {
      try {
        resolve(JSON.parse(answer) as { code: number; stdout: string; stderr: string });
      } catch (error) {
        reject(new Error("the host ended while it ran the program", { cause: error }));
      }
    });
  });
}
