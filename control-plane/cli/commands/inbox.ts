/** What one is asked to decide, and who decides meanwhile. */
import { readFileSync } from "node:fs";
import { defineCommand } from "citty";
import { parse } from "yaml";
import type { ApprovalPolicy, Calendar, Delegation, InboxItem } from "../../contract/approvals.ts";
import { readCalendarFile } from "../../contract/calendar-file.ts";
import { json } from "../arguments.ts";
import { ApiProblem, clientFromEnvironment } from "../client.ts";
import { localTime, show, showOne } from "../output.ts";
import { listCommand } from "./list.ts";

const left = (item: InboxItem) => (item.overdue ? "overdue" : item.workingDaysLeft === null ? "–" : `${item.workingDaysLeft} working days`);

export const inbox = defineCommand({
  meta: { name: "inbox", description: "What you are asked to decide (待办), the most urgent first" },
  args: { done: { type: "boolean", description: "What you have decided (已办) instead", default: false }, json },
  async run({ args }) {
    const rows: InboxItem[] = [];
    for await (const row of clientFromEnvironment().all<InboxItem>("/api/v1/inbox", { state: args.done ? "done" : "todo" })) rows.push(row);
    show(
      rows,
      [
        { title: "number", value: (row) => row.request.number },
        { title: "title", value: (row) => row.request.title },
        { title: "department", value: (row) => row.request.departmentNameZh },
        { title: "stage", value: (row) => row.step.name },
        ...(args.done
          ? [
              { title: "decision", value: (row: InboxItem) => row.step.state },
              { title: "at", value: (row: InboxItem) => localTime(row.step.decidedAt) },
              { title: "for", value: (row: InboxItem) => row.step.onBehalfOfName ?? "" },
            ]
          : [
              { title: "due", value: (row: InboxItem) => `${localTime(row.step.dueAt)}${row.provisional ? " (provisional)" : ""}` },
              { title: "left", value: left },
              { title: "for", value: (row: InboxItem) => row.onBehalfOf?.name ?? "" },
            ]),
        { title: "id", value: (row) => row.request.id },
      ],
      args.json,
    );
  },
});

export const delegations = defineCommand({
  meta: { name: "delegations", description: "Who decides while somebody is on leave (代理)" },
  subCommands: {
    list: listCommand<Delegation>({
      noun: "delegations",
      path: "/api/v1/delegations",
      columns: [
        { title: "from", value: (row) => row.fromName ?? row.from },
        { title: "to", value: (row) => row.toName ?? row.to },
        { title: "begins", value: (row) => localTime(row.begins) },
        { title: "ends", value: (row) => localTime(row.endedAt ?? row.ends) },
        { title: "reason", value: (row) => row.reason },
        { title: "id", value: (row) => row.id },
      ],
    }),
    create: defineCommand({
      meta: { name: "create", description: "Go on leave: somebody else decides in your name" },
      args: {
        to: { type: "positional", required: true, description: "Id of who decides" },
        from: { type: "string", required: true, description: "First day, such as 2026-12-01 (Asia/Shanghai)" },
        until: { type: "string", required: true, description: "Last day" },
        reason: { type: "string", required: true, description: "Why" },
        json,
      },
      async run({ args }) {
        const body = { to: args.to, begins: `${args.from}T00:00:00+08:00`, ends: `${args.until}T23:59:59.999+08:00`, reason: args.reason };
        showOne(await clientFromEnvironment().post<Delegation>("/api/v1/delegations", body), args.json);
      },
    }),
    end: defineCommand({
      meta: { name: "end", description: "End one that you gave" },
      args: { id: { type: "positional", required: true, description: "Id of the delegation" } },
      async run({ args }) {
        await clientFromEnvironment().delete(`/api/v1/delegations/${encodeURIComponent(args.id)}`);
      },
    }),
  },
});

const fileArgument = { type: "positional", required: true, description: "YAML or JSON file (`-`: standard input)" } as const;
const readFile = (file: string): unknown => parse(readFileSync(file === "-" ? 0 : file, "utf8"));

export const calendars = defineCommand({
  meta: { name: "calendars", description: "Working days (工作日) of each year" },
  subCommands: {
    list: listCommand<Calendar>({
      noun: "calendars",
      path: "/api/v1/calendars",
      columns: [
        { title: "year", value: (row) => row.year },
        { title: "holidays", value: (row) => row.holidays.length },
        { title: "made up", value: (row) => row.workingDays.length },
        { title: "source", value: (row) => row.source },
      ],
    }),
    import: defineCommand({
      meta: {
        name: "import",
        description:
          "Import a year's holidays and made-up days: YAML or JSON {year, source, holidays, workingDays}, or CSV with lines such as 2027-01-01,holiday",
      },
      args: { file: fileArgument, source: { type: "string", description: "Of a CSV file: which notice it is from" }, json },
      async run({ args }) {
        const client = clientFromEnvironment();
        const csv = args.file.toLowerCase().endsWith(".csv");
        if (csv && !args.source) throw new Error("Say by --source which notice the file is from.");
        const { year, ...rest } = csv ? readCalendarFile(readFileSync(args.file, "utf8"), args.source!) : (readFile(args.file) as Calendar);
        const path = `/api/v1/calendars/${year}`;
        const there = await client.get<Calendar>(path).catch((error: unknown) => {
          if (error instanceof ApiProblem && error.problem.status === 404) return undefined;
          throw error;
        });
        showOne(
          there ? await client.put<Calendar>(path, rest, there.revision) : await client.post<Calendar>("/api/v1/calendars", { year, ...rest }),
          args.json,
        );
      },
    }),
  },
});

export const policies = defineCommand({
  meta: { name: "approval-policies", description: "Who approves, in which stages (审批流程)" },
  subCommands: {
    show: defineCommand({
      meta: { name: "show", description: "The policy in force for a department" },
      args: { department: { type: "positional", required: true, description: "Id or code" }, json },
      async run({ args }) {
        const policy = await clientFromEnvironment().get<ApprovalPolicy>(`/api/v1/approval-policies/${encodeURIComponent(args.department)}`);
        if (args.json) return showOne(policy, true);
        const { stages, ...rest } = policy;
        showOne(rest, false);
        console.log();
        show(
          stages,
          [
            { title: "stage", value: (row) => row.name },
            { title: "kind", value: (row) => row.kind },
            { title: "asks", value: (row) => (row.approvers.length > 0 ? row.approvers.join(", ") : row.role) },
            { title: "mode", value: (row) => row.mode },
            { title: "needed", value: (row) => row.needed ?? "all" },
            { title: "working days", value: (row) => row.days },
          ],
          false,
        );
      },
    }),
    set: defineCommand({
      meta: { name: "set", description: "A new version of a department's policy: {stages, note}; stages null inherits again" },
      args: { department: { type: "positional", required: true, description: "Id or code" }, file: fileArgument, json },
      async run({ args }) {
        const client = clientFromEnvironment();
        const path = `/api/v1/approval-policies/${encodeURIComponent(args.department)}`;
        const { version } = await client.get<ApprovalPolicy>(path);
        showOne(await client.put<ApprovalPolicy>(path, readFile(args.file), version), args.json);
      },
    }),
  },
});
