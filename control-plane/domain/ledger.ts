/**
 * Quota accounts (配额) in memory, read under their locks: what the requests of one transaction may still reserve. Pure but for its own counts.
 * A department over its own limit borrows: what it borrowed is what it holds above the limit, so that whatever it gives back is returned first.
 */
import type { Dimension } from "../contract/common.ts";
import { Refusal } from "./refusal.ts";
import { type Quantity, sumByDimension } from "./resources.ts";

/** A department's account of a dimension, for one protection level or (level 0) for all. */
export interface Account {
  department_id: string;
  parent_id: string | null;
  name_zh: string;
  dimension: Dimension;
  /** 0: all levels together. */
  level: number;
  /** Hard; null: no limit of its own. */
  limit_value: number | null;
  /** Over it a request is accepted and flagged. */
  soft_limit: number | null;
  /** Room that its parent's limit keeps for it, whoever else asks. */
  guaranteed: number;
  /** How much it may hold above its limit where its parent lends; null: as much as there is. */
  borrow_cap: number | null;
  /** Its children may borrow from each other's unused shares. */
  lends: boolean;
  reserved: number;
  used: number;
}

export type AccountFigures = Pick<Account, "limit_value" | "reserved" | "used">;
export const heldOf = (account: AccountFigures): number => account.reserved + account.used;
/** What is held above the own limit. */
export const borrowedOf = (account: AccountFigures): number => (account.limit_value === null ? 0 : Math.max(0, heldOf(account) - account.limit_value));
/** What others may not borrow from a department, and what its parent keeps free for it. */
const unusedGuarantee = (account: Account, more = 0): number => Math.max(0, account.guaranteed - heldOf(account) - more);

type Limit = NonNullable<Refusal["limits"]>[number];

/** What a charge would do to one account. */
export interface Step {
  account: Account;
  /** Of the charge, in the dimension's unit. */
  asked: number;
  /** What could still be charged, borrowing included; null: it has no limit. */
  leftBefore: number | null;
  leftAfter: number | null;
  /** What it may borrow at most above its limit at this moment. */
  borrowable: number;
  fits: boolean;
  /** After it the soft limit is passed. */
  overSoft: boolean;
  /** Who can raise its limit: the department above, or operations. */
  raisedBy: string;
}

/** A soft limit that a charge has passed. */
export interface SoftWarning {
  department: string;
  departmentName: string;
  dimension: Dimension;
  level: number;
  softLimit: number;
  held: number;
}

/** The accounts of some departments and all their ancestors; of what is beside them, those that lend or are promised something. */
export class Ledger {
  readonly #accounts = new Map<string, Account>();
  readonly #children = new Map<string, Account[]>();
  /** Ids of a department and its ancestors, nearest first. */
  readonly #lines: ReadonlyMap<string, readonly string[]>;

  /** @param beside accounts of children of those departments: all where the parent lends, those with a guarantee elsewhere */
  constructor(accounts: readonly Account[], lines: ReadonlyMap<string, readonly string[]>, beside: readonly Account[] = []) {
    for (const account of [...accounts, ...beside]) {
      const key = keyOf(account.department_id, account.dimension, account.level);
      if (this.#accounts.has(key)) continue;
      const own = { ...account };
      this.#accounts.set(key, own);
      if (own.parent_id === null) continue;
      const parent = keyOf(own.parent_id, own.dimension, own.level);
      this.#children.set(parent, [...(this.#children.get(parent) ?? []), own]);
    }
    this.#lines = lines;
  }

  #chain(departmentId: string, dimension: Dimension, level: number): Account[] {
    return (this.#lines.get(departmentId) ?? []).flatMap((id) => this.#accounts.get(keyOf(id, dimension, level)) ?? []);
  }
  #childrenOf(account: Account): readonly Account[] {
    return this.#children.get(keyOf(account.department_id, account.dimension, account.level)) ?? [];
  }

