/** Copies of the whole system. `verify` and `restore` work on files, without a control plane. */
import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { defineCommand } from "citty";
import type { SystemBackup, Unknown } from "../../contract/system.ts";
import { json } from "../arguments.ts";
import { clientFromEnvironment } from "../client.ts";
import { bytes, localTime, show, showOne } from "../output.ts";
import { waitFor } from "../wait.ts";
import { keys } from "./system-keys.ts";

const path = "/api/v1/system/backups";

const backup = defineCommand({
  meta: { name: "backup", description: "Copy the whole system while it runs: database and Pulumi's state, secrets sealed. The master key is not in it" },
  args: { out: { type: "string", description: "Fetch the archive into this file" }, json },
  async run({ args }) {
    const client = clientFromEnvironment();
    const made = await client.post<SystemBackup>(path, undefined);
    const done = await waitFor(
      () => client.get<SystemBackup>(`${path}/${made.id}`),
      (one) => one.state === "complete" || one.state === "failed",
      { timeoutMs: 3_600_000 },
    );
    if (done.state === "failed") throw new Error(`The copy could not be made: ${done.error}`);
    if (args.out) await fetchArchive(await client.send("GET", `${path}/${done.id}/archive`), args.out, done.sha256);
    showOne({ ...done, ...(args.out ? { file: args.out } : {}) }, args.json);
  },
});

/** The file is there whole, with the SHA-256 that the server gave, or not at all. */
async function fetchArchive(response: Response, out: string, sha256: string | null): Promise<void> {
  const hash = createHash("sha256");
  const count = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  const aside = `${out}.part`;
  try {
    await pipeline(Readable.fromWeb(response.body as never), count, createWriteStream(aside, { mode: 0o600, flush: true }));
    if (hash.digest("hex") !== sha256) throw new Error("The archive was damaged on its way.");
    await rename(aside, out);
  } finally {
    await rm(aside, { force: true });
  }
}

const verify = defineCommand({
  meta: {
    name: "verify",
    description: "Read every byte of an archive, without a control plane: checksums, counts, Pulumi states, and the keys if the master key is here",
  },
  args: { file: { type: "positional", required: true, description: "The archive" }, json },
  async run({ args }) {
    const { findMasterKey, verifyArchive } = await import("../../system/index.ts");
    const { readConfig } = await import("../../config.ts");
    const { manifest, faults, snapshots, dataKeys } = await verifyArchive(args.file, (one) => findMasterKey(readConfig(process.env).data, process.env, one));
    const rows = manifest?.tables.reduce((sum, one) => sum + one.rows, 0) ?? 0;
    const facts = {
      sound: faults.length === 0,
      createdAt: manifest?.createdAt ?? null,
      version: manifest?.version ?? null,
      tables: manifest?.tables.length ?? 0,
      rows,
      pulumiStates: snapshots,
      masterKey: manifest?.masterKey ?? null,
      dataKeysOpened: dataKeys ?? null,
    };
    if (args.json) console.log(JSON.stringify({ ...facts, faults }, null, 2));
    else {
      showOne({ ...facts, createdAt: localTime(facts.createdAt), sound: facts.sound ? "yes" : "NO" }, false);
      for (const fault of faults) console.error(fault);
    }
    if (faults.length > 0) process.exitCode = 1;
  },
});

const restore = defineCommand({
  meta: { name: "restore", description: "Make an archive the database of a control plane that does not run (ZHENGYUN_DATA, DATABASE_URL)" },
  args: {
    file: { type: "positional", required: true, description: "The archive" },
    replace: { type: "boolean", default: false, description: "Move a database that is there aside" },
    json,
  },
  async run({ args }) {
    const { restoreArchive } = await import("../../system/index.ts");
    const { readConfig } = await import("../../config.ts");
    const { data, databaseUrl, masterKey } = readConfig(process.env);
    const environment = { ...process.env, ...(masterKey ? { ZHENGYUN_MASTER_KEY: masterKey } : {}) };
    const { manifest, movedTo, tokenFile } = await restoreArchive({ file: args.file, data, databaseUrl, replace: args.replace, environment, now: new Date() });
    if (args.json) return showOne({ archivedAt: manifest.createdAt, data, movedTo: movedTo ?? null, tokenFile: tokenFile ?? null }, true);
    console.log(`Restored the copy of ${localTime(manifest.createdAt)}.`);
    if (movedTo) console.log(`What was there lies in ${movedTo}.`);
    if (tokenFile) console.log(`A new operator's token lies in ${tokenFile}.`);
    console.log("After the start, `zhengyun system unknown` lists what exists and this copy doesn't know. Nothing of it is deleted.");
  },
});

const unknown = defineCommand({
  meta: { name: "unknown", description: "What drivers have and the database doesn't know, after a restore" },
  args: { acknowledge: { type: "boolean", default: false, description: "The list was seen: only what stands in it is kept from applies from now on" }, json },
  async run({ args }) {
    const client = clientFromEnvironment();
    const address = "/api/v1/system/unknown";
    const found = args.acknowledge ? await client.post<Unknown>(`${address}/acknowledge`, undefined) : await client.get<Unknown>(address);
    if (args.json) return console.log(JSON.stringify(found, null, 2));
    if (found.restoredAt === null) return console.log("This control plane was never restored from a copy.");
    console.log(
      `Restored ${localTime(found.restoredAt)} from the copy of ${localTime(found.archivedAt)}; drivers asked: ${localTime(found.comparedAt)}; acknowledged: ${localTime(found.acknowledgedAt)}`,
    );
    show(
      found.items,
      [
        { title: "kind", value: (row) => row.kind },
        { title: "id", value: (row) => row.id },
        { title: "name", value: (row) => row.name },
        { title: "department", value: (row) => row.department ?? row.scope },
        { title: "known as", value: (row) => row.phase },
        { title: "endpoint", value: (row) => `${row.driver} ${row.endpoint}` },
      ],
      false,
    );
  },
});

export const system = defineCommand({
  meta: { name: "system", description: "The system as a whole: backup, verify, restore" },
  subCommands: {
    backup,
    verify,
    restore,
    unknown,
    keys,
    backups: defineCommand({
      meta: { name: "backups", description: "The copies that were made" },
      args: { json },
      async run({ args }) {
        const rows: SystemBackup[] = [];
        for await (const row of clientFromEnvironment().all<SystemBackup>(path)) rows.push(row);
        show(
          rows,
          [
            { title: "id", value: (row) => row.id },
            { title: "state", value: (row) => row.state },
            { title: "size", value: (row) => bytes(row.sizeBytes) },
            { title: "made", value: (row) => localTime(row.completedAt) },
            { title: "SHA-256", value: (row) => row.sha256?.slice(0, 12) },
          ],
          args.json,
        );
      },
    }),
  },
});
