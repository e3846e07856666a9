/** Debian packages that only the tests need. Missing real parts are installed here, never skipped. */
import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync } from "node:fs";

const onPath = (program: string) =>
  (process.env["PATH"] ?? "")
    .split(":")
    .concat("/usr/sbin", "/sbin")
    .some((directory) => {
      try {
        accessSync(`${directory}/${program}`, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });

/** Package → whether what the tests use of it is there. */
const needed: Record<string, () => boolean> = {
  postgresql: () =>
    existsSync("/usr/lib/postgresql") && readdirSync("/usr/lib/postgresql").some((version) => existsSync(`/usr/lib/postgresql/${version}/bin/postgres`)),
  prometheus: () => onPath("prometheus") && onPath("promtool"),
  chromium: () => onPath("chromium"),
  "fonts-noto-cjk": () => existsSync("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"),
  e2fsprogs: () => onPath("mkfs.ext4") && onPath("resize2fs"),
  lxd: () => onPath("lxd"),
  "lxd-client": () => onPath("lxc"),
  "btrfs-progs": () => onPath("mkfs.btrfs"),
  mmdebstrap: () => onPath("mmdebstrap"),
  "dnsmasq-base": () => onPath("dnsmasq"),
  iproute2: () => onPath("ip"),
  nftables: () => onPath("nft"),
  "openssh-client": () => onPath("ssh"),
  openssl: () => onPath("openssl"),
  "util-linux": () => onPath("setpriv"),
  "python3-venv": () => spawnSync("python3", ["-c", "import ensurepip, venv"]).status === 0,
};

/**
 * Installs what is missing by apt-get, as root on Debian.
 * @throws Error that names the packages where it cannot
 */
export function installPackages(): void {
  const missing = Object.entries(needed)
    .filter(([, there]) => !there())
    .map(([name]) => name);
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0 || !onPath("apt-get")) {
    throw new Error(`The tests need these Debian packages: ${missing.join(" ")}. Install them, or run the tests as root on Debian.`);
  }
  console.log(`Installing Debian packages for the tests: ${missing.join(" ")}`);
  const apt = (...args: string[]) =>
    spawnSync("apt-get", args, { stdio: ["ignore", "inherit", "inherit"], env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } }).status === 0;
  if (!apt("update", "-qq") || !apt("install", "-y", "-qq", "--no-install-recommends", ...missing))
    throw new Error(`apt-get could not install ${missing.join(" ")}`);
  const still = missing.filter((name) => !needed[name]?.());
  if (still.length > 0) throw new Error(`installed, but still not usable: ${still.join(" ")}`);
}
