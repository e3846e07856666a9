/** Sends a delivery of a webhook. */
import { type DeliveryRow, type Result } from "../store/deliveries.ts";
import type { WebhookRow } from "../store/webhooks.ts";
import { webhookContext } from "../store/webhooks.ts";
import { type Allows, guardedLookup, requireAllowed } from "./addresses.ts";
import { post } from "./post.ts";
import { signedHeaders } from "./signature.ts";

const timeoutMs = 10_000;

export interface WebhookSending {
  unseal: (context: string, sealed: string) => string;
  allows: Allows;
  now: () => Date;
  signal: AbortSignal;
}

/** 2xx is taken; 410 says that nobody is there any more; everything else is tried again. */
export async function sendWebhook(row: DeliveryRow, webhook: WebhookRow, { unseal, allows, now, signal }: WebhookSending): Promise<Result> {
  try {
    const url = new URL(webhook.url);
    requireAllowed(url, allows);
    const status = await post(url, {
      headers: {
        "content-type": "application/json",
        "user-agent": "zhengyun-webhooks",
        ...signedHeaders(secretsOf(webhook, unseal, now()), row.id, now(), row.body ?? ""),
      },
      body: row.body ?? "",
      lookup: guardedLookup(allows),
      timeoutMs,
      signal,
    });
    if (status >= 200 && status < 300) return { outcome: "delivered", status, error: null };
    const more = status >= 300 && status < 400 ? "; redirects are not followed" : "";
    return { outcome: status === 410 ? "refused" : "failed", status, error: `answered ${status}${more}` };
  } catch (error) {
    return { outcome: "failed", status: null, error: (error as Error).message || String(error) };
  }
}

function secretsOf(webhook: WebhookRow, unseal: WebhookSending["unseal"], now: Date): string[] {
  const old = webhook.old_secret_sealed !== null && webhook.old_secret_until! > now ? [webhook.old_secret_sealed] : [];
  return [webhook.secret_sealed, ...old].map((sealed) => unseal(webhookContext(webhook.id), sealed));
}