  /** Room above an account's limit: what its siblings leave unused beyond their guarantees, less what others have borrowed of that, up to its cap. */
  #borrowable(account: Account): number {
    const parent = account.parent_id === null ? undefined : this.#accounts.get(keyOf(account.parent_id, account.dimension, account.level));
    if (!parent?.lends || account.limit_value === null) return 0;
    const siblings = this.#childrenOf(parent).filter((one) => one !== account && one.limit_value !== null);
    const unused = siblings.reduce((sum, one) => sum + Math.max(0, one.limit_value! - Math.max(heldOf(one), one.guaranteed)), 0);
    const lent = siblings.reduce((sum, one) => sum + borrowedOf(one), 0);
    return Math.min(Math.max(0, unused - lent), account.borrow_cap ?? Infinity);
  }

  /** What a charge would do to the accounts of a department and its ancestors, of its level and of all; nearest first. Counts nothing. */
  look(departmentId: string, level: number, quantities: readonly Quantity[]): Step[] {
    return sumByDimension(quantities).flatMap(({ dimension, quantity }) => {
      const [all, own] = [this.#chain(departmentId, dimension, 0), this.#chain(departmentId, dimension, level)];
      const unlimited = [...all, ...own].every((account) => account.limit_value === null);
      const steps = [...all, ...own].map((account) => this.#step(account, all, quantity));
      // Where no account has a limit, nobody has been given anything.
      return unlimited ? steps.slice(0, 1).map((step) => ({ ...step, leftBefore: 0, leftAfter: 0, fits: false })) : steps;
    });
  }

  /**
   * What it would do to the receiver's accounts to pass on what a giver holds: as if that had been given back first. What is above both of them holds the same
   * before and after, and is left out. Counts nothing.
   */
  lookPassing(giver: string, receiver: string, level: number, quantities: readonly Quantity[]): Step[] {
    const given = sumByDimension(quantities).flatMap(({ dimension, quantity }) =>
      [0, level].flatMap((of) => this.#chain(giver, dimension, of).map((account) => ({ account, quantity }))),
    );
    const above = new Set(this.#lines.get(giver));
    for (const { account, quantity } of given) account.used -= quantity;
    const steps = this.look(receiver, level, quantities);
    for (const { account, quantity } of given) account.used += quantity;
    return steps.filter((step) => !above.has(step.account.department_id));
  }

  /** Counts as reserved what passes to a receiver, where it is new. @returns soft limits that it passes @throws Refusal quota-exceeded, without the figures of accounts */
  pass(giver: string, receiver: string, level: number, quantities: readonly Quantity[]): SoftWarning[] {
    const steps = this.lookPassing(giver, receiver, level, quantities);
    const refusal = passingRefusal(steps);
    if (refusal) throw refusal;
    for (const { account, asked } of steps) account.reserved += asked;
    return steps.filter((step) => step.overSoft).map(({ account }) => warningOf(account));
  }

  /** @param line accounts of the department that asks and its ancestors, nearest first */
  #step(account: Account, line: readonly Account[], asked: number): Step {
    const at = line.findIndex((one) => one.department_id === account.department_id);
    const children = this.#childrenOf(account);
    // Towards the department that asks: what is guaranteed to it shrinks by what it gets.
    const below = children.find((one) => one.department_id === line[at - 1]?.department_id);
    const promised = (more: number) => children.reduce((sum, one) => sum + unusedGuarantee(one, one === below ? more : 0), 0);
    const borrowable = this.#borrowable(account);
    const held = heldOf(account);
    const room = account.limit_value === null ? null : account.limit_value + borrowable;
    // What is promised to the department that asks is room for it.
    const left = (more: number) => (room === null ? null : Math.max(0, room - held - more - promised(more) + (below ? unusedGuarantee(below, more) : 0)));
    return {
      account,
      asked,
      leftBefore: left(0),
      leftAfter: left(asked),
      borrowable,
      fits: room === null || held + asked + promised(asked) <= room,
      overSoft: account.soft_limit !== null && held + asked > account.soft_limit,
      raisedBy: line[at + 1]?.name_zh ?? "operations",
    };
  }

  /**
   * Counts quantities as reserved at a department and each ancestor, all or nothing.
   * @returns soft limits that it passes
   * @throws Refusal quota-exceeded: which limits, whose, how much is left, who can raise them
   */
  reserve(departmentId: string, level: number, quantities: readonly Quantity[]): SoftWarning[] {
    const steps = this.look(departmentId, level, quantities);
    const limits = steps.filter((step) => !step.fits).map(limitOf);
    if (limits.length > 0) throw exceeded(limits);
    for (const { account, asked } of steps) account.reserved += asked;
    return steps.filter((step) => step.overSoft).map(({ account }) => warningOf(account));
  }
}

const keyOf = (departmentId: string, dimension: string, level: number) => `${departmentId} ${dimension} ${level}`;

function limitOf({ account, leftBefore, asked, raisedBy, borrowable }: Step): Limit {
  return {
    department: account.department_id,
    departmentName: account.name_zh,
    dimension: account.dimension,
    ...(account.level === 0 ? {} : { level: account.level }),
    limit: account.limit_value ?? 0,
    reserved: account.reserved,
    used: account.used,
    left: leftBefore ?? 0,
    asked,
    ...(borrowable > 0 ? { borrowable } : {}),
    raisedBy,
  };
}

/** The refusal that names the limits in the way. */
export function exceeded(limits: readonly Limit[]): Refusal {
  const text = limits
    .map(
      (one) => `${one.departmentName}: ${one.dimension}${one.level ? ` of level ${one.level}` : ""} has ${one.left} left of ${one.limit}, ${one.asked} asked`,
    )
    .join("; ");
  return new Refusal("quota-exceeded", text, { limits: [...limits], remedy: "Ask for less, or ask operations to raise the limit." });
}
/** Who gives something away needn't be told how much the receiver has left. */
export function passingRefusal(steps: readonly Step[]): Refusal | undefined {
  const short = steps.filter((step) => !step.fits);
  if (short.length === 0) return undefined;
  const text = short.map(
    ({ account, asked }) => `${account.name_zh}: ${account.dimension}${account.level ? ` of level ${account.level}` : ""}, ${asked} asked`,
  );
  return new Refusal("quota-exceeded", `The receiving side's quota has no room for it. ${text.join("; ")}`, {
    remedy: "The receiving department asks for a higher limit, or the application is made smaller first.",
  });
}
/** What an account over its soft limit is told as. */
export function warningOf(account: Omit<Account, "parent_id">): SoftWarning {
  return {
    department: account.department_id,
    departmentName: account.name_zh,
    dimension: account.dimension,
    level: account.level,
    softLimit: account.soft_limit!,
    held: heldOf(account),
  };
}
export const limitsOf = (steps: readonly Step[]): Limit[] => steps.filter((step) => !step.fits).map(limitOf);
