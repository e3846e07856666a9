/**
 * Sends what waits in the outbox. Every control plane runs one; a row is taken for a while by one of them, sent outside of any
 * transaction, and its result written down. A kill between the two sends it again, with the same id: receivers drop doubles by that.
 */
import { systemAct } from "../store/act.ts";
import type { Db } from "../store/database.ts";
import { type Channel, type DeliveryRow, type Result, takeDue } from "../store/deliveries.ts";
import { letterOf, settleAttempt, webhookOf } from "../store/webhooks.ts";
import { allowedAddresses } from "./addresses.ts";
import { type MailConfig, openMailer } from "./mail.ts";
import { sendWebhook } from "./webhook.ts";

/** The named points of a delivery, for the tests that kill there. */
export const deliverySteps = ["delivery.taken", "delivery.sent", "delivery.recorded"] as const;
export type DeliveryStep = (typeof deliverySteps)[number];

export interface DelivererOptions {
  db: Db;
  unseal: (context: string, sealed: string) => string;
  now: () => Date;
  /** Networks that webhooks may go to although they are this machine's own or link-local. */
  allow: readonly string[];
  /** Left out: mail waits. */
  mail?: MailConfig | undefined;
  log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
  /** Told of every attempt. */
  attempted?: (channel: Channel, result: "delivered" | "failed" | "dead") => void;
  onStep?: (step: DeliveryStep) => void;
  random?: () => number;
}

export interface Deliverer {
  /** Sends what is due. @returns how many attempts were made */
  round(): Promise<number>;
  /** What is under way is given up; whoever starts next sends it. */
  close(): Promise<void>;
}

const pollMs = 1_000;
/** Longer than any attempt lasts. */
const leaseMs = 45_000;
const atOnce = 32;

export function startDeliverer(options: DelivererOptions): Deliverer {
  const ended = new AbortController();
  const mailer = options.mail && openMailer(options.mail);
  const sending = { ...options, allows: allowedAddresses(options.allow), signal: ended.signal };
  const channels: Channel[] = mailer ? ["webhook", "mail"] : ["webhook"];
  let timer: ReturnType<typeof setTimeout> | undefined;
  let running: Promise<number> = Promise.resolve(0);

  const attempt = async (row: DeliveryRow): Promise<Result | undefined> => {
    if (row.channel === "webhook") {
      const webhook = await webhookOf(options.db, row.webhook_id!);
      return webhook && sendWebhook(row, webhook, sending);
    }
    const letter = await letterOf(options.db, row);
    if (!letter) return { outcome: "refused", status: null, error: "the account has no address any more" };
    return mailer?.send(letter);
  };

  const deliver = async (row: DeliveryRow): Promise<void> => {
    options.onStep?.("delivery.taken");
    const result = await attempt(row);
    // Deleted meanwhile, or this process is ending.
    if (!result || (ended.signal.aborted && result.outcome !== "delivered")) return;
    options.onStep?.("delivery.sent");
    await record(options, row, result);
    options.onStep?.("delivery.recorded");
  };

  const once = async (): Promise<number> => {
    if (ended.signal.aborted) return 0;
    const rows = await takeDue(options.db, options.now(), { limit: atOnce, leaseMs, channels });
    const results = await Promise.allSettled(rows.map(deliver));
    for (const one of results)
      if (one.status === "rejected") options.log.warn({ error: String(one.reason) }, "a delivery could not be recorded; it will be sent again");
    return rows.length;
  };
  const round = () => (running = running.catch(() => 0).then(once));
  const next = (ms: number) => {
    timer = setTimeout(() => {
      round()
        .then(
          (sent) => (sent > 0 ? 0 : pollMs),
          (error: unknown) => {
            options.log.warn({ error: String(error) }, "deliveries could not be taken; it will be tried again");
            return pollMs;
          },
        )
        .then((wait) => ended.signal.aborted || next(wait))
        .catch(() => {});
    }, ms);
  };
  next(pollMs);
  return {
    round,
    close: async () => {
      ended.abort(new Error("the control plane ends"));
      clearTimeout(timer);
      mailer?.close();
      await running.catch(() => 0);
    },
  };
}

async function record({ db, now, log, attempted, random = Math.random }: DelivererOptions, row: DeliveryRow, result: Result): Promise<void> {
  const at = now();
  const after = await db.transaction().execute((tx) => settleAttempt(tx, systemAct(at), row, result, random()));
  if (!after) return;
  attempted?.(row.channel, after.state === "waiting" ? "failed" : after.state);
  const told = { delivery: row.id, channel: row.channel, webhook: row.webhook_id, status: result.status, error: result.error };
  if (after.state === "dead") log.warn(told, "a delivery is dead");
}
