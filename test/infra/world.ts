/** What an engine needs around it: a database, the state service, a cloud on paper, and operations on departments. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { departmentStack, ensureStack, exportDeployment, loadKeys, settleUpdate, startStateService } from "../../control-plane/state/index.ts";
import { openDatabase } from "../../control-plane/store/database.ts";
import type { Approval } from "../../infra/approval.ts";
import { findEngine } from "../../infra/engine/engine.ts";
import type { Operation, OperationKind, Outcome, Progress } from "../../infra/operations.ts";
import { Scopes } from "../../infra/provider/scopes.ts";
import { serveProvider } from "../../infra/provider/server.ts";
import type { DepartmentSpec } from "../../infra/spec.ts";
import { runOperation } from "../../infra/stack.ts";
import { pool } from "./estate.ts";
import { Paper, loadDriver } from "./paper-driver.ts";
import { templateDump } from "../setup/template.ts";

export type World = Awaited<ReturnType<typeof openWorld>>;

export async function openWorld() {
  const directory = await mkdtemp(path.join(tmpdir(), "zhengyun-world-"));
  const engine = await findEngine();
  const database = await openDatabase({ directory: "memory", dump: await templateDump() });
  const service = await startStateService({ db: database.db, keys: loadKeys({ directory: path.join(directory, "data") }) });
  const cloud = path.join(directory, "cloud");
  const paper = new Paper(cloud);
  let number = 0;

  /** An operation as a job would make it; to be ended by `end`. */
  async function operation(kind: OperationKind, spec: DepartmentSpec, fence = number + 1): Promise<Operation> {
    const stack = departmentStack(spec.department);
    await ensureStack(database.db, stack);
    const token = service.issueOperationToken(stack, { scope: kind, fence });
    return { id: `op-${++number}`, kind, spec, fence, pools: [{ pool, driver: "paper", endpoint: cloud }], state: { url: service.url, token, ...stack } };
  }
  async function end(ended: Operation) {
    service.revokeOperationToken(ended.state.token);
    return settleUpdate(database.db, departmentStack(ended.spec.department), "its engine is gone");
  }
  const state = (department: string) => exportDeployment(database.db, departmentStack(department));
  async function close() {
    await service.close();
    await database.close();
    await rm(directory, { recursive: true, force: true });
  }
  return { directory, engine, database, paper, operation, end, state, close };
}

/** Runs operations in this very process, as one slot of the worker does. */
export async function openStacks(world: World) {
  const scopes = new Scopes(async ({ driver, endpoint }) => loadDriver(driver, endpoint));
  const provider = await serveProvider(scopes);
  const heard: Progress[] = [];

  async function run(
    kind: OperationKind,
    spec: DepartmentSpec,
    options: {
      fence?: number;
      putBack?: readonly { name: string; anew: boolean }[];
      approved?: readonly Approval[];
      signal?: AbortSignal;
      onProgress?: (progress: Progress) => void;
    } = {},
  ): Promise<Outcome> {
    const operation = await world.operation(kind, spec, options.fence);
    const slotDir = await mkdtemp(path.join(world.directory, "slot-"));
    const signal = options.signal ?? new AbortController().signal;
    const close = scopes.open({
      ...operation.state,
      department: spec.department,
      fence: operation.fence,
      pools: operation.pools,
      approved: options.approved,
      putBack: options.putBack,
      signal,
    });
    try {
      return await runOperation(operation, {
        engineRoot: world.engine.root,
        slotDir,
        providerPort: provider.port,
        signal,
        onProgress: (progress) => {
          heard.push(progress);
          options.onProgress?.(progress);
        },
      });
    } finally {
      close();
      await world.end(operation);
    }
  }
  return { run, heard, close: () => provider.close() };
}

/** Files below a directory that contain a text. */
export async function filesWith(directory: string, text: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    if ((await readFile(file)).includes(text)) found.push(file);
  }
  return found;
}
