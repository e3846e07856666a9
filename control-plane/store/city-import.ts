/** What the parts of a city import share: errors are collected, not thrown one by one, and everything is counted. */
import { Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import type { Tx } from "./database.ts";

export type Noun = "prices" | "flavours" | "images" | "pools" | "departments" | "quotas" | "projects" | "applications" | "requests";

export class CityImporter {
  readonly tx: Tx;
  readonly act: Act;
  readonly created: Record<string, number> = {};
  readonly changed: Record<string, number> = {};
  readonly unchanged: Record<string, number> = {};
  private readonly errors: { pointer: string; detail: string }[] = [];

  constructor(tx: Tx, act: Act) {
    this.tx = tx;
    this.act = act;
  }

  count(what: "created" | "changed" | "unchanged", noun: Noun, by = 1): void {
    if (by > 0) this[what][noun] = (this[what][noun] ?? 0) + by;
  }

  error(pointer: string, detail: string): void {
    this.errors.push({ pointer, detail });
  }

  /** Runs `work`; a refusal becomes an error at this place. */
  async at<T>(pointer: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (error.errors && error.errors.length > 0)
        for (const place of error.errors) this.error(`${pointer}${place.pointer}`, place.detail === "" ? error.detail : `${place.detail}: ${error.detail}`);
      else this.error(pointer, error.detail);
      return undefined;
    }
  }

  /** @throws Refusal("city-invalid") with every error found so far; parts that build on others call it in between */
  settle(): void {
    if (this.errors.length === 0) return;
    throw new Refusal("city-invalid", `${this.errors.length} ${this.errors.length === 1 ? "place does" : "places do"} not fit; nothing was imported.`, {
      errors: this.errors.slice(0, 500),
    });
  }
}

/** Codes that stand in the file twice. */
export function repeated<T>(importer: CityImporter, list: readonly T[], key: (item: T) => string, pointer: (index: number) => string): void {
  const seen = new Set<string>();
  list.forEach((item, index) => {
    const own = key(item);
    if (seen.has(own)) importer.error(pointer(index), "stands in the file twice");
    seen.add(own);
  });
}

const rowsAtOnce = 1000;

/** Slices that fit one statement. */
export function* slices<T>(rows: readonly T[]): Generator<T[]> {
  for (let from = 0; from < rows.length; from += rowsAtOnce) yield rows.slice(from, from + rowsAtOnce);
}
