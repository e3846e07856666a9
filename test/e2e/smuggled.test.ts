/** Somebody with the database's password changes what was approved, on a running server: the provider does not do it, and who approved sees why. */
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { undecided, waitFor } from "../../control-plane/cli/wait.ts";
import type { AuditEntry } from "../../control-plane/contract/audit.ts";
import type { Host } from "../../control-plane/contract/resources.ts";
import { TestPlane } from "../setup/control-plane.ts";
import { host } from "../setup/small-city.ts";

describe("a step smuggled into the wanted state after its approval", { timeout: 120_000 }, () => {
  const plane = new TestPlane("postgres");
  beforeAll(async () => {
    await plane.start();
    await plane.fill();
  });
  afterAll(() => plane.remove());

  const hosts = () => Array.fromAsync(plane.applicant.all<Host>("/api/v1/hosts"));
  const onDatabase = async (statement: string) => {
    const client = new pg.Client(await plane.databaseUrl());
    await client.connect();
    await client.query(statement);
    await client.end();
  };

  it("is refused by the provider; its neighbour is made, and it goes back to its approvers with the difference", async () => {
    // In the very transaction of the last approval: no check before the provider's can see it.
    await onDatabase(`
      create function smuggle() returns trigger language plpgsql as $$ begin
        update resources set wanted = jsonb_set(wanted, '{flavour,vcpu}', '3') where request_id = new.id and name = 'swollen';
        return new;
      end $$;
      create trigger smuggle after update on requests for each row when (new.state = 'applying' and old.state <> 'applying') execute function smuggle();`);
    const request = await plane.ask([host("honest"), host("swollen")]);
    await plane.approve(request.id);
    const sent = await waitFor(
      () => plane.read(request.id),
      (one) => one.error !== null && undecided(one.state) && one.items[0]!.state === "active",
      { timeoutMs: 90_000, intervalMs: 100 },
    );
    expect(sent.error).toMatchObject({ code: "not-approved" });
    expect(sent.error?.message).toMatch(/swollen: flavour\.vcpu 2 → 3/);
    expect(sent.state).toBe("department-approval");
    expect(sent.items.map((item) => [item.name, item.state])).toEqual([
      ["honest", "active"],
      ["swollen", "pending"],
    ]);
    expect((await hosts()).map((one) => [one.name, one.observedState])).toContainEqual(["honest", "running"]);
    const real = await plane.driver.list();
    expect(
      real.map((one) => one.name),
      "nothing was made of what nobody approved",
    ).not.toContain(sent.items[1]!.resource);
    const auditor = await plane.grant("audit-admin");
    const { items } = (await (
      await fetch(`${plane.operations.url}/api/v1/audit?action=request.refused`, { headers: { authorization: `Bearer ${auditor}` } })
    ).json()) as { items: AuditEntry[] };
    expect(items[0]).toMatchObject({ action: "request.refused", result: "denied", subject: request.id });

    await onDatabase("drop trigger smuggle on requests");
    await plane.approve(request.id);
    expect((await plane.settled(request.id)).state).toBe("active");
    expect((await hosts()).find((one) => one.name === "swollen")).toMatchObject({ observedState: "running" });
  });
});
