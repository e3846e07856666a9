/** Annual project plans (年度项目计划) and the price book (价格目录). */
import { readFileSync } from "node:fs";
import { defineCommand } from "citty";
import { parse } from "yaml";
import type { z } from "zod";
import type { PriceBook } from "../../contract/price-books.ts";
import type { Project, ProjectImported, ProjectStep } from "../../contract/projects.ts";
import { json } from "../arguments.ts";
import { CityFileInvalid } from "../city-file.ts";
import { ApiProblem, clientFromEnvironment } from "../client.ts";
import { localTime, show, showOne } from "../output.ts";
import { loadPlan } from "../plan-file.ts";
import { listCommand } from "./list.ts";

const path = "/api/v1/projects";
const id = { type: "positional", required: true, description: "Id of the project" } as const;
const yuan = (fen: number) => (fen / 100).toFixed(2);

function print(project: Project, steps: readonly ProjectStep[], asJson: boolean): void {
  if (asJson) return showOne({ ...project, steps }, true);
  const { funds, budgetFen, ...rest } = project;
  showOne({ ...rest, "budget, yuan": yuan(budgetFen) }, false);
  console.log();
  show(
    funds,
    [
      { title: "fund", value: (row) => row.kind },
      { title: "year", value: (row) => row.fiscalYear },
      { title: "yuan", value: (row) => yuan(row.amountFen) },
      { title: "reserved", value: (row) => yuan(row.reservedFen) },
      { title: "committed", value: (row) => yuan(row.committedFen) },
      { title: "spent", value: (row) => yuan(row.spentFen) },
      { title: "left", value: (row) => yuan(row.leftFen) },
    ],
    false,
  );
  console.log();
  show(
    steps,
    [
      { title: "at", value: (row) => localTime(row.at) },
      { title: "step", value: (row) => row.event },
      { title: "stage", value: (row) => row.to },
      { title: "by", value: (row) => row.actor },
      { title: "reason", value: (row) => row.reason },
    ],
    false,
  );
}

export const plans = defineCommand({
  meta: { name: "plans", description: "Projects of the annual plan (年度项目计划)" },
  subCommands: {
    list: listCommand<Project>({
      noun: "projects",
      path,
      filters: { department: "Id or code of a department", stage: "filed, reviewed, approved, accepted, operating …", fiscalYear: "Of this year's plan" },
      columns: [
        { title: "code", value: (row) => row.code },
        { title: "name", value: (row) => row.name },
        { title: "year", value: (row) => row.fiscalYear },
        { title: "budget, yuan", value: (row) => yuan(row.budgetFen) },
        { title: "left, yuan", value: (row) => yuan(row.funds.reduce((sum, fund) => sum + fund.leftFen, 0)) },
        { title: "stage", value: (row) => row.stage },
        { title: "id", value: (row) => row.id },
      ],
    }),
    show: defineCommand({
      meta: { name: "show", description: "Show a project, its funds and what was decided about it" },
      args: { id, json },
      async run({ args }) {
        const client = clientFromEnvironment();
        const own = `${path}/${encodeURIComponent(args.id)}`;
        const steps: ProjectStep[] = [];
        for await (const step of client.all<ProjectStep>(`${own}/steps`)) steps.push(step);
        print(await client.get<Project>(own), steps, args.json);
      },
    }),
    import: defineCommand({
      meta: { name: "import", description: "File a whole plan from a CSV or XLSX table, all or none" },
      args: {
        file: { type: "positional", required: true, description: "Columns: department, code, name, fiscal_year, budget_yuan[, supervisor]" },
        "dry-run": { type: "boolean", default: false, description: "Only say what would be done" },
        json,
      },
      async run({ args }) {
        const { projects, locate } = await loadPlan(args.file);
        const body = { projects, dryRun: args["dry-run"] };
        const done = await clientFromEnvironment()
          .post<z.infer<typeof ProjectImported>>("/api/v1/project-imports", body)
          .catch((error: unknown) => {
            const found = error instanceof ApiProblem ? (error.problem.errors ?? []) : [];
            if (found.length === 0) throw error;
            throw new CityFileInvalid(found.map(({ pointer, detail }) => ({ ...locate(pointer), message: `${pointer.split("/").at(-1)}: ${detail}` })));
          });
        showOne(done, args.json);
      },
    }),
    advance: defineCommand({
      meta: { name: "advance", description: "Take a project to its next stage" },
      args: {
        id,
        event: { type: "positional", required: true, description: "review, return, approve, accept, operate, evaluate or close" },
        reason: { type: "string", required: true, description: "Why" },
        file: { type: "string", description: "YAML or JSON with opinions, evidence and funds (body of POST /projects/{id}/advance)" },
        json,
      },
      async run({ args }) {
        const client = clientFromEnvironment();
        const own = `${path}/${encodeURIComponent(args.id)}`;
        const { revision } = await client.get<Project>(own);
        const more = args.file === undefined ? {} : (parse(readFileSync(args.file === "-" ? 0 : args.file, "utf8")) as object);
        const body = { ...more, event: args.event, reason: args.reason };
        print(await client.post<Project>(`${own}/advance`, body, { ifMatch: revision }), [], args.json);
      },
    }),
  },
});

export const prices = defineCommand({
  meta: { name: "prices", description: "Versions of the price book (价格目录)" },
  subCommands: {
    list: defineCommand({
      meta: { name: "list", description: "List every version with its prices" },
      args: { json },
      async run({ args }) {
        const books: PriceBook[] = [];
        for await (const book of clientFromEnvironment().all<PriceBook>("/api/v1/price-books")) books.push(book);
        if (args.json) return show(books, [], true);
        show(
          books.flatMap((book) => book.prices.map((price) => ({ book, price }))),
          [
            { title: "version", value: ({ book }) => book.version },
            { title: "from", value: ({ book }) => localTime(book.validFrom) },
            { title: "in force", value: ({ book }) => (book.inForce ? "yes" : "") },
            { title: "meter", value: ({ price }) => price.meter },
            { title: "fen", value: ({ price }) => price.fen },
            { title: "per", value: ({ price }) => `${price.per === 1 ? "" : `${price.per} `}unit-${price.period}` },
          ],
          false,
        );
      },
    }),
    publish: defineCommand({
      meta: { name: "publish", description: "Publish a new version from a YAML or JSON file; none is ever changed" },
      args: {
        file: { type: "positional", required: true, description: "{validFrom, note, prices: [{meter, per, period: hour|month, fen}]}; `-`: standard input" },
        json,
      },
      async run({ args }) {
        const book = parse(readFileSync(args.file === "-" ? 0 : args.file, "utf8")) as unknown;
        showOne(await clientFromEnvironment().post<PriceBook>("/api/v1/price-books", book), args.json);
      },
    }),
  },
});
