/** Images by alias. The project's own small one is built and imported at its first use: nothing comes from outside. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import type { Readable } from "node:stream";
import { pack } from "tar-stream";
import { DriverError, type ImageFile, UnknownImage } from "../driver.ts";
import { guestProgram } from "../embedded/guest.ts";
import type { LxdClient } from "./client.ts";
import { baseImage, baseTools } from "../base-image.ts";
import { ownHeader } from "./server.ts";
import { beginImage, root } from "./image-file.ts";

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

  /** Brings an image here under its name: what is here already is left as it is. @throws DriverError name-taken when the name stands for another one here */
  async import(name: string, file: ImageFile): Promise<void> {
    const there = await this.#find(name);
    if (there === file.sha256) return;
    if (there !== undefined)
      throw new DriverError("name-taken", `The server has another image ${name}: ${there.slice(0, 12)}… instead of ${file.sha256.slice(0, 12)}….`);
    await this.#put(name, createReadStream(file.path), file.sizeBytes, file.sha256);
  }

  async #make(): Promise<void> {
    const raw = await baseTarball(await readFile(await guestProgram()));
    await this.#put(baseImage, raw, raw.length, createHash("sha256").update(raw).digest("hex"));
  }

  /** An image's fingerprint is the SHA-256 of its tarball. */
  async #put(name: string, raw: Buffer | Readable, length: number, sha256: string): Promise<void> {
    try {
      if (!(await this.#client.find(`/1.0/images/${sha256}`))) {
        const headers = { "content-type": "application/octet-stream", "content-length": String(length), ...ownHeader("fingerprint", sha256) };
        await this.#client.change("POST", "/1.0/images", { raw, headers });
      }
      await this.#client.change("POST", "/1.0/images/aliases", { body: { name, target: sha256 } });
    } catch (error) {
      // Another process was first: its image is the same.
      if ((await this.#find(name)) !== sha256) throw error;
    }
  }
}

/** The project's own image as LXD's tarball. */
async function baseTarball(guest: Buffer): Promise<Buffer> {
  const tar = pack();
  const mtime = new Date(0);
  beginImage(tar, { description: baseImage, os: "zhengyun" });
  const file = (name: string, content: string | Buffer, mode = 0o644) => tar.entry({ name: `${root}/${name}`, mode, mtime }, content);
  tar.entry({ name: root, type: "directory", mode: 0o755, mtime });
  for (const folder of ["bin", "sbin", "etc", "etc/ssh", "var", "root", "proc", "sys", "dev", "tmp", "run", "mnt", "srv", "data"])
    tar.entry({ name: `${root}/${folder}`, type: "directory", mode: 0o755, mtime });
  file("sbin/init", guest, 0o755);
  file("etc/hosts", "127.0.0.1 localhost\n");
  file("etc/os-release", `NAME=Zhengyun\nID=zhengyun\nPRETTY_NAME="${baseImage}"\n`);
  for (const tool of baseTools) tar.entry({ name: `${root}/bin/${tool}`, type: "symlink", linkname: "/sbin/init", mtime });
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
