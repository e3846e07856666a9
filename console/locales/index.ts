/** zh-CN is the source; English is loaded when chosen. The choice is kept in this browser. */
import { configureLocalization } from "@lit/localize";

const kept = "zy-locale";
export type Locale = "zh-CN" | "en";
export const { getLocale, setLocale } = configureLocalization({ sourceLocale: "zh-CN", targetLocales: ["en"], loadLocale: () => import("./en.ts") });

export async function choose(locale: Locale): Promise<void> {
  await setLocale(locale);
  document.documentElement.lang = locale;
  localStorage.setItem(kept, locale);
}

/** What was chosen before, else what the browser prefers. */
export const start = (): Promise<void> => choose((localStorage.getItem(kept) as Locale | null) ?? (navigator.language.startsWith("zh") ? "zh-CN" : "en"));
