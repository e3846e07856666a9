/** The master key: rotation, and its way out for two people. `rotate`, `pair` and `open` work without a control plane. */
import { readFileSync, writeFileSync } from "node:fs";
import { defineCommand } from "citty";
import type { z } from "zod";
import type { ApprovedKeyEscrow, KeyEscrow } from "../../contract/system.ts";
import { json } from "../arguments.ts";
import { clientFromEnvironment } from "../client.ts";
import { localTime, showOne } from "../output.ts";
import { listCommand } from "./list.ts";

const path = "/api/v1/system/key-escrows";

/** A secret goes into a file that is new and its owner's alone. */
const keep = (file: string, text: string) => writeFileSync(file, `${text}\n`, { mode: 0o600, flag: "wx", flush: true });

export const keys = defineCommand({
  meta: { name: "keys", description: "The master key: rotate, escrow" },
  subCommands: {
    rotate: defineCommand({
      meta: { name: "rotate", description: "A new master key, while the control plane does not run; the old one's file is kept" },
      args: { json },
      async run({ args }) {
        const { rotateMasterKey } = await import("../../system/index.ts");
        const { readConfig } = await import("../../config.ts");
        const { data, databaseUrl, masterKey } = readConfig(process.env);
        const environment = { ...process.env, ...(masterKey ? { ZHENGYUN_MASTER_KEY: masterKey } : {}) };
        const done = await rotateMasterKey({ data, databaseUrl, environment, now: new Date() });
        showOne({ ...done, kept: done.kept ?? null }, args.json);
        if (masterKey && !args.json)
          console.log("The environment still names the old key: take it out; the new one lies in keys/master.key of the data directory.");
      },
    }),
    pair: defineCommand({
      meta: { name: "pair", description: "Make a pair of keys: the private one into a file, the public one printed, for `keys escrow --to`" },
      args: { out: { type: "string", required: true, description: "File of the private key" } },
      async run({ args }) {
        const { makeEscrowPair } = await import("../../system/index.ts");
        const pair = makeEscrowPair();
        keep(args.out, pair.privateKey);
        console.log(pair.publicKey);
      },
    }),
    escrow: defineCommand({
      meta: { name: "escrow", description: "Ask for the master key, encrypted to a public key; another operator approves within 24 hours" },
      args: {
        to: { type: "string", required: true, description: "Public key, base64" },
        reason: { type: "string", required: true, description: "What it is for" },
        json,
      },
      run: async ({ args }) => showOne(await clientFromEnvironment().post<KeyEscrow>(path, { publicKey: args.to, reason: args.reason }), args.json),
    }),
    escrows: listCommand<KeyEscrow>({
      noun: "key escrows",
      path,
      columns: [
        { title: "id", value: (row) => row.id },
        { title: "asked by", value: (row) => row.requestedBy },
        { title: "reason", value: (row) => row.reason },
        { title: "until", value: (row) => localTime(row.expiresAt) },
        { title: "approved by", value: (row) => row.approvedBy },
      ],
    }),
    approve: defineCommand({
      meta: { name: "approve", description: "Approve what another operator asked for; the encrypted key is written to a file" },
      args: {
        id: { type: "positional", required: true, description: "Id of the escrow" },
        out: { type: "string", required: true, description: "File for the encrypted key" },
        json,
      },
      async run({ args }) {
        const { sealedKey, ...approved } = await clientFromEnvironment().post<z.infer<typeof ApprovedKeyEscrow>>(`${path}/${args.id}/approve`, undefined);
        keep(args.out, sealedKey);
        showOne({ ...approved, file: args.out }, args.json);
      },
    }),
    open: defineCommand({
      meta: { name: "open", description: "Open an encrypted master key by the private key; what comes out fits keys/master.key" },
      args: {
        file: { type: "positional", required: true, description: "File of the encrypted key" },
        key: { type: "string", required: true, description: "File of the private key" },
        out: { type: "string", required: true, description: "File for the master key" },
      },
      async run({ args }) {
        const { openEscrow } = await import("../../system/index.ts");
        keep(args.out, openEscrow(readFileSync(args.file, "utf8"), readFileSync(args.key, "utf8")));
      },
    }),
  },
});
