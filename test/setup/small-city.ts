/** A small city for tests: a city, a bureau below it and an office below that, each with an application, and pools with room. */
import { City } from "../../control-plane/contract/city.ts";
import { NewRequest } from "../../control-plane/contract/requests.ts";
import { fiscalYearOf } from "../../control-plane/domain/time.ts";
import type { HostSpec } from "../../infra/spec.ts";
import type { Outcome } from "../../infra/operations.ts";
import { systemAct, type Act } from "../../control-plane/store/act.ts";
import { importCity } from "../../control-plane/store/city.ts";
import type { Db, Tx } from "../../control-plane/store/database.ts";
import { beginApply } from "../../control-plane/store/applying.ts";
import { settleApply } from "../../control-plane/store/settling.ts";
import { recordTransitions, transitionsOf } from "../../control-plane/store/readings.ts";
import { publishPrices } from "../../control-plane/store/price-books.ts";
import { pricesAt } from "../../control-plane/store/prices.ts";
import { createRequest } from "../../control-plane/store/acceptance.ts";
import { approve } from "../../control-plane/store/approving.ts";
import { isDeciding } from "../../control-plane/domain/lifecycle.ts";
import { recordPlan } from "../../control-plane/store/planning.ts";
import type { RequestRow } from "../../control-plane/store/requests.ts";
import type { PlannedNeed } from "../../control-plane/store/restarts.ts";

export const plain = (_context: string, text: string) => text;
const departments = ["city", "bureau", "office"];

/** Prices with meters that cost by the hour, by the month, and nothing. */
export const prices = [
  { meter: "hosts", period: "month", fen: 1000 },
  { meter: "vcpu", period: "hour", fen: 3 },
  { meter: "memory_mib", per: 1024, period: "month", fen: 1500 },
  { meter: "storage_gib:performance", period: "month", fen: 120 },
  { meter: "storage_gib:standard", period: "month", fen: 40 },
  { meter: "storage_gib:capacity", period: "month", fen: 15 },
  { meter: "backup_gib", period: "month", fen: 0 },
] as const;

/** @param options.fundFen what each department's project has for construction this year */
export function smallCity(options: { driver?: string; endpoint?: string; hosts?: number; fundFen?: number } = {}) {
  const at = { driver: options.driver ?? "embedded", endpoint: options.endpoint ?? "" };
  const hosts = options.hosts ?? 40;
  const fiscalYear = fiscalYearOf(new Date());
  // From the year of the tests with a clock of their own on, and over new year's eve.
  const years = Array.from({ length: fiscalYear + 3 - 2026 }, (_, more) => 2026 + more);
  const funds = years.map((year) => ({ kind: "construction", fiscalYear: year, amountFen: options.fundFen ?? 1_000_000_000 }));
  return City.parse({
    name: "Small city",
    prices,
    pools: [
      {
        code: "compute",
        name: "Compute",
        kind: "compute",
        site: "Site A",
        dedicatedTo: { department: "city" },
        // The members of a test's cluster are all this one machine, which may have two cores.
        overcommitPercent: at.driver === "lxd" ? 1600 : 100,
        ...at,
        capacity: { hosts: 60, vcpu: 1000, memory_mib: 4_000_000, "storage_gib:standard": 40_000 },
      },
      { code: "storage", name: "Storage", kind: "storage", site: "Site A", ...at, capacity: { "storage_gib:standard": 10_000 } },
      { code: "backup", name: "Backup", kind: "backup", site: "Site B", ...at, capacity: { backup_gib: 10_000 } },
    ],
    departments: departments.map((code, index) => ({ code, parent: departments[index - 1] ?? null, nameZh: `部门${index}`, nameEn: code, level: "city" })),
    quotas: departments.map((department, index) => ({
      department,
      limits: { hosts: hosts - index, vcpu: 1000, memory_mib: 4_000_000, "storage_gib:standard": 40_000, backup_gib: 10_000 },
    })),
    projects: departments.map((department) => ({
      department,
      code: "p",
      name: "Project",
      fiscalYear,
      budgetFen: 0,
      stage: "approved",
      supervisor: { name: "监理公司" },
      funds,
    })),
    applications: departments.map((department) => ({ department, project: "p", code: `${department}-app`, name: "Application", contact: "somebody" })),
  });
}

