/** What the CLI prints: a table for people, or JSON for programs. */

/** A column: its heading and what it shows of a row. Numbers are aligned to the right. */
export interface Column<T> {
  title: string;
  value(row: T): string | number | null | undefined;
}

/** Chinese characters take two columns of a terminal. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const character of text)
    width += /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/.test(character) ? 2 : 1;
  return width;
}

const cell = (value: string | number | null | undefined) =>
  value === null || value === undefined ? "–" : String(value).replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, " ");

/** A table as lines of text, its columns as wide as they need. */
export function table<T>(rows: readonly T[], columns: readonly Column<T>[]): string {
  const values = rows.map((row) => columns.map((column) => column.value(row)));
  const widths = columns.map((column, index) => Math.max(displayWidth(column.title), ...values.map((row) => displayWidth(cell(row[index])))));
  const right = columns.map((_, index) => values.some((row) => typeof row[index] === "number"));
  const pad = (text: string, index: number) => {
    const space = " ".repeat(Math.max(0, (widths[index] ?? 0) - displayWidth(text)));
    return right[index] ? space + text : text + space;
  };
  const line = (cells: readonly (string | number | null | undefined)[]) =>
    cells
      .map((value, index) => pad(cell(value), index))
      .join("  ")
      .trimEnd();
  return [line(columns.map((column) => column.title)), line(widths.map((width) => "─".repeat(width))), ...values.map(line)].join("\n");
}

/** 1536 MiB as 1.5 GiB and so on; binary units. */
export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  let rest = value;
  while (rest >= 1024 && unit < units.length - 1) {
    rest /= 1024;
    unit++;
  }
  return `${unit === 0 || rest >= 100 ? Math.round(rest) : rest.toFixed(1)} ${units[unit]}`;
}

/** A share as per cent with at most one decimal place. */
export const percent = (ratio: number | null | undefined) =>
  ratio === null || ratio === undefined ? "–" : `${(ratio * 100).toFixed(1).replace(/\.0$/, "")} %`;

/** A time as people in Beijing read it. */
export function localTime(time: string | null | undefined, zone = "Asia/Shanghai"): string {
  if (!time) return "–";
  return new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short", timeStyle: "medium" }).format(new Date(time));
}

/** Prints rows as a table, or as JSON when asked. */
export function show<T>(rows: readonly T[], columns: readonly Column<T>[], json: boolean): void {
  if (json) console.log(JSON.stringify(rows, null, 2));
  else console.log(rows.length === 0 ? "(none)" : table(rows, columns));
}

/** Prints one thing as `key  value` lines, or as JSON when asked. */
export function showOne(thing: Record<string, unknown>, json: boolean): void {
  if (json) return console.log(JSON.stringify(thing, null, 2));
  const width = Math.max(...Object.keys(thing).map(displayWidth));
  for (const [key, value] of Object.entries(thing)) {
    const text = value !== null && typeof value === "object" ? JSON.stringify(value) : cell(value as string | number | null);
    console.log(`${key}${" ".repeat(width - displayWidth(key))}  ${text}`);
  }
}
