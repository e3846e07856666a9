import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chainSteps } from "../../../control-plane/audit/index.ts";
import { openDatabase } from "../../../control-plane/store/database.ts";
import { engines, makeDatabase } from "../../setup/databases.ts";
import { chainerOf, verified } from "./support.ts";

describe.each(engines)("a chainer that is killed, on %s", (engine) => {
  const directory = mkdtempSync(join(tmpdir(), "zy-chain-"));
  let url = "";
  let drop = async () => {};
  let before = 0;
  beforeAll(async () => {
    if (engine === "postgres") ({ url, drop } = await makeDatabase());
  });
  afterAll(async () => {
    await drop();
    rmSync(directory, { recursive: true, force: true });
  });

  it.each(chainSteps.flatMap((step) => [[step, 1] as const, [step, 3] as const]))(
    "at %s, passed %i times, leaves no gap and nothing twice",
    async (step, times) => {
      const child = spawn(process.execPath, [join(import.meta.dirname, "chainer-process.ts"), url, directory, step, String(times)], {
        stdio: ["ignore", "ignore", "inherit"],
      });
      expect(await new Promise((done) => child.once("exit", (_code, signal) => done(signal)))).toBe("SIGKILL");
      const { db, close } = await openDatabase({ url: url || undefined, directory });
      try {
        const left = await verified(db);
        expect(left.fault).toBeUndefined();
        await chainerOf(db).close();
        const { written } = await db
          .selectFrom("audit_entries")
          .select((of) => of.fn.countAll<number>().as("written"))
          .executeTakeFirstOrThrow();
        expect(written).toBeGreaterThan(before);
        expect(await verified(db)).toMatchObject({ first: 1, last: written, entries: written, signedUpTo: written, unlinked: 0, fault: undefined });
        before = written;
      } finally {
        await close();
      }
    },
  );
});
