/** Snapshots of volumes: taken, deleted, and a volume put back to one by two people. */
import { defineCommand } from "citty";
import type { Snapshot, SnapshotPolicy, SnapshotRevert } from "../../contract/snapshots.ts";
import { json, wait } from "../arguments.ts";
import { clientFromEnvironment } from "../client.ts";
import { bytes, localTime, showOne } from "../output.ts";
import { waitFor } from "../wait.ts";
import { listCommand } from "./list.ts";
import { showCommand } from "./show.ts";

const path = "/api/v1/snapshots";
const revertPath = "/api/v1/snapshot-reverts";
const policyPath = "/api/v1/snapshot-policy";
const one = (of: string, id: string) => `${of}/${encodeURIComponent(id)}`;
const busy = (state: string) => state === "pending" || state === "running" || state === "deleting";
const days = { type: "string", description: "Days until it is deleted by itself; left out, it stays" } as const;

/** @throws Error for what is no number of days */
function expiry(given: string | undefined): string | null {
  if (given === undefined) return null;
  const count = Number(given);
  if (!(count > 0 && count <= 36_500)) throw new Error(`--days is a number of days, not ${given}.`);
  return new Date(Date.now() + count * 86_400_000).toISOString();
}

const take = defineCommand({
  meta: { name: "take", description: "Take a snapshot of a volume now. Crash-consistent: what programs have not written yet is not in it" },
  args: {
    volume: { type: "positional", required: true, description: "Id of the volume" },
    name: { type: "string", required: true, description: "Its name, a volume's own" },
    note: { type: "string", description: "What for", default: "" },
    days,
    wait,
    json,
  },
  async run({ args }) {
    const client = clientFromEnvironment();
    const made = await client.post<Snapshot>(path, { volume: args.volume, name: args.name, note: args.note, expiresAt: expiry(args.days) });
    const last = args.wait
      ? await waitFor(
          () => client.get<Snapshot>(one(path, made.id)),
          (row) => !busy(row.state),
        )
      : made;
    showOne(last, args.json);
    if (last.state === "failed") process.exitCode = 1;
  },
});

const change = defineCommand({
  meta: { name: "change", description: "Change its note, or how long it is kept" },
  args: {
    id: { type: "positional", required: true, description: "Id of the snapshot" },
    note: { type: "string", description: "What for" },
    days: { type: "string", description: "Days from now until it is deleted by itself; none: it stays" },
    json,
  },
  async run({ args }) {
    const client = clientFromEnvironment();
    const { revision } = await client.get<Snapshot>(one(path, args.id));
    const body = {
      ...(args.note === undefined ? {} : { note: args.note }),
      ...(args.days === undefined ? {} : { expiresAt: args.days === "none" ? null : expiry(args.days) }),
    };
    showOne(await client.patch<Snapshot>(one(path, args.id), body, revision), args.json);
  },
});

const remove = defineCommand({
  meta: { name: "delete", description: "Delete a snapshot; the volume stays as it is" },
  args: { id: { type: "positional", required: true, description: "Id of the snapshot" }, wait, json },
  async run({ args }) {
    const client = clientFromEnvironment();
    const { revision } = await client.get<Snapshot>(one(path, args.id));
    await client.delete(one(path, args.id), revision);
    const read = () => client.get<Snapshot>(one(path, args.id));
    const last = args.wait ? await waitFor(read, (row) => !busy(row.state)) : await read();
    showOne(last, args.json);
    if (args.wait && last.state !== "deleted") process.exitCode = 1;
  },
});

