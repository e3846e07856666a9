/** One's own notices (通知), and how one is told beside them. */
import { defineCommand } from "citty";
import { type Language, type Notice, NoticeKind, noticeText, type NotificationSettings, subscribable, type Unread } from "../../contract/notices.ts";
import type { OwnAccount } from "../../contract/accounts.ts";
import { json } from "../arguments.ts";
import { clientFromEnvironment } from "../client.ts";
import { localTime, show, showOne } from "../output.ts";

const language = { type: "enum" as const, options: ["zh-CN", "en"], default: "zh-CN", description: "Language of the texts" };

const list = defineCommand({
  meta: { name: "list", description: "Your notices, newest first" },
  args: { all: { type: "boolean", description: "Those that you have read too", default: false }, language, json },
  async run({ args }) {
    const rows: Notice[] = [];
    const query = args.all ? {} : { unread: "true" };
    for await (const row of clientFromEnvironment().all<Notice>("/api/v1/notices", query)) rows.push(row);
    show(
      rows,
      [
        { title: "at", value: (row) => localTime(row.at) },
        { title: "notice", value: (row) => noticeText(row.kind, row.data, args.language as Language) },
        ...(args.all ? [{ title: "read", value: (row: Notice) => localTime(row.readAt) }] : []),
        { title: "id", value: (row) => row.id },
      ],
      args.json,
    );
  },
});

const read = defineCommand({
  meta: { name: "read", description: "Mark one as read; without an id all that there are" },
  args: { id: { type: "positional", required: false, description: "Id of the notice" }, json },
  async run({ args }) {
    const client = clientFromEnvironment();
    if (args.id) return showOne(await client.post<Unread>("/api/v1/notices/read", { ids: [args.id] }), args.json);
    const { items } = await client.get<{ items: Notice[] }>("/api/v1/notices?unread=true&limit=1");
    const newest = items[0];
    showOne(newest ? await client.post<Unread>("/api/v1/notices/read", { upTo: newest.id }) : { unread: 0 }, args.json);
  },
});

const mail = defineCommand({
  meta: { name: "mail", description: "Where mail goes, in which language, about what; without options: as it is now" },
  args: {
    email: { type: "string", description: "Address; none: no mail" },
    language: { type: "enum", options: ["zh-CN", "en"], description: "Language of mails" },
    kinds: { type: "string", description: `With commas; all, none, or of: ${subscribable.join(", ")}` },
    json,
  },
  async run({ args }) {
    const client = clientFromEnvironment();
    const path = "/api/v1/account/notifications";
    const { revision } = await client.get<OwnAccount>("/api/v1/account");
    const { mailConfigured, ...now } = await client.get<NotificationSettings>(path);
    if (args.email === undefined && args.language === undefined && args.kinds === undefined) return showOne({ ...now, mailConfigured }, args.json);
    const body = {
      email: args.email === undefined ? now.email : args.email === "none" ? null : args.email,
      language: args.language ?? now.language,
      mailKinds: args.kinds === undefined ? now.mailKinds : kindsOf(args.kinds),
    };
    showOne(await client.put<NotificationSettings>(path, body, revision), args.json);
  },
});

/** With commas, all or none. @throws Error for what is no kind */
export function kindsOf(text: string): NoticeKind[] {
  if (text === "all") return [...subscribable];
  if (text === "none") return [];
  return text.split(",").map((one) => {
    const kind = NoticeKind.safeParse(one.trim());
    if (!kind.success) throw new Error(`${one.trim()} is no kind of notice; there are: ${subscribable.join(", ")}`);
    return kind.data;
  });
}

export const notices = defineCommand({
  meta: { name: "notices", description: "What you were told (通知)" },
  subCommands: { list, read, mail },
});
