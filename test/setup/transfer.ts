/** An application that passes between an office and an annex beside it, on a real control plane: for tests of what must not happen meanwhile. */
import { expect } from "vitest";
import { type Client, createClient } from "../../control-plane/cli/client.ts";
import { settled, waitFor } from "../../control-plane/cli/wait.ts";
import type { Application } from "../../control-plane/contract/applications.ts";
import type { Request } from "../../control-plane/contract/requests.ts";
import type { StackUpdate } from "../../control-plane/contract/stack-updates.ts";
import type { StackOperation } from "../../control-plane/contract/stacks.ts";
import type { TestPlane } from "./control-plane.ts";
import { smallCity } from "./small-city.ts";

export type Side = "office" | "annex";
const other = { office: "annex", annex: "office" } as const;

/** The small city with an annex beside the office. */
export function citySided(pools: { driver: string; endpoint: string }) {
  const city = smallCity(pools);
  city.departments.push({ ...city.departments.at(-1)!, code: "annex", nameZh: "附属部门", nameEn: "annex" });
  city.quotas.push({ ...city.quotas.at(-1)!, department: "annex" });
  city.projects.push({ ...city.projects.at(-1)!, department: "annex" });
  return city;
}

export class Sides {
  readonly plane: TestPlane;
  #secrets!: Record<Side, string>;
  #third = "";
  constructor(plane: TestPlane) {
    this.plane = plane;
  }
  async settle(pools: { driver: string; endpoint: string }): Promise<void> {
    await this.plane.fill(citySided(pools));
    this.#secrets = { office: await this.plane.grant("applicant", "office"), annex: await this.plane.grant("applicant", "annex") };
    this.#third = await this.plane.grant("approver", "city");
  }
  #as = (token: string): Client => createClient({ url: this.plane.operations.url, token });
  /** An applicant of that side alone. */
  of = (side: Side): Client => this.#as(this.#secrets[side]);

  async application(): Promise<Application & { side: Side }> {
    const { items } = await this.plane.operations.get<{ items: Application[] }>("/api/v1/applications?department=city");
    const found = items.find((one) => one.code === "office-app")!;
    const { code } = await this.plane.operations.get<{ code: Side }>(`/api/v1/departments/${found.department}`);
    return { ...found, side: code };
  }
  async ask(): Promise<Request> {
    const { id, side } = await this.application();
    const item = { action: "transfer", kind: "application", id, spec: { department: other[side], project: "p" } };
    return this.of(side).post<Request>("/api/v1/requests", { application: id, project: "p", title: "Transfer", items: [item] });
  }
  /** Each step by somebody else. */
  async approve(id: string): Promise<void> {
    let row = await this.plane.planned(id);
    for (const who of [this.plane.approver, this.#as(this.#third), this.plane.authority])
      row = await who.post<Request>(`/api/v1/requests/${id}/approve`, { planHash: row.plan!.hash, reason: "" }, { ifMatch: row.revision });
  }

  async #look(department: Side, kind: "preview" | "refresh"): Promise<StackOperation["steps"]> {
    const made = await this.plane.operations.post<StackOperation>("/api/v1/stack-operations", { department, kind });
    const looked = await waitFor(
      () => this.plane.operations.get<StackOperation>(`/api/v1/stack-operations/${made.id}`),
      (one) => one.state === "complete" || one.state === "failed",
      { timeoutMs: 60_000 },
    );
    expect(looked.error).toBeNull();
    return looked.steps;
  }
  updates = async (department: Side) => (await this.plane.operations.get<{ items: StackUpdate[] }>(`/api/v1/stack-updates?department=${department}`)).items;

  /** The engine finds nothing to do on either side: not in its own look after the transfer, nor when all is read anew; each thing is in one stack. */
  async expectUnchanged(names: readonly string[]): Promise<void> {
    const { side } = await this.application();
    for (const one of ["office", "annex"] as const) {
      const steps = await this.#look(one, "refresh");
      const seen = await this.#look(one, "preview");
      expect(steps.filter((step) => step.changes.length > 0)).toEqual([]);
      expect(seen.filter((step) => step.action !== "same")).toEqual([]);
      expect(
        seen
          .filter((step) => names.includes(step.name))
          .map((step) => step.name)
          .toSorted(),
        one,
      ).toEqual(one === side ? [...names].toSorted() : []);
      const changes = (await this.updates(one)).filter((update) => update.kind === "update").map((update) => update.changes ?? {});
      // Beside what was made when it was filled: nothing was made, changed or removed by any update.
      for (const update of changes.slice(0, -1)) expect(Object.keys(update).filter((kind) => kind !== "same")).toEqual([]);
    }
  }
}

export const rests = (plane: TestPlane, id: string): Promise<Request> =>
  waitFor(
    () => plane.read(id),
    (one) => settled(one.state),
    { intervalMs: 50, timeoutMs: 90_000 },
  );
