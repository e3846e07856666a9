/** Named images: root file systems that the project makes itself from its one static program. */
import { cpSync, existsSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { baseImage, baseTools } from "../base-image.ts";
import { UnknownImage } from "../driver.ts";
import { namesIn, removeTree } from "../files.ts";

/** The image's directory; the project's own is made at the first use. @throws UnknownImage that lists the images there are */
export function imageDirectory(endpoint: string, name: string, guest: string): string {
  const images = join(endpoint, "images");
  const directory = join(images, name);
  if (name === baseImage && !existsSync(directory)) makeBase(images, directory, guest);
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name) || !existsSync(directory)) {
    throw new UnknownImage(`There is no image ${name} here; there are: ${[...new Set([baseImage, ...namesIn(images)])].join(", ")}.`);
  }
  return directory;
}

function makeBase(images: string, directory: string, guest: string): void {
  const fresh = join(images, `.${baseImage}.${process.pid}.tmp`);
  removeTree(fresh);
  for (const folder of ["bin", "sbin", "etc", "var", "root", "proc", "dev", "tmp", "run", "mnt", "srv", "data"])
    mkdirSync(join(fresh, folder), { recursive: true, mode: 0o755 });
  cpSync(guest, join(fresh, "sbin/init"));
  for (const tool of baseTools) symlinkSync("/sbin/init", join(fresh, "bin", tool));
  try {
    renameSync(fresh, directory);
  } catch (error) {
    // Another process was first: its image is the same.
    removeTree(fresh);
    if (!existsSync(directory)) throw error;
  }
}

/** A host's own /etc and /var. */
export function writeOwnFiles(directory: string, hostname: string, sshKeys: string[]): void {
  for (const folder of ["etc/ssh", "var", "root"]) mkdirSync(join(directory, folder), { recursive: true, mode: 0o755 });
  writeFileSync(join(directory, "etc/hostname"), `${hostname}\n`);
  writeFileSync(join(directory, "etc/hosts"), `127.0.0.1 localhost ${hostname}\n`);
  writeFileSync(join(directory, "etc/os-release"), `NAME=Zhengyun\nID=zhengyun\nPRETTY_NAME="${baseImage}"\n`);
  writeFileSync(join(directory, "etc/ssh/authorized_keys"), sshKeys.map((key) => `${key}\n`).join(""));
}
