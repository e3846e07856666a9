/** The answer to a trial (试运行): accepted, or refused and what was tried retired by a request like any other. */
import { Refusal } from "../domain/refusal.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Tx } from "./database.ts";
import { appendEvent } from "./events.ts";
import { makeIntended, remainsOf } from "./reclaiming.ts";
import { lockRequest, move, type RequestRow, type Seal } from "./requests.ts";
import { followResources, openAbout } from "./terms.ts";

/** @throws Refusal conflict when it isn't on trial, or was refused already */
async function onTrial(tx: Tx, id: string, ifMatch?: number): Promise<RequestRow> {
  const row = await lockRequest(tx, id, ifMatch);
  if (row.state !== "on-trial") throw new Refusal("conflict", `The request is ${row.state}: only one that is on trial is accepted or refused.`);
  if (await openAbout(tx, id, "trial-refusal"))
    throw new Refusal("conflict", "It was refused: what was tried is to be retired.", { remedy: "Have that request withdrawn or rejected, and answer anew." });
  return row;
}

/** @throws Refusal conflict */
export async function acceptTrial(tx: Tx, act: Act, id: string, ifMatch?: number): Promise<RequestRow> {
  const active = await move(tx, act, await onTrial(tx, id, ifMatch), "accept", {});
  await followResources(tx, act, [id]);
  return (await tx.selectFrom("requests").selectAll().where("id", "=", active.id).executeTakeFirst())!;
}

/** Until the request that it makes is applied, what is tried runs on and is paid for. @returns that request @throws Refusal conflict, invalid-body */
export async function refuseTrial(tx: Tx, act: Act, id: string, reason: string, seal: Seal, ifMatch?: number): Promise<RequestRow> {
  const row = await onTrial(tx, id, ifMatch);
  const made = await makeIntended(
    tx,
    act,
    {
      origin: "trial-refusal",
      about: id,
      application: row.application_id,
      project: row.project_id,
      department: row.department_id,
      title: `试运行不通过，退回资源 / Trial refused: ${row.number}`,
      reason,
      items: await remainsOf(tx, row),
    },
    seal,
  );
  await appendAudit(tx, act, {
    action: "trial.refuse",
    subjectKind: "request",
    subjectId: id,
    departmentId: row.department_id,
    after: { reason, by: made!.id },
  });
  await appendEvent(tx, {
    at: act.now,
    departmentId: row.department_id,
    requestId: id,
    type: "request.trial-refused",
    subjectId: id,
    data: { number: made!.number, text: reason },
  });
  return made!;
}