/** Changes as their authors make them, without engine and API: what the stores promise. */
export function openBooks(db: Db, now: () => Date = () => new Date()) {
  const applicant = { id: "tok_applicant", nodes: null };
  const approver = { id: "tok_approver", nodes: null };
  const authority = { id: "tok_authority", nodes: null };
  const act = (actor = "system"): Act => ({ ...systemAct(now()), actor });
  const change = <T>(work: (tx: Tx) => Promise<T>) => db.transaction().execute(work);
  const ask = (department: string, items: unknown[], seal = plain, more: object = {}) =>
    change((tx) =>
      createRequest(
        tx,
        act("tok_applicant"),
        applicant,
        NewRequest.parse({ application: `${department}-app`, project: "p", title: "Test", items, ...more }),
        seal,
      ),
    );
  const plan = (request: Pick<RequestRow, "id">, restarts: readonly PlannedNeed[] = []) =>
    change((tx) => recordPlan(tx, act(), request.id, { steps: [], restarts }));
  const approveAs = (who: typeof approver, request: RequestRow) =>
    change((tx) => approve(tx, act(who.id), who, request.id, { planHash: request.plan_hash ?? "", reason: "" }));
  /** Who approves is there and holds the role for it, everywhere. */
  const appoint = () =>
    change(async (tx) => {
      const now = new Date(0);
      for (const [role, { id }] of [["approver", approver] as const, ["authority", authority] as const]) {
        const token = { id, name: role, secret_hash: id, expires_at: null, created_at: now };
        await tx
          .insertInto("tokens")
          .values(token)
          .onConflict((on) => on.doNothing())
          .execute();
        const held = { subject_id: id, role, department_id: null, kind: "standing" as const, valid_from: now, valid_until: null };
        await tx
          .insertInto("role_bindings")
          .values({ id: `rbd_${role}`, ...held, period_from: null, period_to: null, reason: "test", granted_by: "test", granted_at: now })
          .onConflict((on) => on.doNothing())
          .execute();
      }
    });
  /** Plans it, and approves every step of the default policy, each by somebody else. */
  const decide = async (request: Pick<RequestRow, "id">, restarts: readonly PlannedNeed[] = []): Promise<RequestRow> => {
    let row = await plan(request, restarts);
    await appoint();
    for (const who of [approver, authority]) {
      row = await approveAs(who, row);
      if (!isDeciding(row.state)) break;
    }
    return row;
  };
  /** One `up` in which these resources fail. */
  const apply = async (departmentId: string, failing: readonly string[] = []): Promise<boolean> => {
    const begun = await change((tx) => beginApply(tx, act(), departmentId, plain));
    if (begun.unchanged) return false;
    const outcome: Outcome = {
      operation: "op",
      steps: [],
      durationMs: 1,
      result: failing.length === 0 ? "succeeded" : "failed",
      failures: failing.map((name) => ({ kind: "host", name, code: "unknown-image", message: "no such image" })),
    };
    return (await change((tx) => settleApply(tx, act(), departmentId, { hash: begun.hash, fence: begun.fence, outcome }))).again;
  };
  /** Everything is seen as it should be: running, or stopped. */
  const observe = async () => {
    const pools = (await db.selectFrom("pools").select("id").execute()).map((row) => row.id);
    const live = await db.selectFrom("resources").select(["id", "kind", "wanted"]).where("phase", "=", "live").execute();
    const seen = live.map((row) => ({ name: row.id, state: row.kind === "host" ? (row.wanted as HostSpec).power : "present" }));
    await change(async (tx) => recordTransitions(tx, act(), await transitionsOf(tx, pools, seen)));
  };
  return {
    applicant,
    approver,
    authority,
    plan,
    appoint,
    approveAs,
    act,
    change,
    ask,
    decide,
    apply,
    observe,
    import: (city = smallCity()) =>
      change(async (tx) => {
        // In force long before, whatever a test's clock says.
        const long = new Date("2020-01-01T00:00:00Z");
        if (city.prices && !(await pricesAt(tx, long))) await publishPrices(tx, { ...act(), now: long }, { note: "", prices: city.prices });
        return importCity(tx, act("tok_applicant"), city, {
          principal: applicant,
          seal: plain,
          defaultEndpoint: "/nowhere",
        });
      }),
  };
}

export const host = (name: string, flavour = "standard") => ({ action: "create", kind: "host", spec: { name, flavour, image: "zhengyun-base-1" } });
export const volume = (name: string, sizeGib = 10) => ({ action: "create", kind: "volume", spec: { name, sizeGib } });
