/**
 * People in hosts: the one place outside jobs and the observer that speaks with drivers for somebody who waits (docs/decisions/0025). It decides nothing:
 * who may enter stands in the store; it carries what was opened, records it, and looks several times a second whether it may go on.
 */
import type { Logger } from "pino";
import type { WebSocket } from "ws";
import type { Driver } from "../../infra/drivers/driver.ts";
import type { HostExecResult, SessionEnd } from "../contract/host-sessions.ts";
import type { Db } from "../store/database.ts";
import { notifyEvents } from "../store/events.ts";
import { appendRecording, readRecording } from "../store/host-recordings.ts";
import { closeHostSession, type Closing, cutSessions, type HostSessionRow, lapsedSessions, whyOver } from "../store/host-sessions.ts";
import { Recorder, RecordingFull } from "./recorder.ts";
import { type Ended, hangUp, runTerminal, type Terminal } from "./terminal.ts";

/** How often it is asked whether open sessions may go on. */
const watchMs = 300;
/** How often sessions are looked for that nobody carries, or nobody opened. */
const sweepMs = 5_000;
/** How long an opened session waits for its socket. */
const socketMs = 10_000;
/** Remark in a command's recording: what follows stood on its standard error. */
const errorsFollow = "stderr";

export interface ShellsOptions {
  db: Db;
  seal: (context: string, text: string) => string;
  unseal: (context: string, sealed: string) => string;
  driver(name: string, endpoint: string): Driver;
  now: () => Date;
  log: Logger;
  /** Whose sessions these are. */
  replica: string;
}

export interface Shells {
  readonly replica: string;
  /** Carries a session that was opened just now: its socket is on its way. */
  expect(row: HostSessionRow): void;
  attach(socket: WebSocket, row: HostSessionRow): void;
  /** Runs an opened session's single command. */
  exec(row: HostSessionRow, command: { stdin: string; timeoutMs: number }): Promise<Omit<HostExecResult, "session">>;
  /** What a command that is over has said, as its recording has it. */
  said(row: HostSessionRow): Promise<Omit<HostExecResult, "session">>;
  consoleLog(hostId: string): Promise<string>;
  /** Something may have ended: looks at once. */
  look(): void;
  /** Ends everything in order. */
  close(): Promise<void>;
}

interface Carried {
  row: HostSessionRow;
  end(reason: SessionEnd): void;
  done: Promise<void>;
}

