/** Images by alias. The project's own small one is built and imported at its first use: nothing comes from outside. */
import { readFile } from "node:fs/promises";
import { pack } from "tar-stream";
import { UnknownImage } from "../driver.ts";
import { guestProgram } from "../embedded/guest.ts";
import type { LxdClient } from "./client.ts";
import { key } from "./names.ts";
import { baseImage, baseTools } from "../base-image.ts";

export class Images {
  readonly #client: LxdClient;
  readonly #known = new Map<string, string>();
  #making: Promise<void> | undefined;
  constructor(client: LxdClient) {
    this.#client = client;
  }

  /** The fingerprint of an image. @throws UnknownImage that lists the images there are */
  async require(name: string): Promise<string> {
    const found = this.#known.get(name) ?? (await this.#find(name));
    if (found !== undefined) return found;
    if (name !== baseImage) {
      const { metadata } = await this.#client.get<{ name: string }[]>("/1.0/images/aliases", { query: { recursion: "1" } });
      throw new UnknownImage(`There is no image ${name} here; there are: ${[...new Set([baseImage, ...metadata.map((one) => one.name)])].join(", ")}.`);
    }
    this.#making ??= this.#make().finally(() => (this.#making = undefined));
    await this.#making;
    return (await this.#find(name))!;
  }

  async #find(name: string): Promise<string | undefined> {
    const alias = await this.#client.find<{ target: string }>(`/1.0/images/aliases/${encodeURIComponent(name)}`);
    if (alias) this.#known.set(name, alias.metadata.target);
    return alias?.metadata.target;
  }

  async #make(): Promise<void> {
    const raw = await baseTarball(await readFile(await guestProgram()));
    const made = await this.#client
      .change<{ fingerprint: string }>("POST", "/1.0/images", {
        raw,
        headers: { "content-type": "application/octet-stream", "content-length": String(raw.length) },
      })
      .catch(async (error: unknown) => {
        // Another process was first: its image is the same.
        if (await this.#find(baseImage)) return undefined;
        throw error;
      });
    if (made) await this.#client.change("POST", "/1.0/images/aliases", { body: { name: baseImage, target: made.fingerprint } });
  }
}

const architecture = { x64: "x86_64", arm64: "aarch64" }[process.arch as "x64" | "arm64"];
/** The server writes these from the instance's own settings, at every start. */
const templates = { "/etc/hostname": "hostname", "/etc/ssh/authorized_keys": "keys" };

/** LXD's unified format: metadata.yaml (JSON is YAML), templates and the root file system in one tarball. */
async function baseTarball(guest: Buffer): Promise<Buffer> {
  const tar = pack();
  const metadata = {
    architecture,
    creation_date: 1,
    properties: { description: baseImage, os: "zhengyun" },
    templates: Object.fromEntries(Object.entries(templates).map(([path, name]) => [path, { when: ["create", "start"], template: `${name}.tpl` }])),
  };
  const mtime = new Date(0);
  const file = (name: string, content: string | Buffer, mode = 0o644) => tar.entry({ name, mode, mtime }, content);
  file("metadata.yaml", JSON.stringify(metadata));
  for (const name of Object.values(templates)) file(`templates/${name}.tpl`, `{{ config_get("${key(name)}", "") }}\n`);
  tar.entry({ name: "rootfs", type: "directory", mode: 0o755, mtime });
  for (const folder of ["bin", "sbin", "etc", "etc/ssh", "var", "root", "proc", "sys", "dev", "tmp", "run", "mnt", "srv", "data"])
    tar.entry({ name: `rootfs/${folder}`, type: "directory", mode: 0o755, mtime });
  file("rootfs/sbin/init", guest, 0o755);
  file("rootfs/etc/hosts", "127.0.0.1 localhost\n");
  file("rootfs/etc/os-release", `NAME=Zhengyun\nID=zhengyun\nPRETTY_NAME="${baseImage}"\n`);
  for (const tool of baseTools) tar.entry({ name: `rootfs/bin/${tool}`, type: "symlink", linkname: "/sbin/init", mtime });
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
