/** Maintenance windows begin and end by themselves; this notes which hosts they concern and tells people, each window in a transaction of its own. */
import { keepWindow, openWindows } from "../store/maintenance.ts";
import { change, type JobContext } from "./context.ts";

export async function keepWindows(context: JobContext): Promise<void> {
  for (const id of await openWindows(context.db)) await change(context, (tx, act) => keepWindow(tx, act, id));
}
