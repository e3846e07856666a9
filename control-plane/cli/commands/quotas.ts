import { defineCommand } from "citty";
import type { Quota, QuotaFinding, Reconciliation } from "../../contract/quotas.ts";
import { json } from "../arguments.ts";
import { clientFromEnvironment } from "../client.ts";
import { localTime, percent, show, showOne } from "../output.ts";
import { listCommand } from "./list.ts";

const positional = {
  department: { type: "positional", required: true, description: "Id or code" },
  dimension: { type: "positional", required: true, description: "hosts, vcpu, memory_mib, storage_gib:standard …" },
} as const;
const level = { type: "string", description: "A protection level (等级保护) 1 to 4; left out: all of them together" } as const;

/** A limit as it is typed: a whole number, or `none`. */
function amount(name: string, typed: string | undefined): number | null | undefined {
  if (typed === undefined) return undefined;
  if (typed === "none") return null;
  if (!/^\d+$/.test(typed)) throw new Error(`${name} is a whole number or none, not ${typed}.`);
  return Number(typed);
}

function pathOf(args: { department: string; dimension: string; level?: string | undefined }): string {
  const path = `/api/v1/quotas/${encodeURIComponent(args.department)}/${encodeURIComponent(args.dimension)}`;
  return args.level === undefined ? path : `${path}?level=${encodeURIComponent(args.level)}`;
}

const findingColumns = [
  { title: "what", value: (row: QuotaFinding) => row.kind },
  { title: "whose", value: (row: QuotaFinding) => row.resource ?? row.pool ?? row.department ?? "" },
  { title: "dimension", value: (row: QuotaFinding) => (row.level ? `${row.dimension} (level ${row.level})` : row.dimension) },
  { title: "field", value: (row: QuotaFinding) => row.field },
  { title: "adds up to", value: (row: QuotaFinding) => row.expected },
  { title: "found", value: (row: QuotaFinding) => row.found },
  { title: "since", value: (row: QuotaFinding) => localTime(row.firstSeenAt) },
  { title: "closed", value: (row: QuotaFinding) => (row.closedAt ? `${row.corrected ? "corrected" : "explained"}: ${row.reason}` : "") },
  { title: "id", value: (row: QuotaFinding) => row.id },
];

export const quotas = defineCommand({
  meta: { name: "quotas", description: "Quota accounts (配额)" },
  subCommands: {
    list: listCommand<Quota>({
      noun: "quota accounts",
      path: "/api/v1/quotas",
      filters: { department: "Id or code of a department" },
      columns: [
        { title: "department", value: (row) => row.department },
        { title: "dimension", value: (row) => row.dimension },
        { title: "level", value: (row) => (row.level === 0 ? "all" : row.level) },
        { title: "limit", value: (row) => row.limit },
        { title: "soft", value: (row) => row.softLimit },
        { title: "reserved", value: (row) => row.reserved },
        { title: "used", value: (row) => row.used },
        { title: "borrowed", value: (row) => row.borrowed || "" },
        { title: "guaranteed", value: (row) => row.guaranteed || "" },
        { title: "taken", value: (row) => (row.limit ? percent((row.used + row.reserved) / row.limit) : "–") },
      ],
    }),
    set: defineCommand({
      meta: { name: "set", description: "Set what an account allows; `none` as the limit lets the limits above govern" },
      args: {
        ...positional,
        limit: { type: "positional", required: false, description: "Hard limit: a whole number, or none; left out: as it is" },
        level,
        soft: { type: "string", description: "Soft limit: over it requests are accepted and flagged; or none" },
        guaranteed: { type: "string", description: "Kept free for it within the limit of the department above" },
        "borrow-cap": { type: "string", description: "How much it may borrow; none: what there is" },
        lends: { type: "string", description: "yes or no: the departments below may borrow from each other" },
        json,
      },
      async run({ args }) {
        if (args.lends !== undefined && args.lends !== "yes" && args.lends !== "no") throw new Error(`--lends is yes or no, not ${args.lends}.`);
        const guaranteed = amount("--guaranteed", args.guaranteed);
        const client = clientFromEnvironment();
        const path = pathOf(args);
        const { revision } = await client.get<Quota>(path);
        const change = {
          limit: amount("A limit", args.limit),
          softLimit: amount("--soft", args.soft),
          guaranteed: guaranteed === null ? 0 : guaranteed,
          borrowCap: amount("--borrow-cap", args["borrow-cap"]),
          lends: args.lends === undefined ? undefined : args.lends === "yes",
        };
        showOne(await client.put<Quota>(path, change, revision), args.json);
      },
    }),
    reconcile: defineCommand({
      meta: { name: "reconcile", description: "Compare the accounts with live resources and open requests; exit code 1 when they differ" },
      args: { json },
      async run({ args }) {
        const done = await clientFromEnvironment().post<Reconciliation>("/api/v1/quota-reconciliations", {});
        if (args.json) showOne(done, true);
        else {
          if (done.findings.length > 0) show(done.findings, findingColumns, false);
          console.log(
            `${done.accounts} accounts, ${done.resources} resources and ${done.pools} pool accounts compared: ${done.findings.length || "no"} open finding${done.findings.length === 1 ? "" : "s"}.`,
          );
        }
        if (done.findings.length > 0) process.exitCode = 1;
      },
    }),
    findings: listCommand<QuotaFinding>({
      noun: "findings",
      path: "/api/v1/quota-findings",
      filters: { state: "open, closed or all" },
      columns: findingColumns,
    }),
    close: defineCommand({
      meta: { name: "close", description: "Close a finding with a reason: correct the account, or explain it" },
      args: {
        id: { type: "positional", required: true, description: "Id of the finding" },
        reason: { type: "string", required: true, description: "Why" },
        "explain-only": { type: "boolean", description: "Leave the account as it is" },
        json,
      },
      async run({ args }) {
        const client = clientFromEnvironment();
        let cursor: string | null = "";
        let found: QuotaFinding | undefined;
        while (cursor !== null && !found) {
          const page: { items: QuotaFinding[]; next: string | null } = await client.get(
            `/api/v1/quota-findings?limit=500${cursor && `&cursor=${encodeURIComponent(cursor)}`}`,
          );
          found = page.items.find((one) => one.id === args.id);
          cursor = page.next;
        }
        if (!found) throw new Error(`There is no open finding ${args.id}.`);
        const path = `/api/v1/quota-findings/${args.id}/close`;
        showOne(await client.post<QuotaFinding>(path, { reason: args.reason, correct: !args["explain-only"] }, { ifMatch: found.revision }), args.json);
      },
    }),
  },
});
