/** Where and in which language a person gets mail, and about what. */
import type { NewNotificationSettings } from "../contract/notices.ts";
import type { z } from "zod";
import { notFound } from "../domain/refusal.ts";
import type { AccountRow } from "./accounts.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";
import type { Tx } from "./database.ts";

/** @param match refuses a revision that is not the one that was seen */
export async function setMailSettings(
  tx: Tx,
  act: Act,
  id: string,
  settings: z.infer<typeof NewNotificationSettings>,
  match: (revision: number) => void,
): Promise<AccountRow> {
  const before = await tx.selectFrom("accounts").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (!before) throw notFound("account", id);
  match(before.revision);
  const after = await tx
    .updateTable("accounts")
    .set({
      email: settings.email,
      language: settings.language,
      mail_kinds: JSON.stringify([...new Set(settings.mailKinds)]),
      revision: before.revision + 1,
      updated_at: act.now,
    })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
  const told = (row: AccountRow) => ({ email: row.email, language: row.language, mailKinds: row.mail_kinds });
  await appendAudit(tx, act, {
    action: "account.notifications",
    subjectKind: "account",
    subjectId: id,
    departmentId: null,
    before: told(before),
    after: told(after),
  });
  return after;
}
