/**
 * Reads a city file (YAML, see docs/city-file.md; departments also by CSV) and turns it into the contract's `City`.
 * Every error says file and line. Nothing is sent from here.
 */
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { parse as parseCsv } from "csv-parse/sync";
import { isNode, LineCounter, parseDocument, type Document } from "yaml";
import { z } from "zod";
import { City } from "../contract/city.ts";
import { NewDepartment } from "../contract/departments.ts";
import { CityProject } from "../contract/projects.ts";
import { NewApplication } from "../contract/applications.ts";
import { Count, Dimension, Reference } from "../contract/common.ts";
import { CityPolicy, Person, ProfilePerson } from "../contract/people.ts";
import { expandEstates } from "./estates.ts";
import type { People } from "./people.ts";

/** A place in a file and what is wrong there. */
export interface FileError {
  file: string;
  line: number;
  message: string;
}

/** The file has errors; `errors` holds every one that was found. */
export class CityFileInvalid extends Error {
  readonly errors: FileError[];
  constructor(errors: FileError[]) {
    // A profile's mistake shows up in every department that it is written out for: say it once.
    const once = [...new Map(errors.map((error) => [`${error.file}:${error.line}: ${error.message}`, error])).entries()];
    super(once.map(([text]) => text).join("\n"));
    this.name = "CityFileInvalid";
    this.errors = once.map(([, error]) => error);
  }
}

const CountedItem = z.looseObject({ count: z.int().min(1).max(200).optional() });
/** A typical estate: what each department that is listed with it gets, in its own name. */
export const Profile = z.strictObject({
  project: CityProject.omit({ department: true }),
  application: NewApplication.omit({ department: true, project: true }),
  quota: z.partialRecord(Dimension, Count),
  people: z.array(ProfilePerson).max(20).default([]),
  request: z.strictObject({ title: z.string().min(1).max(200), reason: z.string().max(2000).default(""), items: z.array(CountedItem).min(1).max(200) }),
});
export type Profile = z.infer<typeof Profile>;

/** What the file itself may hold: the contract's City, and the shorter ways of writing. */
export const CityFile = City.extend({
  departments: z.union([z.array(NewDepartment), z.strictObject({ csv: z.string().min(1) })]).default([]),
  profiles: z.record(z.string(), Profile).default({}),
  estates: z.array(z.strictObject({ profile: z.string(), departments: z.array(Reference).optional(), level: z.string().optional() })).default([]),
  people: z.array(Person).max(20_000).default([]),
  policies: z.array(CityPolicy).max(20_000).default([]),
  /** Adds to each department's limits those of the departments below it, so that limits add up on every level. */
  rollUpQuotas: z.boolean().default(false),
});
export type CityFile = z.infer<typeof CityFile>;

/** A parsed city with its people, and the way back from a JSON Pointer of it to file and line. */
export interface LoadedCity extends People {
  city: City;
  locate(pointer: string): { file: string; line: number };
}

/** @throws CityFileInvalid with all errors of the file, each with its line */
export async function loadCity(path: string): Promise<LoadedCity> {
  const lines = new LineCounter();
  const document = parseDocument(await readText(path), { lineCounter: lines, prettyErrors: false, merge: true });
  if (document.errors.length > 0) {
    throw new CityFileInvalid(document.errors.map((error) => ({ file: path, line: lines.linePos(error.pos[0]).line, message: error.message })));
  }
  const lineOf = (at: readonly PropertyKey[]) => lineOfPath(document, lines, at);
  const parsed = CityFile.safeParse(document.toJS() ?? {});
  if (!parsed.success) {
    throw new CityFileInvalid(
      flatten(parsed.error.issues).map(({ at, message }) => ({ file: path, line: lineOf(at), message: `${at.join(".") || "file"}: ${message}` })),
    );
  }
  const file = parsed.data;
  const listed = Array.isArray(file.departments) ? undefined : await loadDepartments(join(dirname(path), file.departments.csv));
  const departments = listed?.departments ?? (file.departments as z.infer<typeof NewDepartment>[]);
  const { city, people, origins, errors } = expandEstates(file, departments);
  if (errors.length > 0) throw new CityFileInvalid(errors.map((error) => ({ file: path, line: lineOf(error.at), message: error.message })));
  const checked = City.safeParse(city);
  const locate = (pointer: string) => {
    const at = fromPointer(pointer);
    if (listed && at[0] === "departments" && typeof at[1] === "number") return { file: listed.file, line: listed.lines[at[1]] ?? 1 };
    const origin = origins(at);
    return { file: path, line: lineOf(origin) };
  };
  if (!checked.success) {
    throw new CityFileInvalid(
      flatten(checked.error.issues).map(({ at, message }) => {
        const pointer = `/${at.map(String).join("/")}`;
        return { ...locate(pointer), message: `${origins(fromPointer(pointer)).join(".")}: ${message}` };
      }),
    );
  }
  return { city: checked.data, people, policies: file.policies, locate };
}

