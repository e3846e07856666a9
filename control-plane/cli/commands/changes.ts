/** Changes of hosts and volumes that are held: each command makes one request, for all that it names. */
import { readFileSync } from "node:fs";
import { type ArgsDef, defineCommand } from "citty";
import { type AskedItem, type HostChange, hostItems, restoredItems, together, type VolumeChange, volumeItems } from "../../contract/changes.ts";
import type { Backup } from "../../contract/backups.ts";
import type { Request } from "../../contract/requests.ts";
import type { BackupPolicy, Host, Volume } from "../../contract/resources.ts";
import type { WhatIf } from "../../contract/what-if.ts";
import { json, wait } from "../arguments.ts";
import { type Client, clientFromEnvironment } from "../client.ts";
import { restartArgs, restartOf } from "../moments.ts";
import { showOne } from "../output.ts";
import { settled, undecided, waitFor } from "../wait.ts";
import { printWhatIf } from "./what-if.ts";

const shared = {
  ids: { type: "positional", required: true, description: "Ids: one or several, of one application" },
  project: { type: "string", description: "Id or code of the project; left out, that of the first" },
  title: { type: "string", description: "Subject" },
  reason: { type: "string", description: "Why" },
  "what-if": { type: "boolean", description: "Only say what it would do and what would be left", default: false },
  wait,
  json,
} as const satisfies ArgsDef;
const day = { until: { type: "string", required: true, description: "The day, such as 2027-12-31: until its end in Beijing" } } as const satisfies ArgsDef;
const at = { path: { type: "string", description: "Where in the host: below /mnt, /srv or /data; left out, /data", default: "" } } as const satisfies ArgsDef;

export type Given = Record<string, string | boolean | undefined> & { _: string[] };

/** Reads what is named, and asks for its change in one request. */
async function ask<T extends Host | Volume>(
  noun: "hosts" | "volumes",
  verb: string,
  given: Given,
  itemsOf: (client: Client, one: T) => Promise<AskedItem[]> | AskedItem[],
): Promise<void> {
  const client = clientFromEnvironment();
  const named: T[] = [];
  for (const id of given._) named.push(await client.get<T>(`/api/v1/${noun}/${encodeURIComponent(id)}`));
  const [first] = named;
  if (!first) throw new Error("Name one at least.");
  const items: AskedItem[] = [];
  for (const one of named) items.push(...(await itemsOf(client, one)));
  const body = {
    application: first.application,
    department: first.department,
    project: given["project"] ?? first.project,
    title: given["title"] ?? `${verb} ${named.map((one) => one.name).join(", ")}`.slice(0, 200),
    reason: given["reason"] ?? "",
    items: together(items),
  };
  await send(client, body, given);
}

/** Says what it would do, or makes the request. */
export async function send(client: Client, body: unknown, given: Given): Promise<void> {
  if (given["what-if"] === true) {
    const prospect = await client.post<WhatIf>("/api/v1/requests/what-if", body);
    if (given["json"] === true) showOne(prospect, true);
    else printWhatIf(prospect);
    if (prospect.outcome === "refused") process.exitCode = 1;
    return;
  }
  const made = await client.post<Request>("/api/v1/requests", body);
  const last =
    given["wait"] === true
      ? await waitFor(
          () => client.get<Request>(`/api/v1/requests/${made.id}`),
          (one) => settled(one.state) || undecided(one.state),
        )
      : made;
  showOne(last, given["json"] === true);
  if (last.state === "failed") process.exitCode = 1;
}

const dayOf = (given: Given): string => {
  const until = String(given["until"]);
  if (!/^\d{4}-\d{2}-\d{2}$/.test(until)) throw new Error(`--until is a day such as 2027-12-31, not ${until}.`);
  return until;
};

const restarting = (given: Given) => (given["restart"] === undefined ? {} : { restart: restartOf(String(given["restart"])) });

const keysIn = (file: string): string[] =>
  file === "-"
    ? []
    : readFileSync(file, "utf8")
        .split("\n")
        .map((line) => line.trim())
        .filter((line) => line !== "" && !line.startsWith("#"));

const hostCommand = (verb: string, description: string, args: ArgsDef, change: (given: Given) => HostChange) =>
  defineCommand({
    meta: { name: verb, description },
    args: { ...shared, ...args },
    run: ({ args: given }) => ask<Host>("hosts", verb, given as unknown as Given, (_, one) => hostItems(one, change(given as unknown as Given))),
  });
