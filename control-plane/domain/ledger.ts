/** Quota accounts (配额) in memory, read under their locks: what the requests of one transaction may still reserve. Pure but for its own counts. */
import type { Dimension } from "../contract/common.ts";
import { Refusal } from "./refusal.ts";
import { type Quantity, sumByDimension } from "./resources.ts";

export interface Account {
  department_id: string;
  dimension: Dimension;
  /** null: no limit of its own. */
  limit_value: number | null;
  reserved: number;
  used: number;
  name_zh: string;
}

/** The accounts of some departments and all their ancestors. */
export class Ledger {
  readonly #accounts = new Map<string, Account>();
  /** Ids of a department and its ancestors, nearest first. */
  readonly #lines: ReadonlyMap<string, readonly string[]>;

  constructor(accounts: readonly Account[], lines: ReadonlyMap<string, readonly string[]>) {
    for (const account of accounts) this.#accounts.set(`${account.department_id} ${account.dimension}`, { ...account });
    this.#lines = lines;
  }

  #chain(departmentId: string, dimension: Dimension): Account[] {
    return (this.#lines.get(departmentId) ?? []).flatMap((id) => this.#accounts.get(`${id} ${dimension}`) ?? []);
  }

  /**
   * Counts quantities as reserved at a department and each ancestor, all or nothing.
   * @throws Refusal quota-exceeded: which limits, whose, how much is left, who can raise them
   */
  reserve(departmentId: string, quantities: readonly Quantity[]): void {
    const sums = sumByDimension(quantities);
    const limits = sums.flatMap((sum) => inTheWay(this.#chain(departmentId, sum.dimension), sum));
    if (limits.length > 0) {
      const text = limits.map((one) => `${one.departmentName}: ${one.dimension} has ${one.left} left of ${one.limit}, ${one.asked} asked`).join("; ");
      throw new Refusal("quota-exceeded", text, { limits, remedy: "Ask for less, or ask operations to raise the limit." });
    }
    for (const { dimension, quantity } of sums) for (const account of this.#chain(departmentId, dimension)) account.reserved += quantity;
  }
}

type Limit = NonNullable<Refusal["limits"]>[number];

/** @param chain a department's account and those above it, nearest first. Where none has a limit, nothing is allowed. */
function inTheWay(chain: readonly Account[], { dimension, quantity }: Quantity): Limit[] {
  const own = chain[0];
  const shown = (account: Account, limit: number, raisedBy: string): Limit => ({
    department: account.department_id,
    departmentName: account.name_zh,
    dimension,
    limit,
    reserved: account.reserved,
    used: account.used,
    left: Math.max(0, limit - account.reserved - account.used),
    asked: quantity,
    raisedBy,
  });
  if (own && chain.every((account) => account.limit_value === null)) return [{ ...shown(own, 0, "operations"), left: 0 }];
  return chain.flatMap((account, index) =>
    account.limit_value !== null && account.reserved + account.used + quantity > account.limit_value
      ? [shown(account, account.limit_value, chain[index + 1]?.name_zh ?? "operations")]
      : [],
  );
}
