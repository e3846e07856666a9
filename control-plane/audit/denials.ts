/**
 * Denials into the audit, each in a transaction of its own. Whoever is denied the same again and again within a minute (a script with a
 * token that has ended) doesn't fill the audit: the first is written at once, the rest as one entry with their number when the minute is over.
 */
import type { Act } from "../store/act.ts";
import { appendAudit, type AuditSubject } from "../store/audit.ts";
import type { Db } from "../store/database.ts";

export interface Denial {
  act: Act;
  /** `GET /api/v1/hosts/hst_…` */
  action: string;
  /** The address that was asked for. */
  path: string;
  departmentId: string | null;
  /** The problem's. */
  code: string;
  /** Whether who asks may do anything at all: of one whose token has ended all denials are alike. */
  known: boolean;
}

export interface Denials {
  record(denial: Denial): Promise<void>;
  /** Writes what was counted, and stops. */
  close(): Promise<void>;
}

const windowMs = 60_000;
/** Different denials of one principal within a minute; the rest are counted together. */
const mostDifferent = 200;
/** Principals and addresses in mind at once; beyond that all are counted as one. */
const mostWindows = 10_000;
const rest = "rest";

interface Counted {
  first: Denial;
  last: Act;
  /** How often it came again after the first. */
  repeated: number;
  /** What came again wasn't always the same address. */
  various: boolean;
}
/** What one principal was denied from one address within a minute. */
interface Window {
  until: number;
  counted: Map<string, Counted>;
}

export interface DenialsOptions {
  db: Db;
  log: { error(fields: object, message: string): void };
}

/** @param clock ms */
export function createDenials({ db, log }: DenialsOptions, clock: () => number = Date.now): Denials {
  const windows = new Map<string, Window>();
  let timer: ReturnType<typeof setInterval> | undefined;

  const write = async (act: Act, subject: Omit<AuditSubject, "subjectKind" | "result">) => {
    try {
      await db.transaction().execute((tx) => appendAudit(tx, act, { subjectKind: "route", result: "denied", ...subject }));
    } catch (error) {
      log.error({ err: error, correlationId: act.correlationId }, "a denial could not be recorded");
    }
  };
  const subjectOf = ({ action, path, departmentId }: Denial) => ({ action: action.slice(0, 200), subjectId: path.slice(0, 200), departmentId });

  const flush = async (now: number) => {
    for (const [who, { until, counted }] of windows) {
      if (until > now) continue;
      windows.delete(who);
      for (const { first, last, repeated, various } of counted.values()) {
        if (repeated === 0) continue;
        const subject = various ? { ...subjectOf(first), action: "denied", subjectId: "various" } : subjectOf(first);
        await write(last, { ...subject, after: { code: first.code, repeated, since: first.act.now.toISOString() } });
      }
    }
    if (windows.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };

  return {
    record: async (denial) => {
      const { act, action, path, code, known } = denial;
      timer ??= setInterval(() => void flush(clock()), 1_000).unref();
      const key = `${act.actor}\n${act.role}\n${act.source}`;
      const who = windows.has(key) || windows.size < mostWindows ? key : rest;
      const window = windows.get(who) ?? { until: clock() + windowMs, counted: new Map<string, Counted>() };
      windows.set(who, window);
      const exact = `${action}\n${path}\n${code}`;
      const room = window.counted.has(exact) || window.counted.size < mostDifferent;
      const same = known && who !== rest ? (room ? exact : rest) : code;
      const before = window.counted.get(same);
      if (before) {
        before.repeated++;
        before.last = act;
        before.various ||= before.first.action !== action || before.first.path !== path || before.first.act.actor !== act.actor;
        return;
      }
      window.counted.set(same, { first: denial, last: act, repeated: 0, various: false });
      await write(act, { ...subjectOf(denial), after: { code } });
    },
    close: () => flush(Infinity),
  };
}