export async function startShells(options: ShellsOptions): Promise<Shells> {
  const { db, now, log, replica } = options;
  const carried = new Map<string, Carried>();
  let closed = false;
  let watching: ReturnType<typeof setTimeout> | undefined;
  let round: Promise<void> = Promise.resolve();

  const settle = async (id: string, closing: Closing) => {
    for (let attempt = 1; ; attempt++) {
      try {
        await db.transaction().execute((tx) => closeHostSession(tx, now(), id, closing));
        return notifyEvents();
      } catch (error) {
        // What cannot be written now is written by the sweep of whoever starts next: as cut.
        if (attempt === 3) return log.error({ err: error, session: id }, "the end of a session in a host could not be written");
        await new Promise((resolve) => setTimeout(resolve, 200 * attempt));
      }
    }
  };

  const watch = async () => {
    for (const { row, end } of carried.values()) {
      try {
        const over = await whyOver(db, row, now());
        if (over) end(over);
      } catch (error) {
        // Who cannot be asked for has not agreed.
        log.error({ err: error, session: row.id }, "whether a session may go on could not be asked: it is ended");
        end("authority-over");
      }
    }
  };
  const sweep = async () => {
    for (const row of await cutSessions(db, replica)) {
      const recording = await readRecording(db, options.unseal, row.id).catch(() => undefined);
      await settle(row.id, { reason: "cut", exitCode: null, sha256: recording?.sha256 ?? null, bytes: recording?.bytes ?? 0 });
      log.warn({ session: row.id, host: row.host_id }, "closed a session in a host that its control plane had left");
    }
    for (const row of await lapsedSessions(db, now())) await settle(row.id, { reason: "lapsed", exitCode: null, sha256: null, bytes: 0 });
  };
  const look = () => {
    round = round.then(watch).catch((error: unknown) => log.error({ err: error }, "a look at the open sessions failed"));
    return round;
  };
  const next = () => {
    if (closed || watching !== undefined || carried.size === 0) return;
    watching = setTimeout(() => {
      watching = undefined;
      void look().then(next);
    }, watchMs);
  };
  await sweep();
  const sweeping = setInterval(() => void sweep().catch((error: unknown) => log.error({ err: error }, "a sweep of the sessions failed")), sweepMs);

  const carry = (row: HostSessionRow, end: Carried["end"], work: () => Promise<Closing>) => {
    const done = work()
      .then((closing) => settle(row.id, closing))
      .catch((error: unknown) => log.error({ err: error, session: row.id }, "a session failed"))
      .finally(() => carried.delete(row.id));
    carried.set(row.id, { row, end, done });
    next();
  };

  const driverOf = async (hostId: string): Promise<Driver> => {
    const place = await db
      .selectFrom("resources as r")
      .innerJoin("pools as p", "p.id", "r.pool_id")
      .select(["p.driver", "p.endpoint"])
      .where("r.id", "=", hostId)
      .executeTakeFirstOrThrow();
    return options.driver(place.driver, place.endpoint);
  };
  const recorderOf = (row: HostSessionRow, title: string) =>
    new Recorder({
      header: { width: row.cols, height: row.rows, timestamp: Math.floor(now().getTime() / 1000), title },
      keep: (seq, text) => appendRecording(db, options.seal, row.id, seq, text),
      clock: () => now().getTime(),
    });

  const sockets = new Map<string, (socket: WebSocket | undefined) => void>();

  const terminal = async (row: HostSessionRow, arriving: Promise<WebSocket | undefined>, ending: Promise<SessionEnd>): Promise<Closing> => {
    const socket = await arriving;
    if (!socket) return { reason: "lapsed", exitCode: null, sha256: null, bytes: 0 };
    const recorder = recorderOf(row, row.purpose);
    let open: Terminal | undefined;
    let ended: Ended;
    try {
      // Before anything is begun in the host.
      await recorder.record("m", `${row.person_id} ${row.basis}`);
      const shell = await (await driverOf(row.host_id)).shell(row.host_id, { argv: row.argv ?? undefined, cols: row.cols, rows: row.rows });
      open = runTerminal(socket, shell, recorder);
      void ending.then((reason) => open!.end(reason));
      ended = await open.ended;
    } catch (error) {
      ended = { reason: "failed", exitCode: null, detail: error instanceof Error ? error.message : String(error) };
    }
    await recorder.record("m", [ended.reason, ended.exitCode ?? "", ended.detail].join(" ").trim()).catch(() => undefined);
    hangUp(socket, ended);
    return { reason: ended.reason, exitCode: ended.exitCode, ...recorder.digest };
  };

  return {
    replica,
    look: () => void look(),
    expect: (row) => {
      const ending = Promise.withResolvers<SessionEnd>();
      const arriving = Promise.withResolvers<WebSocket | undefined>();
      sockets.set(row.id, arriving.resolve);
      const late = setTimeout(() => arriving.resolve(undefined), socketMs);
      carry(row, ending.resolve, () =>
        terminal(
          row,
          arriving.promise.finally(() => clearTimeout(late)),
          ending.promise,
        ).finally(() => sockets.delete(row.id)),
      );
    },
    attach: (socket, row) => {
      const take = sockets.get(row.id);
      // What is typed before the host listens waits on its way.
      socket.pause();
      if (take) take(socket);
      else socket.close(1011, "nobody waits for it");
    },
    exec: async (row, { stdin, timeoutMs }) => {
      const result = Promise.withResolvers<Omit<HostExecResult, "session">>();
      const stop = new AbortController();
      carry(
        row,
        (reason) => stop.abort(reason),
        async () => {
          const recorder = recorderOf(row, row.purpose);
          const argv = row.argv ?? [];
          let reason: SessionEnd = "exited";
          let [exitCode, stdout, stderr]: [number | null, string, string] = [null, "", ""];
          try {
            await recorder.record("i", `${JSON.stringify(argv)}\n${stdin}`);
            const driver = await driverOf(row.host_id);
            const ran = await driver.exec(row.host_id, argv, { stdin, timeoutMs, signal: stop.signal });
            exitCode = ran.code;
            await recorder.record("o", ran.stdout);
            if (ran.stderr !== "") await recorder.record("m", errorsFollow);
            await recorder.record("o", ran.stderr);
            [stdout, stderr] = [ran.stdout, ran.stderr];
          } catch (error) {
            if (stop.signal.aborted) reason = stop.signal.reason as SessionEnd;
            else reason = error instanceof RecordingFull ? "recording-full" : (error as { code?: string }).code === "exec-timeout" ? "time-limit" : "failed";
            stderr = error instanceof Error ? error.message : String(error);
          }
          await recorder.record("m", `${reason} ${exitCode ?? stderr}`).catch(() => undefined);
          result.resolve({ exitCode, endReason: reason, stdout, stderr });
          return { reason, exitCode, ...recorder.digest };
        },
      );
      const done = await result.promise;
      await carried.get(row.id)?.done;
      return done;
    },
    said: async (row) => {
      const lines = ((await readRecording(db, options.unseal, row.id))?.text ?? "")
        .split("\n")
        .slice(1, -1)
        .map((line) => JSON.parse(line) as [number, string, string]);
      const errors = lines.findIndex(([, kind, text]) => kind === "m" && text === errorsFollow);
      const shown = (part: typeof lines) =>
        part
          .filter(([, kind]) => kind === "o")
          .map(([, , text]) => text)
          .join("");
      const [stdout, stderr] = errors === -1 ? [shown(lines), ""] : [shown(lines.slice(0, errors)), shown(lines.slice(errors))];
      return { exitCode: row.exit_code, endReason: row.end_reason, stdout, stderr };
    },
    consoleLog: async (hostId) => (await driverOf(hostId)).consoleLog(hostId),
    close: async () => {
      closed = true;
      clearInterval(sweeping);
      clearTimeout(watching);
      for (const { end } of carried.values()) end("cut");
      for (const take of sockets.values()) take(undefined);
      await Promise.all([...carried.values()].map((one) => one.done));
      await round;
    },
  };
}
