/** A real Prometheus that scrapes one target, on a free port of 127.0.0.1. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { waitFor } from "../../control-plane/cli/wait.ts";

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export interface Prometheus {
  /** Values of an instant query by their labels. */
  query(promql: string): Promise<{ metric: Record<string, string>; value: number }[]>;
  close(): Promise<void>;
}

/** Starts it and waits until the target has been scraped. */
export async function startPrometheus(target: string, rules?: string): Promise<Prometheus> {
  const directory = mkdtempSync(join(tmpdir(), "zhengyun-prometheus-"));
  const port = await freePort();
  const config = {
    global: { scrape_interval: "1s", evaluation_interval: "1s" },
    ...(rules ? { rule_files: [rules] } : {}),
    scrape_configs: [{ job_name: "zhengyun", static_configs: [{ targets: [new URL(target).host] }] }],
  };
  writeFileSync(join(directory, "prometheus.yml"), JSON.stringify(config));
  const child = spawn(
    "prometheus",
    [`--config.file=${directory}/prometheus.yml`, `--storage.tsdb.path=${directory}/data`, `--web.listen-address=127.0.0.1:${port}`],
    { stdio: "ignore" },
  );
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const query = async (promql: string) => {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(promql)}`);
    const body = (await response.json()) as { status: string; error?: string; data: { result: { metric: Record<string, string>; value: [number, string] }[] } };
    if (body.status !== "success") throw new Error(body.error);
    return body.data.result.map((one) => ({ metric: one.metric, value: Number(one.value[1]) }));
  };
  await waitFor(
    () => query("up").catch(() => []),
    (rows) => rows.some((row) => row.value === 1),
    { timeoutMs: 30_000 },
  );
  return {
    query,
    close: async () => {
      child.kill("SIGTERM");
      await exited;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
