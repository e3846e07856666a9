/** Hosts, volumes and backup policies: read here, changed by requests. */
import { defineCommand } from "citty";
import type { BackupPolicy, Host, Volume } from "../../contract/resources.ts";
import { bytes, localTime, percent } from "../output.ts";
import { hostChanges, volumeChanges } from "./changes.ts";
import { listCommand } from "./list.ts";
import { showCommand } from "./show.ts";

const filters = {
  department: "Id or code of a department",
  application: "Id or code of an application",
  phase: "proposed, wanted, live, retiring, gone or failed",
  subtree: "true: with the departments below",
};

export const hosts = defineCommand({
  meta: { name: "hosts", description: "Virtual hosts" },
  subCommands: {
    list: listCommand<Host>({
      noun: "hosts",
      path: "/api/v1/hosts",
      filters,
      columns: [
        { title: "name", value: (row) => row.name },
        { title: "phase", value: (row) => row.phase },
        { title: "state", value: (row) => (row.inMaintenance ? `${row.observedState} (maintenance)` : row.observedState) },
        { title: "vCPU", value: (row) => row.flavour.vcpu },
        { title: "memory", value: (row) => bytes(row.flavour.memoryMib * 1_048_576) },
        { title: "pool", value: (row) => row.pool },
        { title: "uptime", value: (row) => percent(row.uptimeRatio) },
        { title: "opened", value: (row) => localTime(row.openedAt) },
        { title: "id", value: (row) => row.id },
      ],
    }),
    show: showCommand("hosts", "/api/v1/hosts"),
    ...hostChanges,
  },
});

export const volumes = defineCommand({
  meta: { name: "volumes", description: "Storage volumes" },
  subCommands: {
    list: listCommand<Volume>({
      noun: "volumes",
      path: "/api/v1/volumes",
      filters,
      columns: [
        { title: "name", value: (row) => row.name },
        { title: "phase", value: (row) => row.phase },
        { title: "GiB", value: (row) => row.sizeGib },
        { title: "tier", value: (row) => row.tier },
        { title: "attached to", value: (row) => (row.attachedTo ? `${row.attachedTo.hostName}:${row.attachedTo.path}` : "–") },
        { title: "used", value: (row) => bytes(row.usedBytes) },
        { title: "id", value: (row) => row.id },
      ],
    }),
    show: showCommand("volumes", "/api/v1/volumes"),
    ...volumeChanges,
  },
});

export const policies = defineCommand({
  meta: { name: "backup-policies", description: "Backup policies" },
  subCommands: {
    list: listCommand<BackupPolicy>({
      noun: "backup policies",
      path: "/api/v1/backup-policies",
      filters,
      columns: [
        { title: "name", value: (row) => row.name },
        { title: "volume", value: (row) => row.volumeName },
        { title: "schedule", value: (row) => `${row.schedule} ${row.timezone}` },
        { title: "keep", value: (row) => row.keep },
        { title: "next", value: (row) => localTime(row.nextDueAt) },
        { title: "last success", value: (row) => localTime(row.lastSuccessAt) },
        { title: "id", value: (row) => row.id },
      ],
    }),
    show: showCommand("backup policies", "/api/v1/backup-policies"),
  },
});
