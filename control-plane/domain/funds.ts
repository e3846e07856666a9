/** Funds of projects in memory, read under their locks: what the requests of one transaction may still reserve. Pure but for its own counts. */
import type { FundKind, ProjectStage } from "../contract/projects.ts";
import { yuan } from "./prices.ts";
import { fundKindOf } from "./project-stages.ts";
import { Refusal } from "./refusal.ts";

export interface FundAccount {
  id: string;
  project_id: string;
  kind: FundKind;
  fiscal_year: number;
  amount_fen: number;
  reserved_fen: number;
  committed_fen: number;
  /** Of what has ended: retired, passed on, or the year is over. */
  spent_fen: number;
}
export interface Payer {
  id: string;
  code: string;
  name: string;
  stage: ProjectStage;
}

/** Below zero where what runs costs more than the fund has: it goes on, but nothing may grow. */
export const leftOf = (fund: Omit<FundAccount, "id" | "project_id" | "kind" | "fiscal_year">): number =>
  fund.amount_fen - fund.reserved_fen - fund.committed_fen - fund.spent_fen;

export class FundLedger {
  readonly #payers: ReadonlyMap<string, Payer>;
  readonly #funds: FundAccount[];

  constructor(payers: readonly Payer[], funds: readonly FundAccount[]) {
    this.#payers = new Map(payers.map((one) => [one.id, one]));
    this.#funds = funds.map((one) => ({ ...one }));
  }

  /** A project as it is under the lock. */
  payer(projectId: string): Payer {
    return this.#payers.get(projectId)!;
  }

  /**
   * The fund from which a project pays in a year, when that much is left in it. Counts nothing yet.
   * @throws Refusal budget-exceeded: which fund, how much is left, who can raise it
   */
  require(projectId: string, year: number, askedFen: number): FundAccount {
    const payer = this.payer(projectId);
    const kind = fundKindOf(payer.stage);
    const fund = this.#funds.find((one) => one.project_id === projectId && one.kind === kind && one.fiscal_year === year);
    if (fund && (askedFen === 0 || leftOf(fund) >= askedFen)) return fund;
    throw tooLittle(payer, kind, year, fund, askedFen);
  }

  take(fund: FundAccount, fen: number): void {
    fund.reserved_fen += fen;
  }
}

function tooLittle(payer: Payer, kind: FundKind, fiscalYear: number, fund: FundAccount | undefined, askedFen: number): Refusal {
  const leftFen = fund ? leftOf(fund) : 0;
  const text = fund
    ? `The ${kind} fund of project ${payer.code} (${payer.name}) for ${fiscalYear} has ${yuan(leftFen)} yuan left of ${yuan(fund.amount_fen)}; this costs ${yuan(askedFen)} to the year's end.`
    : `Project ${payer.code} (${payer.name}) has no ${kind} fund for ${fiscalYear}; this costs ${yuan(askedFen)} yuan to the year's end.`;
  const funds = [
    {
      project: payer.id,
      projectCode: payer.code,
      kind,
      fiscalYear,
      amountFen: fund?.amount_fen ?? 0,
      reservedFen: fund?.reserved_fen ?? 0,
      committedFen: fund?.committed_fen ?? 0,
      spentFen: fund?.spent_fen ?? 0,
      leftFen,
      askedFen,
      raisedBy: "finance",
    },
  ];
  return new Refusal("budget-exceeded", text, {
    funds,
    remedy: "Ask for less, or ask finance to raise the fund. What runs goes on, and shrinking or retiring is always possible.",
  });
}
