import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zipSync } from "fflate";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CityFileInvalid } from "../../../control-plane/cli/city-file.ts";
import { fenOf, loadPlan } from "../../../control-plane/cli/plan-file.ts";

let directory: string;
beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), "plan-"))));
afterAll(() => rmSync(directory, { recursive: true }));
const write = (name: string, content: string | Uint8Array) => {
  const file = join(directory, name);
  writeFileSync(file, content);
  return file;
};
const errorsOf = (file: string) =>
  loadPlan(file).then(
    () => [],
    (error: unknown) => (error as CityFileInvalid).errors.map(({ line, message }) => `${line}: ${message}`),
  );

/** A workbook as spreadsheets write it, with one sheet of texts and numbers. */
function workbook(rows: readonly (readonly (string | number)[])[]): Uint8Array {
  const cell = (value: string | number, row: number, column: number) => {
    const at = `${String.fromCharCode(65 + column)}${row + 1}`;
    return typeof value === "number" ? `<c r="${at}"><v>${value}</v></c>` : `<c r="${at}" t="inlineStr"><is><t>${value}</t></is></c>`;
  };
  const sheet = rows.map((row, index) => `<row r="${index + 1}">${row.map((value, column) => cell(value, index, column)).join("")}</row>`).join("");
  const main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
  const relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
  const files = {
    "[Content_Types].xml": `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>`,
    "_rels/.rels": `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="${relations}/officeDocument" Target="xl/workbook.xml"/></Relationships>`,
    "xl/workbook.xml": `<workbook xmlns="${main}" xmlns:r="${relations}"><sheets><sheet name="计划" sheetId="1" r:id="rId1"/></sheets></workbook>`,
    "xl/_rels/workbook.xml.rels": `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="${relations}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>`,
    "xl/worksheets/sheet1.xml": `<worksheet xmlns="${main}"><sheetData>${sheet}</sheetData></worksheet>`,
  };
  return zipSync(Object.fromEntries(Object.entries(files).map(([name, text]) => [name, new TextEncoder().encode(text)])));
}

const heading = ["部门编码", "项目编号", "项目名称", "年度", "申报预算（元）", "监理单位"];
const wanted = [
  { department: "110000-001", code: "a", name: "云平台", fiscalYear: 2026, budgetFen: 123_456_789, supervisor: { name: "监理公司", creditCode: null } },
  { department: "110000-002", code: "b", name: "门户", fiscalYear: 2026, budgetFen: 10, supervisor: null },
];

describe("a plan as a table", () => {
  it("is read from CSV with a byte order mark, blank lines and quoted amounts, and knows its lines", async () => {
    const file = write("plan.csv", `\uFEFF${heading.join(",")}\n110000-001,a,云平台,2026,"1,234,567.89",监理公司\n\n110000-002,b,门户,2026,0.1,\n`);
    const { projects, locate } = await loadPlan(file);
    expect(projects).toEqual(wanted);
    expect(locate("/projects/1/code")).toEqual({ file, line: 4 });
  });

  it("is read from a workbook, its numbers exactly as they were typed", async () => {
    const file = write(
      "plan.xlsx",
      workbook([heading, ["110000-001", "a", "云平台", 2026, 1_234_567.89, "监理公司"], ["110000-002", "b", "门户", 2026, 0.1, ""]]),
    );
    const { projects, locate } = await loadPlan(file);
    expect(projects).toEqual(wanted);
    expect(locate("/projects/1/department").line).toBe(3);
  });

  it("tells every line that doesn't fit", async () => {
    const csv = write("bad.csv", "department,code,name,fiscal_year,budget_yuan\nx,-,n,2026,1\nx,c,,26,1.234\n");
    expect(await errorsOf(csv)).toEqual([
      expect.stringMatching(/^2: code/),
      expect.stringMatching(/^3: budget: "1.234"/),
      expect.stringMatching(/^3: name/),
      expect.stringMatching(/^3: fiscalYear/),
    ]);
    expect(await errorsOf(write("columns.csv", "department,code\n"))).toEqual(["1: there is no column name or 项目名称"]);
    expect(await errorsOf(write("empty.csv", ""))).toEqual(["1: the file is empty"]);
    expect(await errorsOf(write("gbk.csv", new Uint8Array([0xb2, 0xbf, 0xc3, 0xc5])))).toEqual(["1: the file is not UTF-8: save it as CSV UTF-8"]);
    expect(await errorsOf(write("none.xlsx", "department"))).toEqual([expect.stringContaining("this is no XLSX workbook")]);
  });

  it.each([
    ["1,234,567.89", 123_456_789],
    ["0.1", 10],
    ["1000000", 100_000_000],
    ["90071992547409.91", 9_007_199_254_740_991],
    ["90071992547409.92", undefined],
    ["1.234", undefined],
    ["12,34", undefined],
    ["-1", undefined],
    ["1e6", undefined],
    ["", undefined],
  ])("%s yuan are %s fen", (text, fen) => expect(fenOf(text)).toBe(fen));
});
