/** All that requests are decided by, read once under its locks: quotas, funds, prices, pools, what their applications hold. */
import { Refusal } from "../domain/refusal.ts";
import type { Candidate } from "./candidates.ts";
import type { Tx } from "./database.ts";
import { lockPayers } from "./fund-charges.ts";
import { readFundLedger } from "./funds.ts";
import { readMembers } from "./members.ts";
import { pricesAt } from "./prices.ts";
import { afterQueue, lockPools, queuedNeeds, readBackups, readCatalogue, readHeld } from "./proposing.ts";
import { lockLedger } from "./quotas.ts";
import { type Passing, readPassing, transferOf, transfersUnderWay } from "./transferring.ts";

export type Books = Awaited<ReturnType<typeof readBooks>>;

/** What the transfers among them would pass on, by request. */
export async function readAllPassing(tx: Tx, candidates: readonly Candidate[]): Promise<Map<string, Passing | Refusal>> {
  const found = new Map<string, Passing | Refusal>();
  for (const { act, row, items, application, project } of candidates) {
    const item = transferOf(items);
    if (!item) continue;
    const ask = { item, items, trialDays: row.trial_days, application, project, requestId: row.id };
    const passing = await readPassing(tx, act.now, ask).catch((error: unknown) => {
      if (error instanceof Refusal) return error;
      throw error;
    });
    found.set(row.id, passing);
  }
  return found;
}

/** Everything that decisions depend on, locked in one order: applications (already), quota accounts, projects with their funds, pool accounts. */
export async function readBooks(tx: Tx, candidates: readonly Candidate[], passing: ReadonlyMap<string, Passing | Refusal>) {
  const receivers = [...passing.values()].flatMap((one) => (one instanceof Refusal ? [] : [one.transfer.to]));
  const departments = [...new Set([...candidates.map((one) => one.row.department_id), ...receivers.map((one) => one.department)])];
  const applications = [...new Set(candidates.map((one) => one.application.id))];
  if (candidates.length === 0)
    return {
      ledger: undefined!,
      funds: undefined!,
      prices: undefined,
      pools: [],
      members: undefined!,
      flavours: new Map(),
      images: new Set<string>(),
      held: new Map(),
      backups: undefined!,
      passing,
      transfers: new Map<string, { id: string; number: string }>(),
      changed: new Set<string>(),
    };
  const { act } = candidates[0]!;
  const ledger = await lockLedger(tx, departments);
  // Only what may grow is priced: nothing else waits for a project.
  const growing = candidates.filter((one) => one.items.some((item) => item.action === "create" || item.action === "resize" || item.action === "adopt"));
  const payers = await lockPayers(tx, act, [...growing.map((one) => one.row.project_id), ...receivers.map((one) => one.project)]);
  const funds = await readFundLedger(tx, payers);
  const prices = growing.length > 0 || receivers.length > 0 ? await pricesAt(tx, act.now) : undefined;
  const pools = afterQueue(await lockPools(tx), await queuedNeeds(tx));
  return {
    passing,
    transfers: await transfersUnderWay(tx, applications),
    /** Applications of which this transaction has taken in a request. */
    changed: new Set<string>(),
    ledger,
    funds,
    prices,
    pools,
    // Behind the pools' locks: nobody else places at the same time.
    members: await readMembers(
      tx,
      pools,
      candidates.map((one) => one.application),
    ),
    ...(await readCatalogue(tx)),
    backups: await readBackups(
      tx,
      candidates.flatMap((one) => one.items),
    ),
    held: await readHeld(
      tx,
      applications,
      candidates.flatMap((one) => one.items),
    ),
  };
}
