/** Changes of hosts and volumes that are held, as people choose them on a page or in a terminal, written as the items of one request. Pure. */
import type { z } from "zod";
import { endOfDay, type Item, type RestartTime } from "./requests.ts";
import type { BackupPolicy, Host, Volume } from "./resources.ts";

/** An item as it is sent. */
export type AskedItem = z.input<typeof Item>;

export type HostChange =
  /** `restart`: when it may be restarted, if that turns out to be needed. */
  | { action: "resize"; flavour: string; restart?: RestartTime }
  | { action: "start" | "stop" | "retire" }
  /** A day such as 2027-12-31: until its end in Beijing. */
  | { action: "extend"; until: string }
  | { action: "attach"; volume: string; path: string }
  | { action: "keys"; sshKeys: string[] }
  /** `image`: "" for the one that it has. */
  | { action: "redeploy"; image: string };
export type VolumeChange =
  | { action: "grow"; sizeGib: number; restart?: RestartTime }
  | { action: "extend"; until: string }
  | { action: "attach"; host: string; path: string }
  | { action: "detach" | "retire" };

const retired = (kind: "host" | "volume" | "attachment" | "backup-policy", id: string): AskedItem => ({ action: "retire", kind, id });
const attached = (host: string, volume: string, path: string): AskedItem => ({
  action: "create",
  kind: "attachment",
  spec: { host, volume, ...(path === "" ? {} : { path }) },
});

/** Whoever retires a host detaches what it shows: the volumes stay. */
export function hostItems(host: Pick<Host, "id" | "attachments">, change: HostChange): AskedItem[] {
  const { id } = host;
  switch (change.action) {
    case "resize":
      return [{ action: "resize", kind: "host", id, spec: { flavour: change.flavour, ...(change.restart ? { restart: change.restart } : {}) } }];
    case "extend":
      return [{ action: "extend", kind: "host", id, spec: { expiresAt: endOfDay(change.until) } }];
    case "attach":
      return [attached(id, change.volume, change.path)];
    case "keys":
      return [{ action: "keys", kind: "host", id, spec: { sshKeys: change.sshKeys } }];
    case "redeploy":
      return [{ action: "redeploy", kind: "host", id, spec: change.image === "" ? {} : { image: change.image } }];
    case "retire":
      return [...host.attachments.map((one) => retired("attachment", one.id)), retired("host", id)];
    default:
      return [{ action: change.action, kind: "host", id }];
  }
}

/** @param policies backup policies that may be the volume's: they go with it */
export function volumeItems(
  volume: Pick<Volume, "id" | "attachedTo">,
  policies: readonly Pick<BackupPolicy, "id" | "volume">[],
  change: VolumeChange,
): AskedItem[] {
  const { id } = volume;
  const detached = volume.attachedTo ? [retired("attachment", volume.attachedTo.attachment)] : [];
  switch (change.action) {
    case "grow":
      return [{ action: "resize", kind: "volume", id, spec: { sizeGib: change.sizeGib, ...(change.restart ? { restart: change.restart } : {}) } }];
    case "extend":
      return [{ action: "extend", kind: "volume", id, spec: { expiresAt: endOfDay(change.until) } }];
    case "attach":
      return [attached(change.host, id, change.path)];
    case "detach":
      return detached;
    case "retire":
      return [...detached, ...policies.filter((one) => one.volume === id).map((one) => retired("backup-policy", one.id)), retired("volume", id)];
  }
}

/** A new volume with a backup's content, attached where a host is named. */
export function restoredItems(backup: string, wish: { name: string; sizeGib: number; tier: Volume["tier"]; host: string; path: string }): AskedItem[] {
  const { name, sizeGib, tier, host, path } = wish;
  return [{ action: "create", kind: "volume", spec: { name, sizeGib, tier, backup } }, ...(host === "" ? [] : [attached(host, name, path)])];
}

/** The request by which an application passes to another department, under one of its projects. */
export function transferred(
  application: { id: string; department: string; project: string },
  to: { department: string; project: string },
  { title, reason }: { title: string; reason: string },
) {
  const items: AskedItem[] = [{ action: "transfer", kind: "application", id: application.id, spec: to }];
  return { application: application.id, department: application.department, project: application.project, title, reason, items };
}

/** Without what two changes ask for both: a host and its volume that go together share an attachment. */
export function together(items: readonly AskedItem[]): AskedItem[] {
  return [...new Map(items.map((item) => [JSON.stringify(item), item])).values()];
}
