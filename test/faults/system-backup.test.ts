import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { waitFor } from "../../control-plane/cli/wait.ts";
import type { SystemBackup } from "../../control-plane/contract/system.ts";
import { verifyArchive } from "../../control-plane/system/verify.ts";
import { TestPlane } from "../setup/control-plane.ts";

describe("kill -9 of the control plane within a copy of the system", () => {
  let plane: TestPlane;
  beforeEach(() => void (plane = new TestPlane()));
  afterEach(() => plane.remove());

  it.each(["system-backup.started", "system-backup.made"])("at %s: a start makes it, whole", async (step) => {
    await plane.start();
    await plane.fill();
    await plane.kill("SIGTERM");
    await plane.start({ ZHENGYUN_FAULT: step });
    const { id } = await plane.operations.post<SystemBackup>("/api/v1/system/backups", undefined);
    expect(await plane.exited).toBe("SIGKILL");
    await plane.start();
    const done = await waitFor(
      () => plane.operations.get<SystemBackup>(`/api/v1/system/backups/${id}`),
      (one) => one.state === "complete" || one.state === "failed",
      { intervalMs: 50, timeoutMs: 30_000 },
    );
    expect(done).toMatchObject({ state: "complete", error: null });
    expect(readdirSync(join(plane.data, "archives"))).toEqual([`${id}.tar`]);
    expect((await verifyArchive(join(plane.data, "archives", `${id}.tar`))).faults).toEqual([]);
  });
});
