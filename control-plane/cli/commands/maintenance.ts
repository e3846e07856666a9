/** Maintenance windows (维护窗口): announced, moved and cancelled by operations; seen by those whose hosts they concern. */
import { defineCommand } from "citty";
import type { MaintenancePolicy, MaintenanceScope, MaintenanceWindow } from "../../contract/maintenance.ts";
import { json } from "../arguments.ts";
import { clientFromEnvironment } from "../client.ts";
import { momentHint, momentOf } from "../moments.ts";
import { localTime, show, showOne } from "../output.ts";
import { listCommand } from "./list.ts";

const path = "/api/v1/maintenance-windows";
const policyPath = "/api/v1/maintenance-policy";
const id = { type: "positional", required: true, description: "Id of the window" } as const;
const reason = { type: "string", required: true, description: "Why, for those concerned" } as const;
const emergency = { type: "string", description: "It is an emergency, and why: it may be announced late" } as const;
const about = ({ scope }: MaintenanceWindow) => [scope.kind, scope.pool, scope.member, scope.application].filter((one) => one !== null).join(" ");

function showWindow(row: MaintenanceWindow, asJson: boolean): void {
  if (asJson) return showOne(row, true);
  const { hosts, scope: _, ...rest } = row;
  showOne(
    { ...rest, about: about(row), from: localTime(row.from), to: localTime(row.to), announcedAt: localTime(row.announcedAt), hosts: hosts.length },
    false,
  );
  console.log();
  show(
    hosts,
    [
      { title: "host", value: (one) => one.name },
      { title: "department", value: (one) => one.departmentName },
      { title: "until", value: (one) => (one.until === null ? "–" : localTime(one.until)) },
      { title: "id", value: (one) => one.id },
    ],
    false,
  );
}

/** @throws Error unless exactly one scope was given */
function scopeOf(args: { pool?: string; member?: string; application?: string; hosts?: string }): MaintenanceScope {
  if ([args.pool, args.application, args.hosts].filter((one) => one !== undefined).length !== 1)
    throw new Error("Say what it is about: --pool CODE (with --member NAME for one machine of it), --application ID, or --hosts ID,ID.");
  if (args.hosts !== undefined) return { kind: "hosts", hosts: args.hosts.split(",") };
  if (args.application !== undefined) return { kind: "application", application: args.application };
  return args.member === undefined ? { kind: "pool", pool: args.pool! } : { kind: "member", pool: args.pool!, member: args.member };
}

export const maintenance = defineCommand({
  meta: { name: "maintenance", description: "Maintenance windows (维护窗口)" },
  subCommands: {
    list: listCommand<MaintenanceWindow>({
      noun: "maintenance windows",
      path,
      filters: { department: "Id or code, with what is below it", state: "announced, holding, coming (both), ended or cancelled" },
      columns: [
        { title: "from", value: (row) => localTime(row.from) },
        { title: "to", value: (row) => localTime(row.to) },
        { title: "state", value: (row) => row.state },
        { title: "about", value: about },
        { title: "hosts", value: (row) => row.hosts.length },
        { title: "emergency", value: (row) => row.emergencyReason },
        { title: "reason", value: (row) => row.reason },
        { title: "id", value: (row) => row.id },
      ],
    }),
    show: defineCommand({
      meta: { name: "show", description: "A window and the hosts that it concerns" },
      args: { id, json },
      run: async ({ args }) => showWindow(await clientFromEnvironment().get<MaintenanceWindow>(`${path}/${encodeURIComponent(args.id)}`), args.json),
    }),
    announce: defineCommand({
      meta: { name: "announce", description: "Announce a window: it begins and ends by itself, and what is down in it is no downtime" },
      args: {
        pool: { type: "string", description: "Id or code of a pool" },
        member: { type: "string", description: "Name of a member of that pool's cluster" },
        application: { type: "string", description: "Id of an application" },
        hosts: { type: "string", description: "Ids of hosts, with commas between" },
        from: { type: "string", description: `${momentHint}; left out: now, which only an emergency may` },
        to: { type: "string", required: true, description: momentHint },
        reason,
        emergency,
        json,
      },
      async run({ args }) {
        const ask = {
          scope: scopeOf(args),
          from: args.from === undefined ? null : momentOf(args.from),
          to: momentOf(args.to),
          reason: args.reason,
          emergencyReason: args.emergency ?? null,
        };
        showWindow(await clientFromEnvironment().post<MaintenanceWindow>(path, ask), args.json);
      },
    }),
    extend: defineCommand({
      meta: { name: "extend", description: "Move a window, make it longer or shorter" },
      args: {
        id,
        from: { type: "string", description: `New start, before it begins: ${momentHint}` },
        to: { type: "string", description: `New end: ${momentHint}` },
        reason,
        emergency,
        json,
      },
      async run({ args }) {
        const client = clientFromEnvironment();
        const one = `${path}/${encodeURIComponent(args.id)}`;
        const { revision } = await client.get<MaintenanceWindow>(one);
        const change = {
          ...(args.from === undefined ? {} : { from: momentOf(args.from) }),
          ...(args.to === undefined ? {} : { to: momentOf(args.to) }),
          reason: args.reason,
          emergencyReason: args.emergency ?? null,
        };
        showWindow(await client.patch<MaintenanceWindow>(one, change, revision), args.json);
      },
    }),
    cancel: defineCommand({
      meta: { name: "cancel", description: "Cancel a window; one that holds ends now" },
      args: { id, reason, json },
      async run({ args }) {
        const client = clientFromEnvironment();
        const one = `${path}/${encodeURIComponent(args.id)}`;
        const { revision } = await client.get<MaintenanceWindow>(one);
        showWindow(await client.post<MaintenanceWindow>(`${one}/cancel`, { reason: args.reason }, { ifMatch: revision }), args.json);
      },
    }),
    policy: defineCommand({
      meta: { name: "policy", description: "How early maintenance is announced and how long it may be; with options: set it, as the competent authority" },
      args: {
        notice: { type: "string", description: "Whole working days between announcement and start" },
        longest: { type: "string", description: "Hours that a window may last" },
        "down-after": { type: "string", description: "Seconds after which hosts on a member that does not answer count as down" },
        json,
      },
      async run({ args }) {
        const client = clientFromEnvironment();
        const before = await client.get<MaintenancePolicy>(policyPath);
        if (args.notice === undefined && args.longest === undefined && args["down-after"] === undefined) return showOne(before, args.json);
        const change = {
          noticeDays: Number(args.notice ?? before.noticeDays),
          longestHours: Number(args.longest ?? before.longestHours),
          downAfterSeconds: Number(args["down-after"] ?? before.downAfterSeconds),
        };
        showOne(await client.put<MaintenancePolicy>(policyPath, change, before.revision), args.json);
      },
    }),
  },
});
