/** Drift from end to end, by the real engine on real hosts: found, put back, adopted; also where somebody is killed in the middle. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { waitFor } from "../../control-plane/cli/wait.ts";
import type { DriftFinding } from "../../control-plane/contract/drift.ts";
import type { Host, Volume } from "../../control-plane/contract/resources.ts";
import { createClient } from "../../control-plane/cli/client.ts";
import { TestPlane } from "../setup/control-plane.ts";
import { host, volume } from "../setup/small-city.ts";

/** The memory limit of a host, in the cgroup that the embedded driver made, whichever version. */
function limitFile(name: string): string {
  const base = "/sys/fs/cgroup";
  for (const [root, file] of [
    [join(base, "memory/zhengyun"), "memory.limit_in_bytes"],
    [join(base, "zhengyun"), "memory.max"],
  ] as const)
    for (const endpoint of existsSync(root) ? readdirSync(root) : []) if (existsSync(join(root, endpoint, name, file))) return join(root, endpoint, name, file);
  throw new Error(`there is no cgroup of ${name}`);
}
const mib = (file: string) => Number(readFileSync(file, "utf8")) / 1_048_576;

describe("drift", { timeout: 120_000 }, () => {
  const plane = new TestPlane();
  let web: Host;
  const held = async <T extends { name: string }>(noun: string, name: string) =>
    (await plane.applicant.get<{ items: T[] }>(`/api/v1/${noun}?department=office`)).items.find((one) => one.name === name)!;
  const findings = async (state = "open") => (await plane.operations.get<{ items: DriftFinding[] }>(`/api/v1/drift?department=office&state=${state}`)).items;
  /** Looks until what is open is so. */
  async function looked(fits: (open: DriftFinding[]) => boolean): Promise<DriftFinding[]> {
    let asked = 0;
    const found = await waitFor(
      async () => {
        if (asked++ % 10 === 0) await plane.operations.post("/api/v1/drift-scans", { department: "office" });
        return findings();
      },
      fits,
      { intervalMs: 300, timeoutMs: 60_000 },
    );
    expect(fits(found), `${JSON.stringify(found)}\n${plane.output.slice(-2000)}`).toBe(true);
    return found;
  }
  const decide = (one: DriftFinding, verb: string, body: object = {}, by = plane.operations) =>
    by.post<DriftFinding>(`/api/v1/drift/${one.id}/${verb}`, { reason: "R", ...body }, { ifMatch: one.revision });
  const closed = (id: string, state: string) =>
    waitFor(
      () => plane.operations.get<DriftFinding>(`/api/v1/drift/${id}`),
      (one) => one.state === state || one.error !== null,
      { intervalMs: 100, timeoutMs: 60_000 },
    );

  beforeAll(async () => {
    await plane.start();
    await plane.fill();
    const asked = await plane.ask([host("web", "small"), volume("data", 1), { action: "create", kind: "attachment", spec: { host: "web", volume: "data" } }]);
    await plane.approve(asked.id);
    expect((await plane.settled(asked.id)).state).toBe("active");
    web = await held<Host>("hosts", "web");
  }, 120_000);
  afterAll(() => plane.remove());

  it("is not there where nobody changed anything; a changed limit is found, and put back though the control plane is killed in the middle", async () => {
    await looked((open) => open.length === 0);
    const file = limitFile(web.id);
    const before = mib(file);
    writeFileSync(file, String((before + 64) * 1_048_576));
    const [found] = await looked((open) => open.length === 1);
    expect(found).toMatchObject({ resource: web.id, property: "flavour.memoryMib", wanted: before, actual: before + 64, state: "open", adoptable: true });
    expect(mib(file), "looking changes nothing").toBe(before + 64);
    await plane.kill("SIGTERM");
    await plane.start({ ZHENGYUN_FAULT: "apply.ran" });
    await decide(found!, "put-back");
    expect(await plane.exited).toBe("SIGKILL");
    await plane.start();
    expect(await closed(found!.id, "put-back")).toMatchObject({ state: "put-back", error: null });
    expect(mib(file)).toBe(before);
    expect((await plane.driver.observe()).hosts.map((one) => [one.name, one.state])).toEqual([[web.id, "running"]]);
    await looked((open) => open.length === 0);
  });

  it("is adopted by a request that its approvers decide on: less gives back, and nothing is touched", async () => {
    const file = limitFile(web.id);
    const before = mib(file);
    const pid = async () => (await plane.driver.observe()).hosts[0]!.pid;
    const running = await pid();
    writeFileSync(file, String((before - 16) * 1_048_576));
    const [found] = await looked((open) => open.length === 1);
    const adopting = await decide(found!, "adopt");
    expect(adopting).toMatchObject({ state: "adopting", request: expect.stringMatching(/^req_/) });
    const planned = await plane.planned(adopting.request!);
    expect(planned.plan).toMatchObject({
      charge: [{ dimension: "memory_mib", quantity: -16 }],
      steps: [{ action: "update", kind: "host", changes: [{ path: "flavour.memoryMib", before, after: before - 16 }] }],
    });
    await plane.approve(planned.id);
    expect((await plane.settled(planned.id)).state).toBe("active");
    expect(await closed(found!.id, "adopted")).toMatchObject({ state: "adopted" });
    expect(mib(file)).toBe(before - 16);
    expect(await pid()).toBe(running);
    await looked((open) => open.length === 0);
  });

  it("of a volume whose content is gone takes two persons, who are told what is lost; it is made anew and shown again", async () => {
    const data = await held<Volume>("volumes", "data");
    await plane.driver.exec(web.id, ["write", "/data/file"], { stdin: "kept" });
    const directory = join(plane.data, "embedded/volumes", data.id);
    await import("node:child_process").then(({ spawnSync }) => spawnSync("umount", ["-l", join(directory, "data")]));
    rmSync(directory, { recursive: true, force: true });
    const open = await looked((all) => all.some((one) => one.property === "existence"));
    const found = open.find((one) => one.kind === "volume")!;
    expect(found.lost).toContain("There is no backup");
    await expect(decide(found, "put-back")).rejects.toMatchObject({ problem: { code: "rule-broken" } });
    const proposed = await decide(found, "put-back", { acceptLoss: true });
    expect(proposed.state).toBe("proposed");
    await expect(decide(proposed, "put-back", { acceptLoss: true })).rejects.toMatchObject({ problem: { code: "second-decision" } });
    const second = createClient({ url: plane.operations.url, token: await plane.grant("operations") });
    await decide(proposed, "put-back", { acceptLoss: true }, second);
    expect(await closed(found.id, "put-back")).toMatchObject({ state: "put-back", error: null });
    expect((await plane.driver.exec(web.id, ["ls", "/data"])).stdout).not.toContain("file");
    await plane.driver.exec(web.id, ["write", "/data/again"], { stdin: "new" });
    await looked((all) => all.length === 0);
  });
});
