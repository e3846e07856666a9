/** Into hosts: a terminal, one command, the console's log, SSH. */
import { spawnSync } from "node:child_process";
import { defineCommand } from "citty";
import { type HostExecResult, sessionEnds } from "../../contract/host-sessions.ts";
import type { Host } from "../../contract/resources.ts";
import { json } from "../arguments.ts";
import { type Client, clientFromEnvironment } from "../client.ts";
import { showOne } from "../output.ts";
import { openTerminal } from "../terminal.ts";

const host = { type: "positional", required: true, description: "Id of a host, or its name where one only has it" } as const;
const purpose = { type: "string", description: "Why, for those who read the record", default: "" } as const;

/** By id, or by name among those that one may see. Who may enter but sees no list (a system administrator) names it by id. */
async function hostOf(client: Client, reference: string): Promise<string> {
  if (/^hst_[0-9a-z]{26}$/.test(reference)) return reference;
  const found: Host[] = [];
  for await (const one of client.all<Host>("/api/v1/hosts")) if (one.name === reference) found.push(one);
  if (found.length > 1) throw new Error(`${found.length} hosts are called ${reference}: ${found.map((one) => one.id).join(", ")}. Name it by its id.`);
  if (!found[0]) throw new Error(`There is no host called ${reference} that you may see.`);
  return found[0].id;
}

const shell = defineCommand({
  meta: { name: "shell", description: "A terminal in a host, as root; everything typed and shown is recorded" },
  args: { host, purpose },
  async run({ args }) {
    const client = clientFromEnvironment();
    const { stdin, stdout } = process;
    const size = () => ({ cols: stdout.columns || 80, rows: stdout.rows || 24 });
    const id = await hostOf(client, args.host);
    const terminal = await openTerminal(client, {
      host: id,
      purpose: args.purpose || "console",
      argv: null,
      ...size(),
      show: (data) => void stdout.write(data),
    });
    const resized = () => terminal.tell({ type: "resize", ...size() });
    const typed = (data: Buffer) => terminal.write(data);
    console.error(`Session ${terminal.session.id} (${terminal.session.basis}): recorded.`);
    if (stdin.isTTY) stdin.setRawMode(true);
    stdin.on("data", typed);
    // What was piped in ends the terminal's input as Ctrl-D does.
    stdin.on("end", () => terminal.write("\u0004"));
    stdout.on("resize", resized);
    try {
      const { reason, exitCode, detail } = await terminal.ended;
      if (reason !== "exited") console.error(`\r\nThe session has ended: ${sessionEnds[reason].en}${detail ? ` (${detail})` : ""}.`);
      process.exitCode = exitCode ?? 1;
    } finally {
      if (stdin.isTTY) stdin.setRawMode(false);
      stdin.off("data", typed);
      stdin.pause();
      stdout.off("resize", resized);
    }
  },
});

const exec = defineCommand({
  meta: { name: "exec", description: "Run one command in a host: hosts exec HOST -- CMD…" },
  args: { host, purpose, timeout: { type: "string", description: "Seconds, at most 300", default: "30" }, json },
  async run({ args }) {
    const client = clientFromEnvironment();
    const from = process.argv.indexOf("--");
    const argv = from === -1 ? args._.slice(1) : process.argv.slice(from + 1);
    if (argv.length === 0) throw new Error("Name a command: zhengyun hosts exec HOST -- CMD…");
    const body = { argv, purpose: args.purpose || "command", timeoutSeconds: Number(args.timeout) };
    const done = await client.post<HostExecResult>(`/api/v1/hosts/${await hostOf(client, args.host)}/exec`, body);
    if (args.json) showOne(done, true);
    else {
      process.stdout.write(done.stdout);
      process.stderr.write(done.stderr);
      if (done.endReason !== null && done.endReason !== "exited") console.error(`\nIt has not ended by itself: ${sessionEnds[done.endReason].en}.`);
    }
    process.exitCode = done.exitCode ?? 1;
  },
});

const log = defineCommand({
  meta: { name: "log", description: "The last of what a host's console showed" },
  args: { host, json },
  async run({ args }) {
    const client = clientFromEnvironment();
    const found = await client.get<{ text: string }>(`/api/v1/hosts/${await hostOf(client, args.host)}/console-log`);
    if (args.json) showOne(found, true);
    else process.stdout.write(found.text);
  },
});

const ssh = defineCommand({
  meta: { name: "ssh", description: "Go to a host by SSH, with the keys that it was given; --print only says how" },
  args: {
    host,
    user: { type: "string", description: "Name of the user there", default: "root" },
    identity: { type: "string", description: "File of the private key" },
    print: { type: "boolean", description: "Only print the command", default: false },
  },
  async run({ args }) {
    const client = clientFromEnvironment();
    const one = await client.get<Host>(`/api/v1/hosts/${await hostOf(client, args.host)}`);
    const [address] = one.addresses;
    if (one.sshKeys.length === 0) throw new Error(`${one.name} has no keys: zhengyun hosts keys ${one.id} --file FILE asks for some.`);
    if (address === undefined) throw new Error(`${one.name} has no address to be reached at. A terminal needs none: zhengyun hosts shell ${one.id}`);
    const command = ["ssh", ...(args.identity ? ["-i", args.identity] : []), `${args.user}@${address}`];
    if (args.print) return console.log(command.join(" "));
    const { status, error } = spawnSync(command[0]!, command.slice(1), { stdio: "inherit" });
    if (error) throw new Error(`ssh cannot be run: ${error.message}`);
    process.exitCode = status ?? 1;
  },
});

export const insideHosts = { shell, exec, log, ssh };
