/** A real Incus beside the machine's LXD: Debian's packages from its backports, unpacked into a directory of their own and not installed. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmodSync, createWriteStream, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { unmount } from "./lxd.ts";

const packages = ["incus-base", "incus-client", "libcowsql0", "libraft0"];
/** Of the package debian-archive-keyring. */
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
const cache = join(homedir(), ".cache/zhengyun/incus");

/** Where the packages are unpacked; undefined: this machine's Debian mirror has none. */
export function findIncus(): string | undefined {
  if (existsSync(cache)) return cache;
  const work = mkdtempSync(join(tmpdir(), "zhengyun-incus-packages-"));
  const run = (program: string, ...args: string[]) => spawnSync(program, args, { cwd: work, encoding: "utf8", timeout: 120_000 });
  try {
    // The mirror that the machine uses itself.
    const lists = run("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages").stdout.split("\n");
    const [mirror, release] = lists.map((line) => line.split(" ")).find(([uri, name]) => /\/debian\/?$/.test(uri!) && /^[a-z]+$/.test(name!)) ?? [];
    if (mirror === undefined) return undefined;
    for (const directory of ["lists/partial", "archives/partial", "root"]) mkdirSync(join(work, directory), { recursive: true });
    writeFileSync(join(work, "sources.list"), `deb [signed-by=${keyring}] ${mirror} ${release}-backports main\n`);
    const own = [`Dir::Etc::sourcelist=${work}/sources.list`, "Dir::Etc::sourceparts=/dev/null", `Dir::State::lists=${work}/lists`, `Dir::Cache=${work}`];
    const apt = (...args: string[]) => run("apt-get", ...own.flatMap((option) => ["-o", option]), ...args).status === 0;
    if (!apt("update") || !apt("download", ...packages)) return undefined;
    for (const file of readdirSync(work)) if (file.endsWith(".deb")) run("dpkg", "-x", file, "root");
    mkdirSync(join(cache, ".."), { recursive: true });
    renameOrCopy(join(work, "root"), cache);
    return cache;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function renameOrCopy(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch {
    spawnSync("cp", ["-a", from, to]);
  }
}

export interface Incus {
  endpoint: string;
  close(): Promise<void>;
}

/** @param root of findIncus */
export async function startIncus(root: string): Promise<Incus> {
  const home = mkdtempSync(join(tmpdir(), "zhengyun-incus-"));
  chmodSync(home, 0o711);
  const backups = join(home, "backups");
  mkdirSync(backups);
  const directory = join(home, "i1");
  mkdirSync(directory);
  const libraries = readdirSync(join(root, "usr/lib")).map((name) => join(root, "usr/lib", name));
  const env = {
    ...process.env,
    INCUS_DIR: directory,
    HOME: home,
    LD_LIBRARY_PATH: libraries.join(":"),
    PATH: `${root}/usr/libexec/incus:${root}/usr/bin:${process.env["PATH"]}`,
  };
  const child: ChildProcess = spawn("incusd", ["--group", "root", "--logfile", join(home, "incus.log")], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const output = createWriteStream(join(home, "output"));
  for (const stream of [child.stdout!, child.stderr!]) stream.pipe(output, { end: false });
  const admin = (args: string[], input = "") => spawnSync("incus", ["admin", ...args], { env, input, encoding: "utf8" });
  const close = async () => {
    const ended = new Promise((done) => child.once("exit", done));
    admin(["shutdown", "--timeout", "20"]);
    const timer = setTimeout(() => child.kill("SIGKILL"), 5000);
    if (child.exitCode === null && child.signalCode === null) await ended;
    clearTimeout(timer);
    unmount(home);
    rmSync(home, { recursive: true, force: true });
  };
  const storage = { name: "default", driver: "btrfs", config: { size: "12GiB" } };
  for (const { status, stderr } of [admin(["waitready", "--timeout", "60"]), admin(["init", "--preseed"], JSON.stringify({ storage_pools: [storage] }))])
    if (status !== 0) {
      await close();
      throw new Error(`Incus does not start: ${stderr}`);
    }
  return { endpoint: `unix:${join(directory, "unix.socket")}?${new URLSearchParams({ storage: storage.name, backups }).toString()}`, close };
}
