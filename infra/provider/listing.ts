import { type Actual, DriverError, type Driver } from "../drivers/driver.ts";

/** What a driver has: answers any number of reads from one bulk call a kind. */
export interface Listing {
  /**
   * This very generation as it really is; undefined: it is gone.
   * @param host of an attachment: the name of its host
   * @throws OutOfSight where it is, or may be, on a machine that doesn't answer
   */
  actual(id: string, host?: string): Promise<Actual | undefined>;
}

/** It may be there: its machine doesn't answer. */
export class OutOfSight extends DriverError {
  constructor(name: string) {
    super("unreachable", `${name} is on a machine that does not answer: what it is now is not known.`);
  }
}

interface Reading {
  things: ReadonlyMap<string, Actual>;
  unreachable: ReadonlySet<string>;
}
const nameOf = (id: string) => id.replace(/\.[^.]*$/, "");

/**
 * Reads what a department has once for a whole refresh: nobody waits for machines on which it has nothing. Only of what is missing there all departments'
 * things are asked for, since what is just passing from another one is there under that one's name.
 */
export function readListing(driver: Driver, department: string): Listing {
  const read = async (scope?: string): Promise<Reading> => {
    const { things, unreachable } = await driver.actual(scope);
    return { things: new Map(things.map((one) => [one.id, one])), unreachable: new Set(unreachable) };
  };
  const own = read(department);
  // Whoever asks is told; nobody may ask.
  own.catch(() => undefined);
  let whole: Promise<Reading> | undefined;
  return {
    async actual(id, host) {
      const of = host ?? nameOf(id);
      for (const reading of [() => own, () => (whole ??= read())]) {
        const { things, unreachable } = await reading();
        const found = things.get(id);
        if (found) return found;
        if (unreachable.has(of)) throw new OutOfSight(of);
      }
      return undefined;
    },
  };
}

/** Inputs as a reading says them: objects go together property by property, and what is null there (no limit) is not there. */
export function overlaid(inputs: Readonly<Record<string, unknown>>, seen: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const isObject = (value: unknown): value is Record<string, unknown> => value !== null && typeof value === "object" && !Array.isArray(value);
  const merged = Object.entries(seen).map(([key, value]) => {
    const before = inputs[key];
    return [key, isObject(value) && isObject(before) ? overlaid(before, value) : value] as const;
  });
  return Object.fromEntries(Object.entries({ ...inputs, ...Object.fromEntries(merged) }).filter(([, value]) => value !== null));
}