const volumeName = { type: "string", required: true, description: "The volume's name, typed once more: what was written to it since is lost" } as const;
const revert = defineCommand({
  meta: {
    name: "revert",
    description: "Ask that the volume is put back to a snapshot: what was written since is lost. Somebody else of the department must agree",
  },
  args: {
    id: { type: "positional", required: true, description: "Id of the snapshot" },
    "volume-name": volumeName,
    reason: { type: "string", required: true, description: "Why" },
    json,
  },
  async run({ args }) {
    const body = { snapshot: args.id, volumeName: args["volume-name"], reason: args.reason };
    showOne(await clientFromEnvironment().post<SnapshotRevert>(revertPath, body), args.json);
  },
});
const agree = defineCommand({
  meta: { name: "agree", description: "Agree to a revert, as somebody else of the owning department" },
  args: {
    id: { type: "positional", required: true, description: "Id of the revert" },
    "volume-name": volumeName,
    reason: { type: "string", description: "What to say to it", default: "" },
    wait,
    json,
  },
  async run({ args }) {
    const client = clientFromEnvironment();
    const read = () => client.get<SnapshotRevert>(one(revertPath, args.id));
    const { revision } = await read();
    const body = { volumeName: args["volume-name"], reason: args.reason };
    const made = await client.post<SnapshotRevert>(`${one(revertPath, args.id)}/confirm`, body, { ifMatch: revision });
    const last = args.wait ? await waitFor(read, (row) => !busy(row.state)) : made;
    showOne(last, args.json);
    if (last.state === "failed") process.exitCode = 1;
  },
});
const cancel = defineCommand({
  meta: { name: "cancel", description: "Before anybody agreed: withdraw a revert, or refuse it for the owning department" },
  args: {
    id: { type: "positional", required: true, description: "Id of the revert" },
    reason: { type: "string", required: true, description: "Why" },
    json,
  },
  async run({ args }) {
    const client = clientFromEnvironment();
    const { revision } = await client.get<SnapshotRevert>(one(revertPath, args.id));
    showOne(await client.post<SnapshotRevert>(`${one(revertPath, args.id)}/cancel`, { reason: args.reason }, { ifMatch: revision }), args.json);
  },
});
const reverts = defineCommand({
  meta: { name: "reverts", description: "Reverts of volumes to snapshots" },
  subCommands: {
    list: listCommand<SnapshotRevert>({
      noun: "reverts",
      path: revertPath,
      filters: { department: "Id or code of a department", volume: "Id of a volume", state: "asked, pending, running, complete, failed …, or open" },
      columns: [
        { title: "state", value: (row) => row.state },
        { title: "volume", value: (row) => row.volumeName },
        { title: "snapshot", value: (row) => row.snapshotName },
        { title: "of", value: (row) => localTime(row.takenAt) },
        { title: "asked by", value: (row) => row.askedByName ?? row.askedBy },
        { title: "reason", value: (row) => row.reason },
        { title: "id", value: (row) => row.id },
      ],
    }),
    show: showCommand("reverts", revertPath),
    agree,
    cancel,
  },
});

const policy = defineCommand({
  meta: { name: "policy", description: "How many snapshots a volume may have; with --per-volume, set as the competent authority" },
  args: { "per-volume": { type: "string", description: "The most that a volume has at a time" }, json },
  async run({ args }) {
    const client = clientFromEnvironment();
    const before = await client.get<SnapshotPolicy>(policyPath);
    const given = args["per-volume"];
    showOne(given === undefined ? before : await client.put<SnapshotPolicy>(policyPath, { perVolume: Number(given) }, before.revision), args.json);
  },
});

export const snapshots = defineCommand({
  meta: { name: "snapshots", description: "Snapshots of volumes (快照)" },
  subCommands: {
    list: listCommand<Snapshot>({
      noun: "snapshots",
      path,
      filters: { department: "Id or code of a department", volume: "Id of a volume", state: "kept (the default), all, or a state" },
      columns: [
        { title: "id", value: (row) => row.id },
        { title: "volume", value: (row) => row.volumeName },
        { title: "name", value: (row) => row.name },
        { title: "state", value: (row) => row.state },
        { title: "of", value: (row) => localTime(row.takenAt) },
        { title: "size", value: (row) => bytes(row.sizeBytes) },
        { title: "expires", value: (row) => localTime(row.expiresAt) },
        { title: "note", value: (row) => row.note },
      ],
    }),
    show: showCommand("snapshots", path),
    take,
    change,
    delete: remove,
    revert,
    reverts,
    policy,
  },
});
