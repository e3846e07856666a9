/** Moments as people write them in a terminal. */
import type { ArgsDef } from "citty";
import type { RestartTime } from "../contract/requests.ts";

export const momentHint = "RFC 3339 (2026-12-05T01:00:00+08:00), or a time in Asia/Shanghai (2026-12-05 01:00)";

/** Without a zone it is Beijing's. @throws Error for what is none */
export function momentOf(text: string): string {
  const zoned = /(Z|[+-]\d\d:\d\d)$/i.test(text) ? text : `${text.trim().replace(" ", "T")}+08:00`;
  const at = new Date(zoned);
  if (Number.isNaN(at.getTime())) throw new Error(`"${text}" is no time: ${momentHint}.`);
  return at.toISOString();
}

export const restartArgs = {
  restart: {
    type: "string",
    description: `When it may be restarted, if that turns out to be needed: now, window (the next maintenance window), or ${momentHint}`,
  },
} as const satisfies ArgsDef;
/** @throws Error for what is none */
export const restartOf = (text: string): RestartTime => (text === "now" || text === "window" ? { when: text } : { when: "at", at: momentOf(text) });
