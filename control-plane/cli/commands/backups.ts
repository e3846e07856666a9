import { defineCommand } from "citty";
import type { Backup, Restore } from "../../contract/backups.ts";
import { json, wait } from "../arguments.ts";
import { clientFromEnvironment } from "../client.ts";
import { bytes, localTime, showOne } from "../output.ts";
import { settled, waitFor } from "../wait.ts";
import { listCommand } from "./list.ts";
import { showCommand } from "./show.ts";

const filters = { department: "Id or code of a department", volume: "Id of a volume" };

export const backups = defineCommand({
  meta: { name: "backups", description: "Recovery points (备份)" },
  subCommands: {
    list: listCommand<Backup>({
      noun: "backups",
      path: "/api/v1/backups",
      filters,
      columns: [
        { title: "id", value: (row) => row.id },
        { title: "volume", value: (row) => row.volume },
        { title: "state", value: (row) => row.state },
        { title: "size", value: (row) => bytes(row.sizeBytes) },
        { title: "site", value: (row) => row.site },
        { title: "completed", value: (row) => localTime(row.completedAt) },
        { title: "SHA-256", value: (row) => row.sha256?.slice(0, 12) },
      ],
    }),
    show: showCommand("backups", "/api/v1/backups"),
    create: defineCommand({
      meta: { name: "create", description: "Back up a volume now" },
      args: { volume: { type: "positional", required: true, description: "Id of the volume" }, wait, json },
      async run({ args }) {
        const client = clientFromEnvironment();
        const made = await client.post<Backup>("/api/v1/backups", { volume: args.volume });
        const last = args.wait
          ? await waitFor(
              () => client.get<Backup>(`/api/v1/backups/${made.id}`),
              (one) => settled(one.state),
            )
          : made;
        showOne(last, args.json);
        if (last.state === "failed") process.exitCode = 1;
      },
    }),
  },
});

export const restores = defineCommand({
  meta: { name: "restores", description: "Restores" },
  subCommands: {
    list: listCommand<Restore>({
      noun: "restores",
      path: "/api/v1/restores",
      filters,
      columns: [
        { title: "id", value: (row) => row.id },
        { title: "backup", value: (row) => row.backup },
        { title: "volume", value: (row) => row.volume },
        { title: "state", value: (row) => row.state },
        { title: "bytes", value: (row) => bytes(row.bytes) },
        { title: "completed", value: (row) => localTime(row.completedAt) },
      ],
    }),
    show: showCommand("restores", "/api/v1/restores"),
    create: defineCommand({
      meta: { name: "create", description: "Put a backup's content into its volume (or another): what is there now is lost" },
      args: {
        backup: { type: "positional", required: true, description: "Id of the backup" },
        volume: { type: "string", description: "Id of another volume of the department" },
        wait,
        json,
      },
      async run({ args }) {
        const client = clientFromEnvironment();
        const made = await client.post<Restore>("/api/v1/restores", { backup: args.backup, ...(args.volume ? { volume: args.volume } : {}) });
        const last = args.wait
          ? await waitFor(
              () => client.get<Restore>(`/api/v1/restores/${made.id}`),
              (one) => settled(one.state),
            )
          : made;
        showOne(last, args.json);
        if (last.state === "failed") process.exitCode = 1;
      },
    }),
  },
});
