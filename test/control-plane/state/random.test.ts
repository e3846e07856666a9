import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  currentDeployment,
  departmentStack,
  ensureStack,
  history,
  integrityFault,
  startStateService,
  type StateService,
} from "../../../control-plane/state/index.ts";
import { type Keys, keysFrom } from "../../../control-plane/state/keys.ts";
import { secretsOf } from "../../../control-plane/state/secrets.ts";
import { getStack } from "../../../control-plane/state/stacks.ts";
import type { OpenDatabase } from "../../../control-plane/store/database.ts";
import { comparable, withOpenSecrets } from "./support/comparable.ts";
import { openEmpty } from "../../setup/databases.ts";
import { bench, type Bench, destroy, refresh, type Thing, up } from "./support/engine.ts";
import { type Move, programs, scenarios } from "./support/scenarios.ts";

/** More of them: ZHENGYUN_RANDOM=scenarios,moves,seed. The same seed gives the same scenarios; 7 meets a replaced thing that can not be deleted. */
const [count = 3, moves = 5, seed = 7] = (process.env["ZHENGYUN_RANDOM"] ?? "").split(",").filter(Boolean).map(Number);

const commands: Record<Move["command"], string[]> = {
  up: [...up, "--continue-on-error"],
  "up --refresh": [...up, "--continue-on-error", "--refresh"],
  refresh,
  destroy: [...destroy, "--continue-on-error"],
};

/** What the engine writes: a journal, or its whole state at each step. */
const ways = ["journal", "checkpoints"] as const;

describe("random programs on the Pulumi engine", { timeout: 60_000 + moves * 10_000 }, () => {
  let opened: OpenDatabase;
  let keys: Keys;
  let service: StateService;
  let benches: Record<(typeof ways)[number], Bench>;
  const seen = new Set<string>();
  const logged: unknown[] = [];

  beforeAll(async () => {
    opened = await openEmpty("postgres");
    keys = keysFrom(randomBytes(32));
    service = await startStateService({ db: opened.db, keys, log: (...all) => void logged.push(all) });
    const [journal, checkpoints] = await Promise.all([bench(), bench()]);
    benches = { journal, checkpoints };
  });
  afterAll(async () => {
    await Promise.all([benches.journal.close(), benches.checkpoints.close()]);
    await service.close();
    await opened.close();
    expect(logged).toEqual([]);
  });

  /** One move in one way, and all that can be seen afterwards. */
  async function play(way: (typeof ways)[number], prefix: string, { command, lost }: Move, things: Thing[]) {
    const stack = departmentStack(`dep_${prefix}_${way}`);
    await ensureStack(opened.db, stack);
    const token = service.issueOperationToken(stack, { scope: "manage" });
    const truth = benches[way];
    const mine = () => truth.existing().filter((id) => id.startsWith(prefix));
    for (const [index, id] of mine().entries()) if (lost & (1 << index)) truth.lose(id);
    for (const { import: id, value } of things) if (id && !mine().includes(id)) truth.plant(id, value);
    const environment = { ...(way === "checkpoints" && { PULUMI_DISABLE_JOURNALING: "true" }) };
    const running = await truth.start(commands[command], { url: service.url, token, stack, things: command.startsWith("up") ? things : [], environment });
    // An engine that hangs is a finding too, and its output says where.
    const patience = setTimeout(() => running.child.kill("SIGKILL"), 30_000);
    const { code, signal, output } = await running.done;
    clearTimeout(patience);
    expect(signal, output).toBeNull();
    expect(output).not.toMatch(/snapshot mismatch|panic|integrity/);
    const { deployment } = await currentDeployment(opened.db, stack);
    expect(integrityFault(deployment)).toBeUndefined();
    const { id } = await getStack(opened.db, stack);
    const state = await withOpenSecrets(comparable(deployment), async (ciphertext) => (await secretsOf(opened.db, keys)(id).decrypt([ciphertext]))[0]!);
    const [last] = await history(opened.db, stack, { limit: 1 });
    return {
      output,
      last,
      ended: {
        ok: code === 0,
        exists: mine(),
        status: last?.status,
        interrupted: last?.interrupted,
        fault: last?.fault,
        state: JSON.parse(JSON.stringify(state).replaceAll(stack.stack, "STACK")) as unknown,
      },
    };
  }

  it.each(scenarios(seed, count, moves).map((scenario, index) => ({ scenario, index })))(
    `number $index of seed ${seed} comes to the same by a journal as by full checkpoints`,
    async ({ scenario, index }) => {
      const prefix = `k${index}`;
      for (const [step, things] of programs(scenario, prefix).entries()) {
        const move = scenario.moves[step]!;
        const [journal, checkpoints] = await Promise.all(ways.map((way) => play(way, prefix, move, things)));
        expect(journal!.ended, `move ${step}: ${JSON.stringify({ ...move, wants: things })}\n${journal!.output}\n${checkpoints!.output}`).toEqual(
          checkpoints!.ended,
        );
        for (const kind of Object.keys(journal!.last?.changes ?? {})) seen.add(kind);
        seen.add(journal!.ended.ok ? "ok" : "failed");
        if (JSON.stringify(journal!.ended.state).includes('"secret":{"secret":')) seen.add("secret");
      }
    },
  );

  it("met every kind of step", () => {
    expect([...seen]).toEqual(expect.arrayContaining(["create", "update", "delete", "replace", "same", "import", "ok", "failed", "secret"]));
  });
});
