/**
 * Reads an annual plan from a table: CSV (UTF-8) or the first sheet of an XLSX workbook, one project a line below the heading.
 * Every error says file and line. Nothing is sent from here.
 */
import { readFile } from "node:fs/promises";
import { parse as parseCsv } from "csv-parse/sync";
import readExcelFile from "read-excel-file/node";
import { NewProject } from "../contract/projects.ts";
import { CityFileInvalid, type FileError } from "./city-file.ts";

/** What the heading may call each column, first the name in English. */
const columns = {
  department: ["department", "部门编码", "部门"],
  code: ["code", "项目编号", "项目编码"],
  name: ["name", "项目名称"],
  fiscalYear: ["fiscal_year", "年度", "预算年度"],
  budget: ["budget_yuan", "申报预算（元）", "申报预算(元)", "预算（元）", "预算(元)"],
  supervisor: ["supervisor", "监理单位"],
  creditCode: ["supervisor_credit_code", "监理单位统一社会信用代码"],
} as const;
type Column = keyof typeof columns;
const optional: readonly Column[] = ["supervisor", "creditCode"];

/** A parsed plan and the way back from a JSON Pointer of the import to file and line. */
export interface LoadedPlan {
  projects: NewProject[];
  locate(pointer: string): { file: string; line: number };
}

interface Line {
  line: number;
  cells: string[];
}

/** @throws CityFileInvalid with all errors of the file, each with its line */
export async function loadPlan(file: string): Promise<LoadedPlan> {
  const lines = /\.xlsx$/i.test(file) ? await readWorkbook(file) : await readCsv(file);
  const [heading, ...rows] = lines;
  const invalid = (errors: Omit<FileError, "file">[]) => new CityFileInvalid(errors.map((one) => ({ file, ...one })));
  if (!heading) throw invalid([{ line: 1, message: "the file is empty" }]);
  const places = new Map<Column, number>();
  for (const [column, names] of Object.entries(columns) as [Column, readonly string[]][]) {
    const place = heading.cells.findIndex((cell) => names.includes(cell.toLowerCase()));
    if (place >= 0) places.set(column, place);
    else if (!optional.includes(column)) throw invalid([{ line: heading.line, message: `there is no column ${names.join(" or ")}` }]);
  }
  const errors: Omit<FileError, "file">[] = [];
  const projects: NewProject[] = [];
  for (const { line, cells } of rows) {
    const cell = (column: Column) => cells[places.get(column) ?? -1] ?? "";
    const budgetFen = fenOf(cell("budget"));
    if (budgetFen === undefined) errors.push({ line, message: `budget: "${cell("budget")}" is no amount of yuan with at most two decimals` });
    const parsed = NewProject.safeParse({
      department: cell("department"),
      code: cell("code"),
      name: cell("name"),
      fiscalYear: /^\d{4}$/.test(cell("fiscalYear")) ? Number(cell("fiscalYear")) : cell("fiscalYear"),
      budgetFen: budgetFen ?? 0,
      supervisor: cell("supervisor") === "" ? null : { name: cell("supervisor"), creditCode: cell("creditCode") || null },
    });
    if (parsed.success) projects.push(parsed.data);
    else errors.push(...parsed.error.issues.map((issue) => ({ line, message: `${issue.path.join(".")}: ${issue.message}` })));
  }
  if (errors.length === 0 && rows.length === 0) errors.push({ line: heading.line, message: "there is no project below the heading" });
  if (errors.length > 0) throw invalid(errors);
  const locate = (pointer: string) => ({ file, line: rows[Number(/^\/projects\/(\d+)/.exec(pointer)?.[1] ?? -1)]?.line ?? 1 });
  return { projects, locate };
}

/** Yuan as people write them (1,234,567.89) in fen, exactly; undefined for what is none. */
export function fenOf(text: string): number | undefined {
  const match = /^(\d{1,3}(?:[,，]\d{3})+|\d+)(?:\.(\d{1,2}))?$/.exec(text.trim());
  if (!match) return undefined;
  const fen = BigInt(match[1]!.replaceAll(/[,，]/g, "")) * 100n + BigInt((match[2] ?? "").padEnd(2, "0"));
  return fen <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(fen) : undefined;
}

async function readCsv(file: string): Promise<Line[]> {
  const bytes = await read(file);
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    const rows = parseCsv(text, { bom: true, info: true, trim: true, relax_column_count: true, skip_empty_lines: true }) as unknown as {
      record: string[];
      info: { lines: number };
    }[];
    return rows.map(({ record, info }) => ({ line: info.lines, cells: record }));
  } catch (error) {
    const message = error instanceof TypeError ? "the file is not UTF-8: save it as CSV UTF-8" : (error as Error).message;
    throw new CityFileInvalid([{ file, line: (error as { lines?: number }).lines ?? 1, message }]);
  }
}

/** Cells as their text; a number as it was typed, for a double's shortest text is that. */
async function readWorkbook(file: string): Promise<Line[]> {
  const bytes = await read(file);
  try {
    const [sheet] = await readExcelFile(bytes);
    return (sheet?.data ?? [])
      .map((row, index) => ({ line: index + 1, cells: row.map((cell) => (cell === null ? "" : String(cell).trim())) }))
      .filter((row) => row.cells.some((cell) => cell !== ""));
  } catch (error) {
    throw new CityFileInvalid([{ file, line: 1, message: `this is no XLSX workbook (${(error as Error).message})` }]);
  }
}

async function read(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new CityFileInvalid([{ file, line: 1, message: (error as Error).message }]);
  }
}
