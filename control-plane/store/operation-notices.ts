/** Tells owners of hosts that an operation plan restarts: before, and what came of it. */
import type { NoticeKind } from "../contract/notices.ts";
import type { Act } from "./act.ts";
import { holdersOf } from "./audience.ts";
import type { Tx } from "./database.ts";
import { notify } from "./notices.ts";
import type { OperationPlans, OperationSteps } from "./schema.ts";
import type { Selectable } from "kysely";
import { audiences } from "../domain/notifying.ts";

/** One notice for all hosts of a department, to whoever asks for its resources. */
export async function tellOwners(
  tx: Tx,
  act: Act,
  plan: Pick<Selectable<OperationPlans>, "id" | "reason">,
  steps: readonly Selectable<OperationSteps>[],
  kind: Extract<NoticeKind, "host.moving" | "host.moved">,
): Promise<void> {
  for (const [departmentId, of] of Map.groupBy(steps, (step) => step.department_id)) {
    if (departmentId === null) continue;
    const failed = of.filter((step) => step.state === "failed").length;
    await notify(tx, act, {
      kind,
      to: await holdersOf(tx, audiences[kind], departmentId, act.now),
      departmentId,
      requestId: null,
      subjectId: plan.id,
      data: { hosts: named(of.map((step) => step.name)), count: of.length, failed, reason: plan.reason },
    });
  }
}

/** Some of them; of many the page of the plan tells all. */
const named = (names: readonly string[]): string => (names.length <= 20 ? names.join(", ") : `${names.slice(0, 20).join(", ")} … (${names.length})`);
