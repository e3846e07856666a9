/** Who was in which host; a recording as it was seen. */
import { createHash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { defineCommand } from "citty";
import { type HostSession, sessionEnds } from "../../contract/host-sessions.ts";
import { json } from "../arguments.ts";
import { clientFromEnvironment } from "../client.ts";
import { localTime, showOne } from "../output.ts";
import { listCommand } from "./list.ts";
import { showCommand } from "./show.ts";

const id = { type: "positional", required: true, description: "Id of the session" } as const;
/** Pauses are shortened to this, seconds. */
const longestPause = 2;

const replay = defineCommand({
  meta: { name: "replay", description: "Show a recording as it was seen; checked against the digest in the audit" },
  args: {
    id,
    raw: { type: "boolean", description: "The recording itself (asciicast 2), for other players", default: false },
    input: { type: "boolean", description: "What was typed instead of what was shown", default: false },
    fast: { type: "boolean", description: "Without pauses", default: false },
  },
  async run({ args }) {
    const client = clientFromEnvironment();
    const path = `/api/v1/host-sessions/${encodeURIComponent(args.id)}`;
    const session = await client.get<HostSession>(path);
    const text = await (await client.send("GET", `${path}/recording`)).text();
    const sha256 = createHash("sha256").update(text).digest("hex");
    if (session.recordingSha256 !== null && sha256 !== session.recordingSha256)
      throw new Error(`The recording is not the one that was made: its SHA-256 is ${sha256}.`);
    if (args.raw) return void process.stdout.write(text);
    const [, ...lines] = text.split("\n").filter((line) => line !== "");
    let before = 0;
    for (const line of lines) {
      const [at, kind, data] = JSON.parse(line) as [number, string, string];
      if (kind !== (args.input ? "i" : "o")) continue;
      if (!args.fast) await pause(Math.min(longestPause, at - before) * 1000);
      before = at;
      process.stdout.write(data);
    }
    process.stderr.write(`\n${session.recordingSha256 === null ? "The session goes on." : `SHA-256 ${sha256}, as the audit has it.`}\n`);
  },
});

const end = defineCommand({
  meta: { name: "end", description: "End a session, within a second" },
  args: { id, json },
  async run({ args }) {
    showOne(await clientFromEnvironment().post<HostSession>(`/api/v1/host-sessions/${encodeURIComponent(args.id)}/end`, {}), args.json);
  },
});

export const hostSessions = defineCommand({
  meta: { name: "host-sessions", description: "Who was in which host (主机会话)" },
  subCommands: {
    list: listCommand<HostSession>({
      noun: "sessions in hosts",
      path: "/api/v1/host-sessions",
      filters: {
        host: "Id of a host",
        department: "Id or code of a department",
        state: "ready, open or ended",
        basis: "owner, consent or break-glass",
        unreviewed: "true: break-glass that nobody has reviewed",
      },
      columns: [
        { title: "begun", value: (row) => localTime(row.openedAt ?? row.createdAt) },
        { title: "host", value: (row) => row.hostName },
        { title: "who", value: (row) => row.personName ?? row.person },
        { title: "by", value: (row) => row.basis },
        { title: "why", value: (row) => row.purpose },
        { title: "from", value: (row) => row.source },
        { title: "state", value: (row) => (row.endReason === null ? row.state : sessionEnds[row.endReason].en) },
        { title: "id", value: (row) => row.id },
      ],
    }),
    show: showCommand("sessions in hosts", "/api/v1/host-sessions"),
    replay,
    end,
  },
});
