/** The way back of what the provider refused because it was not what had been approved. */
import { differingPaths } from "../domain/difference.ts";
import type { Act } from "./act.ts";
import { notApproved } from "./approvals.ts";
import { appendAudits } from "./audit.ts";
import type { Tx } from "./database.ts";
import { sendBackToPlanning } from "./planning.ts";
import type { Kept } from "./requests.ts";

/**
 * Items that the provider refused go back to their approver, each with what differs from what was asked for; the request is planned anew.
 * @param items of requests that are being applied
 * @param reason of what is as it was approved, but takes what nobody agreed to
 */
export async function sendBack(
  tx: Tx,
  act: Act,
  items: readonly { id: string; request_id: string; resource_id: string; action: string; spec: unknown }[],
  reason: (resourceId: string) => string | undefined = () => undefined,
): Promise<void> {
  for (const [requestId, of] of Map.groupBy(items, (item) => item.request_id)) {
    const differences: string[] = [];
    for (const item of of) {
      const resource = await tx.selectFrom("resources").selectAll().where("id", "=", item.resource_id).forUpdate().executeTakeFirstOrThrow();
      const asked = (item.spec as Kept).wanted;
      const why = reason(item.resource_id) ?? (differingPaths(asked, resource.wanted).join(", ") || "its approval is missing");
      differences.push(`${resource.name}: ${why}`);
      // Back to what was asked for, and out of the wanted state until somebody approves that again.
      const back =
        item.action === "create"
          ? { phase: "proposed" as const, wanted: JSON.stringify(asked) }
          : { wanted: JSON.stringify(resource.applied), phase: "live" as const };
      await tx
        .updateTable("resources")
        .set({ ...back, updated_at: act.now })
        .where("id", "=", resource.id)
        .execute();
    }
    await tx
      .updateTable("request_items")
      .set({ state: "pending", approved_digest: null, restart_begun_at: null, error: null })
      .where(
        "id",
        "in",
        of.map((item) => item.id),
      )
      .execute();
    const request = await tx.selectFrom("requests").selectAll().where("id", "=", requestId).forUpdate().executeTakeFirstOrThrow();
    const message = `Refused at the apply, for it was not what had been approved. ${differences.join("; ")}`;
    await appendAudits(tx, act, [
      {
        action: "request.refused",
        subjectKind: "request",
        subjectId: requestId,
        departmentId: request.department_id,
        result: "denied",
        after: { differences },
      },
    ]);
    await sendBackToPlanning(tx, act, request, { code: notApproved, message });
  }
}
