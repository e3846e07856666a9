/** Webhooks: who outside is told what; and everything that was sent, mail included. */
import { z } from "zod";
import { Id, PageQuery, Reference, Revision, Time, Title } from "./common.ts";
import { NoticeKind } from "./notices.ts";

/** https or http, without name and password: those would be shown to everybody who may see webhooks. */
const Address = z
  .string()
  .trim()
  .max(2000)
  .refine((text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    return url !== undefined && /^https?:$/.test(url.protocol) && url.username === "" && url.password === "" && url.hash === "";
  }, "an http or https address, without name, password and fragment")
  .meta({ example: "https://oa.example.gov.cn/hooks/zhengyun" });
const Kinds = z
  .array(NoticeKind)
  .min(1)
  .max(100)
  .transform((kinds) => [...new Set(kinds)])
  .pipe(z.array(NoticeKind));
const State = z.enum(["active", "paused"]);

export const Webhook = z
  .object({
    id: Id,
    name: z.string(),
    url: z.string(),
    kinds: z.array(NoticeKind),
    /** Only what happens there and below; null: everywhere. */
    department: Id.nullable(),
    state: State,
    pausedReason: z.string().nullable(),
    lastSuccessAt: Time.nullable(),
    /** Until then deliveries are signed with the secret before too. */
    oldSecretUntil: Time.nullable(),
    createdAt: Time,
    updatedAt: Time,
    revision: Revision,
  })
  .meta({ id: "Webhook" });
export type Webhook = z.infer<typeof Webhook>;
export const NewWebhook = z
  .strictObject({ name: Title, url: Address, kinds: Kinds, department: Reference.nullable().default(null) })
  .meta({ id: "NewWebhook" });
/** The secret is shown this once. */
export const MadeWebhook = Webhook.extend({ secret: z.string() }).meta({ id: "MadeWebhook" });
export type MadeWebhook = z.infer<typeof MadeWebhook>;
export const WebhookChange = z
  .strictObject({ name: Title.optional(), url: Address.optional(), kinds: Kinds.optional(), state: State.optional() })
  .meta({ id: "WebhookChange" });

const Channel = z.enum(["webhook", "mail"]);
/** waiting: not sent yet, or to be tried again at dueAt; dead: it is not tried by itself any more. */
const DeliveryState = z.enum(["waiting", "delivered", "dead"]);
export const Delivery = z
  .object({
    /** What receivers tell doubles by: `webhook-id`, and in a mail's Message-ID. */
    id: Id,
    channel: Channel,
    webhook: Id.nullable(),
    kind: NoticeKind,
    state: DeliveryState,
    attempts: z.int(),
    dueAt: Time,
    /** Of the last answer, HTTP or SMTP; null: there was none. */
    lastStatus: z.int().nullable(),
    lastError: z.string().nullable(),
    createdAt: Time,
    settledAt: Time.nullable(),
  })
  .meta({ id: "Delivery" });
export type Delivery = z.infer<typeof Delivery>;
export const WebhookDeliveryQuery = PageQuery.extend({ state: DeliveryState.optional() });
export const DeliveryQuery = WebhookDeliveryQuery.extend({ channel: Channel.optional() });
