/** What a request would do, before anybody submits it: nothing is locked or written. */
import type { SpecKind } from "../../infra/spec.ts";
import type { NewRequest, RequestCost, Transfer } from "../contract/requests.ts";
import { exceeded, limitsOf, passingRefusal, type Step } from "../domain/ledger.ts";
import type { PoolView } from "../domain/placement.ts";
import { grows, type Proposal, type Proposals, propose } from "../domain/proposals.ts";
import { Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { findSubjects, prefixes, type Subject } from "./candidates.ts";
import type { Tx } from "./database.ts";
import { readFundLedger, readPayers } from "./funds.ts";
import { newId } from "./ids.ts";
import { readMembers } from "./members.ts";
import { pricesAt } from "./prices.ts";
import { afterQueue, lockPools, queuedNeeds, readBackups, readCatalogue, readHeld, requireApproved } from "./proposing.ts";
import { lockLedger } from "./quotas.ts";
import type { Principal } from "./requests.ts";
import { costOf, readPassing, requireStaying, transferOf, transfersUnderWay, withoutFigures } from "./transferring.ts";
import { pricedBy, requireFuture, requireOwnProject } from "./verdicts.ts";

/** What of a proposal is shown before anybody submits it. */
type Prospective = Pick<Proposal, "position" | "action" | "name" | "charge" | "placement" | "poolId" | "memberReason" | "considered"> & {
  kind: Proposal["kind"] | "application";
  wanted: unknown;
};

/** What a request would do. */
export interface Prospect extends Subject {
  proposals: Pick<Proposals, "shortages"> & { items: Prospective[] };
  /** Of a transfer. */
  transfer: Transfer | null;
  pools: readonly PoolView[];
  steps: Step[];
  /** Why it would be refused. */
  refusals: readonly Refusal[];
  cost: RequestCost | null;
}

/**
 * What a request would do, read without a lock and kept nowhere.
 * @throws Refusal not-found, invalid-body, conflict: what could be submitted under no quota
 */
export async function whatIf(tx: Tx, act: Act, principal: Principal, body: NewRequest): Promise<Prospect> {
  const [subject] = await findSubjects(tx, [{ body, principal }], false);
  if (subject instanceof Refusal) throw subject;
  requireFuture(body.items, act.now);
  const { application, project } = subject!;
  if (transferOf(body.items)) return whatIfPassed(tx, act, body, subject!);
  requireStaying((await transfersUnderWay(tx, [application.id])).get(application.id), "");
  const ledger = await lockLedger(tx, [application.department_id], false);
  const pools = afterQueue(await lockPools(tx, false), await queuedNeeds(tx));
  const held = (await readHeld(tx, [application.id], body.items)).get(application.id)!;
  const catalogue = await readCatalogue(tx);
  const backups = (await readBackups(tx, body.items))(application.department_id);
  const members = await readMembers(tx, pools, [application]);
  const proposals = propose(body.items, {
    ...catalogue,
    pools,
    members,
    application,
    held,
    backups,
    newId: (kind: SpecKind) => newId(prefixes[kind], act.now),
  });
  const funds = await readFundLedger(tx, await readPayers(tx, [project.id]));
  const books = { funds, prices: await pricesAt(tx, act.now) };
  const refusals: Refusal[] = [];
  const orRefused = <T>(work: () => T): T | undefined => {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      refusals.push(error);
      return undefined;
    }
  };
  orRefused(() => {
    if (proposals.items.some(grows)) requireApproved(funds.payer(project.id));
    requireOwnProject(proposals.items, held, project);
  });
  const asked = proposals.items.flatMap((one) => one.charge.filter((charge) => charge.quantity > 0));
  const steps = ledger.look(application.department_id, application.protectionLevel, asked);
  const limits = limitsOf(steps);
  if (limits.length > 0) refusals.push(exceeded(limits));
  // It has no id yet: what would be charged to a fund needs none to be shown.
  const cost = orRefused(() => pricedBy({ act, row: { id: "", project_id: project.id } }, proposals.items, books, String))?.shown ?? null;
  return { application, project, proposals, transfer: null, pools, steps, refusals, cost };
}

/** The same of a transfer. @throws Refusal invalid-body */
async function whatIfPassed(tx: Tx, act: Act, body: NewRequest, { application, project }: Subject): Promise<Prospect> {
  const item = transferOf(body.items)!;
  const passing = await readPassing(tx, act.now, { item, items: body.items, trialDays: body.trialDays ?? null, application, project, requestId: null });
  const { from, to } = passing.transfer;
  const charge = passing.held.flatMap((one) => one.charge);
  const ledger = await lockLedger(tx, [from.department, to.department], false);
  const steps = ledger.lookPassing(from.department, to.department, application.protectionLevel, charge);
  const funds = await readFundLedger(tx, await readPayers(tx, [to.project]));
  const short = passingRefusal(steps);
  const refusals = [...passing.refusals, ...(short ? [short] : [])];
  let cost: RequestCost | null = null;
  try {
    cost = costOf(act, passing, "", "", (await pricesAt(tx, act.now))?.version ?? 0, funds)?.shown ?? null;
  } catch (error) {
    const refusal = withoutFigures(error);
    if (!(refusal instanceof Refusal)) throw error;
    refusals.push(refusal);
  }
  const { name } = await tx.selectFrom("applications").select("name").where("id", "=", application.id).executeTakeFirstOrThrow();
  const shown: Prospective = { position: 0, action: "transfer", kind: "application", name, charge, placement: null, poolId: null, wanted: null };
  return { application, project, proposals: { items: [shown], shortages: [] }, transfer: passing.transfer, pools: [], steps, refusals, cost };
}
