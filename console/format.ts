/** Numbers, times and states as people read them. */
import { getLocale } from "./locales/index.ts";

const locale = () => getLocale();
export const number = (value: number) => new Intl.NumberFormat(locale()).format(value);
/** Fen as yuan, with both decimals. */
export const yuan = (fen: number) => new Intl.NumberFormat(locale(), { minimumFractionDigits: 2, maximumFractionDigits: 2 }).format(fen / 100);
export const percent = (ratio: number | null) =>
  ratio === null ? "–" : new Intl.NumberFormat(locale(), { style: "percent", maximumFractionDigits: 1 }).format(ratio);
export const time = (value: string | null) =>
  value ? new Intl.DateTimeFormat(locale(), { timeZone: "Asia/Shanghai", dateStyle: "medium", timeStyle: "medium" }).format(new Date(value)) : "–";

export function bytes(value: number | null): string {
  if (value === null) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const unit = Math.min(units.length - 1, value < 1 ? 0 : Math.floor(Math.log2(value) / 10));
  return `${new Intl.NumberFormat(locale(), { maximumFractionDigits: 1 }).format(value / 1024 ** unit)} ${units[unit]}`;
}

/** Seconds as hours. */
export const hours = (seconds: number) => new Intl.NumberFormat(locale(), { style: "unit", unit: "hour", maximumFractionDigits: 1 }).format(seconds / 3600);
