/** A real LXD of Debian's without systemd: one server, or a cluster of several on loopback addresses of this machine. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmodSync, createWriteStream, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The storage pool of a member: btrfs in a file, which keeps volumes within their sizes. */
const storage = { name: "default", driver: "btrfs" };
const storageSize = "12GiB";
/** The bridge that hosts get an interface on, in a network namespace of the server's own. */
const bridge = { name: "zybr0", type: "bridge", config: { "ipv4.address": "10.77.0.1/24", "ipv4.nat": "false", "ipv6.address": "none" } };
/** The mounts of /sys belong to a network namespace: the new one needs its own, with the machine's control groups. */
const inOwnNetwork = (cgroups: string) =>
  `ip link set lo up && mount --rbind /sys/fs/cgroup ${cgroups} && mount -t sysfs sysfs /sys && mount --rbind ${cgroups} /sys/fs/cgroup && exec "$@"`;

/** One server. */
export class Member {
  readonly name: string;
  readonly directory: string;
  #child: ChildProcess | undefined;
  readonly #home: string;
  readonly #network: boolean;

  constructor(home: string, name: string, network: boolean) {
    this.name = name;
    this.#home = home;
    this.#network = network;
    this.directory = join(home, name);
    mkdirSync(this.directory);
  }

  get socket(): string {
    return join(this.directory, "unix.socket");
  }
  get #env(): NodeJS.ProcessEnv {
    return { ...process.env, LXD_DIR: this.directory };
  }

  /** Starts it, or starts it again. */
  async start(): Promise<void> {
    const daemon = ["lxd", "--group", "root", "--logfile", join(this.#home, `${this.name}.log`)];
    const cgroups = join(this.#home, "cgroups");
    mkdirSync(cgroups, { recursive: true });
    const [program, ...args] = this.#network ? ["unshare", "--net", "--mount", "sh", "-c", inOwnNetwork(cgroups), "sh", ...daemon] : daemon;
    const child = spawn(program!, args, {
      env: this.#env,
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    this.#child = child;
    const output = createWriteStream(join(this.#home, `${this.name}.output`), { flags: "a" });
    for (const stream of [child.stdout, child.stderr]) stream.pipe(output, { end: false });
    const ready = await this.run("lxd", ["waitready", "--timeout", "60"]);
    if (ready.code !== 0) throw new Error(`LXD does not start: ${ready.output}`);
  }

  /** A command of LXD's own, against this member. */
  run(program: "lxd" | "lxc", args: string[], input = ""): Promise<{ code: number | null; output: string }> {
    return new Promise((resolve, reject) => {
      const child = spawn(program, args, { env: { ...this.#env, HOME: this.#home }, stdio: ["pipe", "pipe", "pipe"] });
      let output = "";
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (data: Buffer) => (output += data.toString()));
      child.on("error", reject);
      child.on("close", (code) => resolve({ code, output }));
      child.stdin.end(input);
    });
  }
  /** @throws Error with what it said */
  async must(program: "lxd" | "lxc", args: string[], input?: string): Promise<string> {
    const { code, output } = await this.run(program, args, input);
    if (code !== 0) throw new Error(`${program} ${args.join(" ")}: ${output}`);
    return output;
  }

  /** A program that stands in the server's network, when that is its own. */
  inNetwork(program: string, args: string[]): { status: number | null; stdout: string; stderr: string } {
    return spawnSync("nsenter", ["--net", "--target", String(this.#child!.pid), program, ...args], { encoding: "utf8" });
  }

  /** The daemon dies. What it ran runs on. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }
  /** As a machine that hangs: connections to it are made, and nothing is answered. */
  freeze(): void {
    process.kill(this.#child!.pid!, "SIGSTOP");
  }
  thaw(): void {
    process.kill(this.#child!.pid!, "SIGCONT");
  }
  /** As a machine that loses its power: what it ran ends too. */
  async powerOff(): Promise<void> {
    await this.kill();
    for (const { monitor, init } of this.containers()) for (const pid of [monitor, ...init]) process.kill(pid, "SIGKILL");
  }
  /** Processes of this member's containers: the kernel's own word. */
  containers(): { monitor: number; init: number[] }[] {
    const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
    return pids.flatMap((pid) => {
      try {
        if (!readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith(`[lxc monitor] ${this.directory}/containers`)) return [];
        return [{ monitor: Number(pid), init: readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number) }];
      } catch {
        // It has ended meanwhile.
        return [];
      }
    });
  }

  async stop(): Promise<void> {
    if (!this.runs) return;
    await this.run("lxd", ["shutdown", "--timeout", "20"]);
    await this.#end("SIGKILL", 5000);
  }

  get runs(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }
  async #end(signal: NodeJS.Signals, afterMs = 0): Promise<void> {
    const child = this.#child;
    if (!child || !this.runs) return;
    const ended = new Promise((done) => child.once("exit", done));
    const timer = setTimeout(() => child.kill(signal), afterMs);
    await ended;
    clearTimeout(timer);
  }
}

export interface Lxd {
  /** What a pool's endpoint says: over the first member's socket. */
  endpoint: string;
  members: Member[];
  /** The same over TLS, of a cluster: with a client certificate of its own, which the cluster trusts from now on. */
  overTls(): Promise<string>;
  close(): Promise<void>;
}

/** @param count of members; more than one form a cluster @param network one server with a bridge in a network namespace of its own */
export async function startLxd(count = 1, network = false): Promise<Lxd> {
  const home = mkdtempSync(join(tmpdir(), "zhengyun-lxd-"));
  // Containers' own users must get through to their root file systems.
  chmodSync(home, 0o711);
  const backups = join(home, "backups");
  mkdirSync(backups);
  const members = Array.from({ length: count }, (_, index) => new Member(home, `n${index + 1}`, network));
  const close = async () => {
    await Promise.all(members.map((one) => one.stop()));
    unmount(home);
    rmSync(home, { recursive: true, force: true });
  };
  try {
    await Promise.all(members.map((one) => one.start()));
    const [first, ...others] = members as [Member, ...Member[]];
    const addresses = await Promise.all(members.map((_, index) => freeAddress(index)));
    await first.must("lxd", ["init", "--preseed"], JSON.stringify({ ...firstOf(first, addresses[0]!, count > 1), ...(network ? { networks: [bridge] } : {}) }));
    for (const [index, member] of others.entries()) {
      const token = (await first.must("lxc", ["cluster", "add", member.name])).split("\n").find((line) => line.startsWith("eyJ"))!;
      await member.must("lxd", ["init", "--preseed"], JSON.stringify(joining(member, addresses[index + 1]!, token.trim())));
    }
    const endpoint = `unix:${first.socket}?${new URLSearchParams({ storage: storage.name, backups, ...(network ? { network: bridge.name } : {}) }).toString()}`;
    const overTls = async () => {
      const file = (name: string) => join(home, name);
      const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1", "-nodes", "-keyout", file("client.key")];
      const made = spawnSync("openssl", ["req", "-x509", "-days", "2", "-subj", "/CN=zhengyun", ...key, "-out", file("client.crt")], { encoding: "utf8" });
      if (made.status !== 0) throw new Error(made.stderr);
      await first.must("lxc", ["config", "trust", "add", file("client.crt")]);
      const names = { certificate: file("client.crt"), key: file("client.key"), server: join(first.directory, "cluster.crt") };
      return `https://${addresses[0]!}?${new URLSearchParams({ storage: storage.name, backups, ...names }).toString()}`;
    };
    return { endpoint, members, overTls, close };
  } catch (error) {
    await close();
    throw error;
  }
}

const firstOf = (member: Member, address: string, cluster: boolean) => ({
  ...(cluster ? { config: { "core.https_address": address }, cluster: { server_name: member.name, enabled: true } } : {}),
  storage_pools: [{ ...storage, config: { size: storageSize } }],
});
const joining = (member: Member, address: string, token: string) => ({
  cluster: {
    enabled: true,
    server_name: member.name,
    server_address: address,
    cluster_token: token,
    member_config: [
      { entity: "storage-pool", name: storage.name, key: "size", value: storageSize },
      { entity: "storage-pool", name: storage.name, key: "source", value: "" },
    ],
  },
});

/** Each member has a loopback address of its own: 127.0.0.2 and on. */
function freeAddress(index: number): Promise<string> {
  const host = `127.0.0.${index + 2}`;
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, host, () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(`${host}:${port}`));
    });
  });
}

/** What LXD mounts below its directory outlives it. */
export function unmount(directory: string): void {
  const below = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((path) => path.startsWith(directory));
  for (const path of below.toReversed()) spawnSync("umount", ["-l", path]);
}
