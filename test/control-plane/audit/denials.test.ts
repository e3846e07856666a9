import { afterEach, beforeEach, expect, it } from "vitest";
import { createDenials, type Denial, type Denials } from "../../../control-plane/audit/index.ts";
import { systemAct } from "../../../control-plane/store/act.ts";
import type { OpenDatabase } from "../../../control-plane/store/database.ts";
import { openEmpty } from "../../setup/databases.ts";

let opened: OpenDatabase;
let denials: Denials;
let clock = 0;
beforeEach(async () => {
  opened = await openEmpty("pglite");
  clock = 1_000_000;
  denials = createDenials({ db: opened.db, log: { error: () => {} } }, () => clock);
});
afterEach(async () => {
  await denials.close();
  await opened.close();
});

const denial = (more: Partial<Denial> & { actor?: string } = {}): Denial => {
  const { actor = "tok_1", ...rest } = more;
  const act = { ...systemAct(new Date()), actor, role: "department", source: "10.0.0.1" };
  return { act, action: "GET /a", path: "/a", departmentId: null, code: "forbidden", known: true, ...rest };
};
const written = () => opened.db.selectFrom("audit_entries").select(["actor", "action", "subject_id", "after"]).orderBy("id").execute();
const nextMinute = async () => {
  clock += 60_000;
  // The recorder looks every second.
  await new Promise((resolve) => setTimeout(resolve, 1_200));
};

it("writes the first at once and the same ones of a minute as their number, then begins again", async () => {
  for (let time = 0; time < 500; time++) await denials.record(denial());
  expect(await written()).toEqual([{ actor: "tok_1", action: "GET /a", subject_id: "/a", after: { code: "forbidden" } }]);
  await nextMinute();
  expect((await written()).slice(1)).toEqual([
    { actor: "tok_1", action: "GET /a", subject_id: "/a", after: { code: "forbidden", repeated: 499, since: expect.any(String) } },
  ]);
  await denials.record(denial());
  expect(await written()).toHaveLength(3);
});

it("keeps apart who, what and why, and writes nothing more about what came once", async () => {
  await Promise.all([
    denials.record(denial()),
    denials.record(denial({ actor: "tok_2" })),
    denials.record(denial({ action: "GET /b", path: "/b" })),
    denials.record(denial({ code: "not-found" })),
  ]);
  expect(await written()).toHaveLength(4);
  await nextMinute();
  expect(await written()).toHaveLength(4);
});

it("counts whatever an ended token tries as one, and says so", async () => {
  for (let time = 0; time < 300; time++) await denials.record(denial({ known: false, code: "unauthenticated", action: `GET /${time}`, path: `/${time}` }));
  await denials.close();
  expect(await written()).toEqual([
    { actor: "tok_1", action: "GET /0", subject_id: "/0", after: { code: "unauthenticated" } },
    { actor: "tok_1", action: "denied", subject_id: "various", after: { code: "unauthenticated", repeated: 299, since: expect.any(String) } },
  ]);
});

it("doesn't let one who is known fill the audit by asking for ever new things", async () => {
  for (let time = 0; time < 1000; time++) await denials.record(denial({ code: "not-found", action: `GET /${time}`, path: `/${time}` }));
  await denials.close();
  const entries = await written();
  expect(entries).toHaveLength(202);
  expect(entries.at(-1)).toMatchObject({ action: "denied", subject_id: "various", after: { repeated: 799 } });
});