const volumeCommand = (verb: string, description: string, args: ArgsDef, change: (given: Given) => VolumeChange) =>
  defineCommand({
    meta: { name: verb, description },
    args: { ...shared, ...args },
    run: ({ args: given }) =>
      ask<Volume>("volumes", verb, given as unknown as Given, async (client, one) => {
        const policies: BackupPolicy[] = [];
        if (verb === "retire")
          for await (const policy of client.all<BackupPolicy>("/api/v1/backup-policies", { application: one.application })) policies.push(policy);
        return volumeItems(one, policies, change(given as unknown as Given));
      }),
  });

export const hostChanges = {
  resize: hostCommand(
    "resize",
    "Ask for another flavour; the disk never shrinks",
    { flavour: { type: "string", required: true, description: "Code of a flavour" }, ...restartArgs },
    (given) => ({ action: "resize", flavour: String(given["flavour"]), ...restarting(given) }),
  ),
  stop: hostCommand("stop", "Ask that hosts are stopped", {}, () => ({ action: "stop" })),
  start: hostCommand("start", "Ask that hosts are started", {}, () => ({ action: "start" })),
  extend: hostCommand("extend", "Ask that hosts are kept until a day", day, (given) => ({ action: "extend", until: dayOf(given) })),
  attach: hostCommand(
    "attach",
    "Ask that a volume is attached to a host",
    { volume: { type: "string", required: true, description: "Id of a volume, or its name in the application" }, ...at },
    (given) => ({ action: "attach", volume: String(given["volume"]), path: String(given["path"]) }),
  ),
  keys: hostCommand(
    "keys",
    "Ask for other SSH keys: all that the hosts are to have",
    { file: { type: "string", required: true, description: "File of public keys, one a line; - for none" } },
    (given) => ({ action: "keys", sshKeys: keysIn(String(given["file"])) }),
  ),
  redeploy: hostCommand(
    "redeploy",
    "Ask that hosts are made anew from their image: name and volumes stay, the system disk is wiped",
    { image: { type: "string", description: "Another image", default: "" } },
    (given) => ({ action: "redeploy", image: String(given["image"]) }),
  ),
  retire: hostCommand("retire", "Ask that hosts are retired; their volumes are detached and stay", {}, () => ({ action: "retire" })),
};
/** A backup's content in a new volume; by default as large as the old one, and of its application. */
const restore = defineCommand({
  meta: { name: "restore", description: "Ask for a new volume with a backup's content" },
  args: {
    backup: { type: "positional", required: true, description: "Id of the backup" },
    name: { type: "string", required: true, description: "Name of the new volume" },
    size: { type: "string", description: "GiB; left out, as large as the old one was" },
    application: { type: "string", description: "Id of another application of the department" },
    host: { type: "string", description: "Id or name of a host to attach it to", default: "" },
    ...at,
    project: shared.project,
    title: shared.title,
    reason: shared.reason,
    "what-if": shared["what-if"],
    wait,
    json,
  },
  async run({ args }) {
    const client = clientFromEnvironment();
    const backup = await client.get<Backup>(`/api/v1/backups/${encodeURIComponent(args.backup)}`);
    const source = await client.get<Volume>(`/api/v1/volumes/${backup.volume}`);
    const sizeGib = args.size === undefined ? (backup.volumeGib ?? source.sizeGib) : Number(args.size);
    const wish = { name: args.name, sizeGib, tier: source.tier, host: args.host, path: args.path };
    const body = {
      application: args.application ?? source.application,
      department: source.department,
      project: args.project ?? source.project,
      title: args.title ?? `restore ${source.name} to ${args.name}`.slice(0, 200),
      reason: args.reason ?? "",
      items: restoredItems(backup.id, wish),
    };
    await send(client, body, args as unknown as Given);
  },
});

export const volumeChanges = {
  restore,
  grow: volumeCommand(
    "grow",
    "Ask for more room",
    { size: { type: "string", required: true, description: "GiB that it is to have" }, ...restartArgs },
    (given) => ({
      action: "grow",
      sizeGib: Number(given["size"]),
      ...restarting(given),
    }),
  ),
  extend: volumeCommand("extend", "Ask that volumes are kept until a day", day, (given) => ({ action: "extend", until: dayOf(given) })),
  attach: volumeCommand(
    "attach",
    "Ask that a volume is attached to a host",
    { host: { type: "string", required: true, description: "Id of a host, or its name in the application" }, ...at },
    (given) => ({ action: "attach", host: String(given["host"]), path: String(given["path"]) }),
  ),
  detach: volumeCommand("detach", "Ask that volumes are detached", {}, () => ({ action: "detach" })),
  retire: volumeCommand("retire", "Ask that volumes are retired, with their attachments and backup policies", {}, () => ({ action: "retire" })),
};
