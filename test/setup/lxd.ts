/** A real LXD of Debian's, one server without systemd, in a directory of its own. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmodSync, createWriteStream, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LxdClient } from "../../infra/drivers/lxd/client.ts";
import { addressOf } from "../../infra/drivers/lxd/address.ts";

export interface Lxd {
  /** What a pool's endpoint says. */
  endpoint: string;
  socket: string;
  close(): Promise<void>;
}

/** Starts it with a storage pool that keeps volumes within their sizes (btrfs in a file). */
export async function startLxd(): Promise<Lxd> {
  const home = mkdtempSync(join(tmpdir(), "zhengyun-lxd-"));
  // Containers' own users must get through to their root file systems.
  chmodSync(home, 0o711);
  const directory = join(home, "lxd");
  const backups = join(home, "backups");
  for (const one of [directory, backups]) mkdirSync(one);
  const env = { ...process.env, LXD_DIR: directory };
  const child = spawn("lxd", ["--group", "root", "--logfile", join(home, "log")], { env, stdio: ["ignore", "pipe", "pipe"], detached: true });
  const output = createWriteStream(join(home, "output"));
  for (const stream of [child.stdout, child.stderr]) stream.pipe(output, { end: false });
  const ready = spawnSync("lxd", ["waitready", "--timeout", "60"], { env, encoding: "utf8" });
  if (ready.status !== 0) throw new Error(`LXD does not start: ${ready.stderr}\n${readFileSync(join(home, "output"), "utf8")}`);
  const socket = join(directory, "unix.socket");
  const endpoint = `unix:${socket}?${new URLSearchParams({ storage: "default", backups }).toString()}`;
  const client = new LxdClient(addressOf(endpoint));
  await client.change("POST", "/1.0/storage-pools", { body: { name: "default", driver: "btrfs", config: { size: "12GiB" } } });
  return {
    endpoint,
    socket,
    close: async () => {
      await end(child, env);
      unmount(directory);
      rmSync(home, { recursive: true, force: true });
    },
  };
}

async function end(child: ChildProcess, env: NodeJS.ProcessEnv): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((done) => child.once("exit", done));
  spawnSync("lxd", ["shutdown", "--timeout", "20"], { env });
  const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
  await ended;
  clearTimeout(timer);
}

/** What LXD mounts below its directory outlives it. */
function unmount(directory: string): void {
  const below = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((path) => path.startsWith(directory));
  for (const path of below.toReversed()) spawnSync("umount", ["-l", path]);
}
