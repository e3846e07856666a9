/** The highest fencing token seen per scope, durable: a control plane that was paused and replaced is refused. */
import { join } from "node:path";
import { type Call, StaleFence } from "../driver.ts";
import { readRecord, writeRecord } from "../files.ts";
import { withLock } from "./lock.ts";

const seen = new Map<string, number>();

/** @throws StaleFence before any effect */
export async function checkFence(endpoint: string, call: Call): Promise<void> {
  call.signal?.throwIfAborted();
  const path = join(endpoint, "fences", call.scope);
  const highest = readRecord<number>(path) ?? -1;
  if (call.fence < highest) throw new StaleFence(`The lease of ${call.scope} has passed on: token ${call.fence} is older than ${highest}.`);
  if (call.fence === highest || seen.get(path) === call.fence) return;
  await withLock(join(endpoint, "locks"), `fence-${call.scope}`, async () => {
    const now = readRecord<number>(path) ?? -1;
    if (call.fence < now) throw new StaleFence(`The lease of ${call.scope} has passed on: token ${call.fence} is older than ${now}.`);
    if (call.fence > now) writeRecord(path, call.fence);
  });
  seen.set(path, call.fence);
}
