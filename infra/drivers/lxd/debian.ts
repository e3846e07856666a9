/** A Debian image from a package mirror, nothing else: for networks without any image server. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { extract, type Header, pack } from "tar-stream";
import { beginImage, root } from "./image-file.ts";

export interface DebianAsk {
  /** A release of Debian's, such as bookworm. */
  suite: string;
  /** URL of the package mirror, or a file in the form of sources.list; left out: deb.debian.org. */
  mirror?: string | undefined;
  /** Packages beside those that a host needs. */
  include: readonly string[];
  /** Where the image goes: a gzip'd tarball. */
  out: string;
}

/** A system that boots, gets an address (networkd waits for udev), and takes its name, keys and user data from its settings. */
const packages = ["systemd-sysv", "udev", "systemd-resolved", "dbus", "iproute2", "openssh-server", "ca-certificates", "cloud-init"];

const unit = (name: string) => ({ [`etc/systemd/system/multi-user.target.wants/${name}`]: `/lib/systemd/system/${name}` });
/** Services that begin with the host; what needs the machine's own kernel doesn't. */
const links: Record<string, string> = {
  ...unit("systemd-networkd.service"),
  ...unit("systemd-resolved.service"),
  "etc/systemd/system/systemd-binfmt.service": "/dev/null",
  "etc/resolv.conf": "/run/systemd/resolve/stub-resolv.conf",
};
const files: Record<string, string> = {
  "etc/systemd/network/10-eth0.network": "[Match]\nName=eth0\n\n[Network]\nDHCP=yes\n",
  "etc/ssh/sshd_config.d/zhengyun.conf":
    "# The host's settings bring the keys of those who may sign in.\nAuthorizedKeysFile /etc/ssh/authorized_keys .ssh/authorized_keys\nPasswordAuthentication no\n",
  "etc/cloud/cloud.cfg.d/90-zhengyun.cfg": JSON.stringify({
    datasource_list: ["LXD", "NoCloud", "None"],
    network: { config: "disabled" },
    locale: false,
    users: [],
    disable_root: false,
    preserve_hostname: true,
  }),
};
/** Keys that all hosts of the image would share: each makes its own at its first start. And devices, which the server brings. */
const left = /^(etc\/ssh\/ssh_host_|etc\/hostname$|etc\/resolv\.conf$|dev\/.)/;

/** Needs `mmdebstrap`. @param say is told what goes on @throws Error with what mmdebstrap said */
export async function buildDebianImage({ suite, mirror, include, out }: DebianAsk, say: (line: string) => void = () => undefined): Promise<void> {
  const wanted = [...packages, ...include].join(",");
  const child = spawn("mmdebstrap", ["--variant=minbase", `--include=${wanted}`, "--format=tar", suite, "-", ...(mirror === undefined ? [] : [mirror])], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (data: Buffer) => {
    const text = data.toString();
    said = (said + text).slice(-4000);
    for (const line of text.split("\n")) if (line.startsWith("I: ")) say(line.slice(3));
  });
  const ended = once(child, "close") as Promise<[number | null]>;
  // Awaited below, after the streams: a failure to start must not pass for an unhandled one meanwhile.
  ended.catch(() => undefined);
  const writing = pipeline(child.stdout, extractInto(suite), createGzip({ level: 6 }), createWriteStream(out, { flush: true })).catch(
    (error: unknown) => error,
  );
  const [code] = await ended.catch((error: NodeJS.ErrnoException) => {
    throw error.code === "ENOENT" ? new Error("There is no mmdebstrap here: apt-get install mmdebstrap.", { cause: error }) : error;
  });
  const broken = await writing;
  if (code !== 0) throw new Error(`mmdebstrap failed:\n${said.trim()}`);
  if (broken instanceof Error) throw broken;
}

/** The root file system below its place in an image, with what makes it a host of ours. */
function extractInto(suite: string) {
  return async function* (source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    const reading = extract();
    const tar = pack();
    const made = Math.floor(Date.now() / 1000);
    const feeding = pipeline(source, reading);
    const working = (async () => {
      beginImage(tar, { description: `Debian ${suite}`, os: "Debian", release: suite }, made);
      for await (const entry of reading) {
        const header = placed(entry.header);
        if (!header) {
          entry.resume();
          continue;
        }
        const target = tar.entry(header);
        if (header.type === "file") await pipeline(entry, target);
        else entry.resume();
      }
      await feeding;
      const mtime = new Date(made * 1000);
      for (const [name, linkname] of Object.entries(links)) tar.entry({ name: `${root}/${name}`, type: "symlink", linkname, mtime });
      for (const [name, content] of Object.entries(files)) tar.entry({ name: `${root}/${name}`, mode: 0o644, mtime }, content);
      tar.finalize();
    })();
    working.catch((error: unknown) => tar.destroy(error as Error));
    yield* tar as AsyncIterable<Buffer>;
    await working;
  };
}

/** undefined: it doesn't come along. */
function placed(header: Header): Header | undefined {
  const path = header.name.replace(/^\.?\/+/, "").replace(/\/$/, "");
  if (left.test(path)) return undefined;
  // The long names of before must not win over the new ones.
  const pax = Object.fromEntries(Object.entries((header.pax ?? {}) as Record<string, string>).filter(([key]) => key !== "path" && key !== "linkpath"));
  const linkname = header.type === "link" ? `${root}/${header.linkname.replace(/^\.?\/+/, "")}` : header.linkname;
  return { ...header, name: path === "" ? root : `${root}/${path}`, ...(linkname == null ? {} : { linkname }), pax: Object.keys(pax).length > 0 ? pax : null };
}
