/** The audit: to look at, to hand over, to verify. The chain is recomputed here, not by the control plane that is being checked. */
import { createReadStream, createWriteStream } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { defineCommand } from "citty";
import { type ExportLine, type Verified, verifyExport } from "../../audit/verify.ts";
import type { AuditEntry } from "../../contract/audit.ts";
import { json } from "../arguments.ts";
import { clientFromEnvironment } from "../client.ts";
import { localTime } from "../output.ts";
import { listCommand } from "./list.ts";

const range = {
  first: { type: "string", description: "First place in the chain" },
  last: { type: "string", description: "Last place in the chain" },
  from: { type: "string", description: "RFC 3339" },
  to: { type: "string", description: "RFC 3339" },
} as const;

/** The export as it arrives. */
async function exported(query: Partial<Record<keyof typeof range, string | undefined>>): Promise<Readable> {
  const { first, last, from, to } = query;
  const { body } = await clientFromEnvironment().send("GET", "/api/v1/audit/export", { query: { first, last, from, to } });
  return Readable.fromWeb(body!);
}

/** Split at line feeds only: node:readline would also do so at U+2028, which may stand in a text. @throws Error naming the line that is no JSON */
async function* linesOf(input: Readable): AsyncGenerator<ExportLine> {
  let number = 0;
  const parse = (line: string): ExportLine => {
    number++;
    try {
      return JSON.parse(line) as ExportLine;
    } catch {
      throw new Error(`Line ${number} of the export is not JSON: it was cut off or changed.`);
    }
  };
  let rest = "";
  for await (const part of input.setEncoding("utf8")) {
    const lines = (rest + String(part)).split("\n");
    rest = lines.pop()!;
    for (const line of lines) yield parse(line);
  }
  if (rest !== "") yield parse(rest);
}

const exportEntries = defineCommand({
  meta: { name: "export", description: "A stretch of the chain with its checkpoints, one JSON object a line" },
  args: { ...range, output: { type: "string", description: "A file; left out: standard output" } },
  async run({ args }) {
    const stream = await exported(args);
    await pipeline(stream, args.output === undefined ? process.stdout : createWriteStream(args.output, { mode: 0o600 }), { end: args.output !== undefined });
  },
});

const verify = defineCommand({
  meta: { name: "verify", description: "Recompute the chain here, entry by entry, and check every signature" },
  args: {
    ...range,
    file: { type: "string", description: "An export that was kept, instead of asking the control plane" },
    key: { type: "string", description: "Id of the signing key as it was noted when the control plane was new; several: with commas" },
    json,
  },
  async run({ args }) {
    const stream = args.file === undefined ? await exported(args) : createReadStream(args.file);
    const found = await verifyExport(linesOf(stream), args.key?.split(","));
    stream.destroy();
    if (args.json) console.log(JSON.stringify({ ...found, fault: found.fault ?? null }, null, 2));
    else report(found);
    if (found.fault) process.exitCode = 1;
  },
});

function report({ first, last, entries, checkpoints, signedUpTo, keys, unlinked, fault }: Verified): void {
  if (fault) return console.error(`✘ ${fault.what}: ${fault.detail}`);
  if (entries === 0) return console.log(`The chain has no entries there; ${unlinked} wait to be linked.`);
  console.log(`✔ entries ${first} to ${last} are whole and in order; ${checkpoints} checkpoints fit, signed with ${keys.join(", ") || "no key yet"}.`);
  if (signedUpTo < last) console.log(`  ${last - Math.max(signedUpTo, first - 1)} of them no checkpoint covers yet.`);
  if (unlinked > 0) console.log(`  ${unlinked} newer entries wait to be linked.`);
}

export const audit = defineCommand({
  meta: { name: "audit", description: "Audit entries (审计记录) and their hash chain (审计链)" },
  subCommands: {
    list: listCommand<AuditEntry>({
      noun: "audit entries",
      path: "/api/v1/audit",
      filters: {
        department: "Id or code of a department",
        subject: "Id of a thing",
        actor: "Id of a token",
        action: "Such as request.approve",
        result: "done, denied or failed",
        correlation: "Correlation id",
        from: "RFC 3339",
        to: "RFC 3339",
      },
      columns: [
        { title: "no.", value: (row) => row.sequence },
        { title: "at", value: (row) => localTime(row.at) },
        { title: "actor", value: (row) => row.actor },
        { title: "role", value: (row) => row.role },
        { title: "from", value: (row) => row.source },
        { title: "action", value: (row) => row.action },
        { title: "subject", value: (row) => row.subject },
        { title: "result", value: (row) => row.result },
      ],
    }),
    export: exportEntries,
    verify,
  },
});
