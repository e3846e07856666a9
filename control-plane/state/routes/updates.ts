/** An engine's run: made, started, its journal, its lease, its end. Once made, the path says "update", whatever the kind. */
import { Hono } from "hono";
import { callerOf, updateToken } from "../authorize.ts";
import { readJson } from "../body.ts";
import type { JournalEntry, VersionedDeployment } from "../deployment.ts";
import { ApiError } from "../errors.ts";
import { cancelUpdate, completeUpdate, type End, settleLapsed } from "../settle.ts";
import { setTags } from "../stacks.ts";
import { hashToken } from "../tokens.ts";
import { appendEntries, createUpdate, findUpdate, putCheckpoint, recordChanges, renewLease, runningUpdate, startUpdate } from "../updates.ts";
import type { Services } from "../services.ts";

const path = "/api/stacks/:org/:project/:stack";
const kinds = ["preview", "update", "refresh", "destroy"] as const;
const ends: readonly string[] = ["succeeded", "failed", "cancelled"] satisfies End[];

interface ProgramRequest {
  metadata?: { message?: string; environment?: Record<string, string> };
  /** dryRun: it only tells what it would do, whatever its kind. */
  options?: { dryRun?: boolean };
}

export function updateRoutes({ db, tokens, log, entryKept }: Services): Hono {
  const app = new Hono();
  for (const asked of kinds) {
    app.post(`${path}/${asked}`, async (c) => {
      const { metadata, options } = await readJson<ProgramRequest>(c);
      const kind = options?.dryRun === true ? "preview" : asked;
      const { stack, grant } = await callerOf(c, db, tokens, kind);
      const { fence, operation } = grant;
      const updateID = await createUpdate(db, stack, {
        id: operation,
        kind,
        fence,
        message: metadata?.message ?? "",
        environment: metadata?.environment ?? {},
      });
      return c.json({ updateID });
    });
  }

  // `:kind` is always "update" in 3.250; older engines repeat the kind.
  const update = `${path}/:kind{update|preview|refresh|destroy}/:id`;
  app.get(update, async (c) => {
    const { stack } = await callerOf(c, db, tokens);
    const found = await findUpdate(db, stack, c.req.param("id"));
    if (!found) throw new ApiError(404, "There is no such update.");
    return c.json({ status: found.status === "requested" ? "not started" : found.status === "settling" ? "running" : found.status, events: [] });
  });
  app.post(update, async (c) => {
    const { stack } = await callerOf(c, db, tokens);
    const { tags, journalVersion } = await readJson<{ tags?: Record<string, string> | null; journalVersion?: number }>(c);
    await settleLapsed(db, stack);
    const { token, version, expires } = await startUpdate(db, stack, c.req.param("id"));
    if (tags) await setTags(db, stack, tags);
    return c.json({ version, token, tokenExpiration: unix(expires), journalVersion: Math.min(journalVersion ?? 0, 1) });
  });
  app.post(`${update}/cancel`, async (c) => {
    const { stack } = await callerOf(c, db, tokens, "cancel");
    const running = await runningUpdate(db, stack);
    if (running?.id === c.req.param("id")) await cancelUpdate(db, stack);
    return c.body(null, 204);
  });

  app.patch(`${update}/journalentries`, async (c) => {
    const token = updateToken(c);
    const { entries } = await readJson<{ entries?: JournalEntry[] }>(c);
    const batch = (entries ?? []).map((entry) => ({ sequenceID: sequenceOf(entry), text: JSON.stringify(entry) }));
    await appendEntries(db, c.req.param("id"), token, batch);
    for (const _entry of batch) entryKept();
    return c.body(null, 204);
  });
  app.patch(`${update}/checkpoint`, async (c) => {
    const token = updateToken(c);
    const { version, features, deployment } = await readJson<Partial<VersionedDeployment>>(c);
    if (!deployment || !version) throw new ApiError(400, "The checkpoint holds no deployment.");
    await putCheckpoint(db, c.req.param("id"), token, JSON.stringify({ version, features, deployment }));
    return c.body(null, 204);
  });
  // The timeline comes from the engine worker; of the events, only the summary's counts are kept here.
  app.post(`${update}/events/batch`, async (c) => {
    const token = updateToken(c);
    const { events } = await readJson<{ events?: { summaryEvent?: { resourceChanges?: Record<string, number> } }[] }>(c);
    const changes = events?.find((event) => event.summaryEvent)?.summaryEvent?.resourceChanges;
    if (changes) await recordChanges(db, c.req.param("id"), token, changes);
    return c.body(null, 204);
  });
  app.post(`${update}/renew_lease`, async (c) => {
    const token = updateToken(c);
    const expires = await renewLease(db, c.req.param("id"), token);
    return c.json({ token, tokenExpiration: unix(expires) });
  });
  app.post(`${update}/complete`, async (c) => {
    const token = updateToken(c);
    const { status = "" } = await readJson<{ status?: string }>(c);
    if (!ends.includes(status)) throw new ApiError(400, `An update ends as one of ${ends.join(", ")}.`);
    const settled = await completeUpdate(db, c.req.param("id"), hashToken(token), status as End);
    if (settled.fault) {
      log(`update ${settled.update}: its state was refused: ${settled.fault}`);
      throw new ApiError(400, `The state was refused, the previous version stays: ${settled.fault}`);
    }
    return c.body(null, 204);
  });
  return app;
}

function sequenceOf({ sequenceID }: JournalEntry): number {
  if (!Number.isSafeInteger(sequenceID)) throw new ApiError(400, "A journal entry needs a sequenceID.");
  return sequenceID;
}

function unix(at: Date): number {
  return Math.floor(at.getTime() / 1000);
}
