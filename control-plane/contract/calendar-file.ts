/** A file with a year's holidays and made-up days, as the CLI and the console take it: JSON, or CSV with a day and its kind a line. Pure. */
import type { NewCalendar } from "./approvals.ts";
import type { z } from "zod";

export type CalendarFile = z.infer<typeof NewCalendar>;

const free = new Set(["holiday", "休", "假", "放假", "节假日", "休息日"]);
const worked = new Set(["workday", "working", "班", "上班", "补班", "调休上班", "工作日"]);
const day = /^(\d{4})[-/](\d{1,2})[-/](\d{1,2})$/;
const two = (text: string) => text.padStart(2, "0");

/**
 * CSV: `2027-01-01,holiday` or `2027/1/3,班`; further columns (the festival's name) and lines that begin with # are passed over, and so is a head line.
 * JSON: {source, holidays, workingDays}, with or without `year`. Whether the days can be is checked where they are imported.
 * @param source where it is from; in JSON the file's own counts first
 * @throws Error that says which line, and why
 */
export function readCalendarFile(text: string, source: string): CalendarFile {
  const content = text.replace(/^\uFEFF/, "").trim();
  return content.startsWith("{") ? ofJson(content, source) : ofCsv(content, source);
}

function ofJson(content: string, source: string): CalendarFile {
  const given = JSON.parse(content) as Partial<CalendarFile>;
  const days = (value: unknown, name: string): string[] => {
    if (Array.isArray(value) && value.every((one) => typeof one === "string")) return value;
    throw new Error(`"${name}" must be a list of days such as "2027-01-01".`);
  };
  return complete(days(given.holidays, "holidays"), days(given.workingDays ?? [], "workingDays"), given.source ?? source, given.year);
}

function ofCsv(content: string, source: string): CalendarFile {
  const [holidays, workingDays]: [string[], string[]] = [[], []];
  for (const [index, line] of content.split(/\r?\n/).entries()) {
    const [first = "", second = ""] = line.split(/[,;\t]/).map((field) => field.trim().replace(/^"(.*)"$/, "$1"));
    if ((first === "" && second === "") || first.startsWith("#")) continue;
    const found = day.exec(first);
    if (!found) {
      // The head.
      if (index === 0) continue;
      throw new Error(`Line ${index + 1}: "${first}" is no day such as 2027-01-01.`);
    }
    const date = `${found[1]}-${two(found[2]!)}-${two(found[3]!)}`;
    const kind = second.toLowerCase();
    if (free.has(kind)) holidays.push(date);
    else if (worked.has(kind)) workingDays.push(date);
    else throw new Error(`Line ${index + 1}: "${second}" is neither holiday (休) nor workday (班).`);
  }
  return complete(holidays, workingDays, source);
}

function complete(holidays: string[], workingDays: string[], source: string, given?: number): CalendarFile {
  if (holidays.length === 0) throw new Error("It names no holiday.");
  const year = given ?? Number(holidays[0]!.slice(0, 4));
  return { year, source, holidays, workingDays };
}