/** @throws CityFileInvalid that says why it cannot be read */
async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    const why = { ENOENT: "There is no such file.", EISDIR: "This is a directory: name the .yaml file in it.", EACCES: "You may not read this file." }[code];
    throw new CityFileInvalid([{ file, line: 1, message: why ?? String(error) }]);
  }
}

const csvColumns = ["code", "name_zh", "name_en", "parent_code", "level"];

async function loadDepartments(file: string) {
  const text = (await readText(file)).replace(/^\uFEFF/, "");
  let rows: { record: Record<string, string>; info: { lines: number } }[];
  try {
    rows = parseCsv(text, { columns: true, info: true, skip_empty_lines: true, trim: true }) as unknown as typeof rows;
  } catch (error) {
    const lines = (error as { lines?: number }).lines ?? 1;
    throw new CityFileInvalid([{ file, line: lines, message: (error as Error).message }]);
  }
  const missing = csvColumns.filter((column) => rows[0] !== undefined && !(column in rows[0].record));
  if (missing.length > 0)
    throw new CityFileInvalid([{ file, line: 1, message: `missing columns: ${missing.join(", ")} (expected ${csvColumns.join(",")}[,line])` }]);
  const errors: FileError[] = [];
  const departments = rows.flatMap(({ record, info }) => {
    const parsed = NewDepartment.safeParse({
      code: record["code"],
      nameZh: record["name_zh"],
      nameEn: record["name_en"],
      parent: record["parent_code"] || null,
      level: record["level"],
      line: record["line"] || null,
    });
    if (parsed.success) return [parsed.data];
    errors.push(...parsed.error.issues.map((issue) => ({ file, line: info.lines, message: `${issue.path.join(".")}: ${issue.message}` })));
    return [];
  });
  if (errors.length > 0) throw new CityFileInvalid(errors);
  return { file, departments, lines: rows.map((row) => row.info.lines) };
}

/** Of a union's issues those of the branch that went furthest: what the writer most likely meant. */
function flatten(issues: readonly z.core.$ZodIssue[], above: PropertyKey[] = []): { at: PropertyKey[]; message: string }[] {
  return issues.flatMap((issue) => {
    const at = [...above, ...issue.path];
    if (issue.code !== "invalid_union" || issue.errors.length === 0) return [{ at, message: issue.message }];
    const branches = issue.errors.map((branch) => flatten(branch, at));
    return branches.toSorted((a, b) => depth(b) - depth(a) || a.length - b.length)[0] ?? [{ at, message: issue.message }];
  });
}
const depth = (branch: { at: PropertyKey[] }[]) => Math.min(...branch.map((one) => one.at.length));

function fromPointer(pointer: string): (string | number)[] {
  return pointer
    .split("/")
    .slice(1)
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part.replaceAll("~1", "/").replaceAll("~0", "~")));
}

/** Line of the node at a path; of the nearest one above where the path itself is absent. */
function lineOfPath(document: Document, lines: LineCounter, at: readonly PropertyKey[]): number {
  for (let length = at.length; length > 0; length--) {
    const node = document.getIn(at.slice(0, length), true);
    if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
  }
  return 1;
}
