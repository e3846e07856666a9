/** Mail by SMTP: plain text, in the language that a person has chosen. */
import { createTransport } from "nodemailer";
import { type Language, noticeKinds, NoticeKind, noticeText, type NoticeData } from "../contract/notices.ts";
import type { Result } from "../store/deliveries.ts";

export interface MailConfig {
  /** smtp://user:password@host:587, smtps://…; options as query parameters. */
  url: string;
  /** Who it is from: an address, or a name with it. */
  from: string;
}

/** What a mail is made of. */
export interface Letter {
  /** Of the delivery: the same however often it is sent. */
  id: string;
  to: string;
  language: Language;
  kind: string;
  data: NoticeData;
  at: Date;
}

export interface Mailer {
  send(letter: Letter): Promise<Result>;
  close(): void;
}

const milliseconds = { connectionTimeout: 10_000, greetingTimeout: 10_000, socketTimeout: 20_000, dnsTimeout: 10_000 };

/** A password goes over TLS only, unless the URL says `requireTLS=false`. */
export function openMailer({ url, from }: MailConfig): Mailer {
  const requireTLS = new URL(url).username !== "";
  const transport = createTransport({ url, requireTLS, ...milliseconds, disableFileAccess: true, disableUrlAccess: true });
  const domain = /@([A-Za-z0-9.-]+)>?\s*$/.exec(from)?.[1] ?? "zhengyun.invalid";
  return {
    close: () => transport.close(),
    send: async (letter) => {
      try {
        await transport.sendMail({
          from,
          to: { name: "", address: letter.to },
          messageId: `<${letter.id}@${domain}>`,
          date: letter.at,
          headers: { "Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All" },
          ...textOf(letter),
        });
        return { outcome: "delivered", status: 250, error: null };
      } catch (error) {
        return resultOf(error as Error & { code?: string; responseCode?: number });
      }
    },
  };
}

/** 5xx to the letter itself is for good; a refused sign-in, or a server that isn't there, is the configuration's, and may be mended. */
function resultOf(error: Error & { code?: string; responseCode?: number }): Result {
  const status = error.responseCode ?? null;
  const forGood = status !== null && status >= 500 && (error.code === "EENVELOPE" || error.code === "EMESSAGE");
  return { outcome: forGood ? "refused" : "failed", status, error: error.message };
}

const words = {
  "zh-CN": { prefix: "【政云】", end: "此邮件由政云自动发送，请勿回复。详情请登录控制台查看“通知”。可在“我的账户”中修改邮件通知设置。" },
  en: {
    prefix: "[Zhengyun] ",
    end: "Sent by Zhengyun; nobody reads answers. Sign in to the console for more. What is sent to you is chosen under “My account”.",
  },
};

/** Nothing in it but what the notice says. */
export function textOf({ kind, data, language }: Pick<Letter, "kind" | "data" | "language">): { subject: string; text: string } {
  const known = NoticeKind.safeParse(kind);
  const line = known.success ? noticeText(known.data, data, language) : kind;
  const name = known.success ? noticeKinds[known.data].name[language] : kind;
  const { prefix, end } = words[language];
  const number = data["number"] === undefined ? "" : ` ${String(data["number"])}`;
  return { subject: oneLine(`${prefix}${name}${number}`), text: `${line}\n\n--\n${end}\n` };
}

const oneLine = (text: string) => text.replaceAll(/[\u0000-\u001f\u007f]+/g, " ");
