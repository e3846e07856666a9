/**
 * Where a volume's content lies. As root with loop devices: an ext4 image, which it cannot outgrow; elsewhere a directory, whose size is only recorded.
 * Which one it is, each volume's own files say, so that an endpoint may hold both.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statfsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { DriverError } from "../driver.ts";
import { fault } from "../fault.ts";
import { removeTree, usedBytesOf } from "../files.ts";
import { guest } from "./guest.ts";
import { withLock } from "./lock.ts";
import type { Paths } from "./paths.ts";

const gib = 1024 ** 3;
/** A small ext4 with its journal. */
const probeBytes = 16 * 1024 ** 2;

/** Those who show a volume while its content is exchanged or grown. */
export interface Viewers {
  /** Takes the volume away from running hosts, does the work, and shows it again. */
  hidden(work: () => Promise<void>): Promise<void>;
  /** Stops the hosts that show it meanwhile: nobody may hold a file of it open. */
  stopped(work: () => Promise<void>): Promise<void>;
}

export interface Storage {
  /** Makes it empty; what a kill left half made is replaced. */
  make(sizeGib: number): Promise<void>;
  /** The directory with the content, there and mounted. */
  ready(): Promise<string>;
  grow(sizeGib: number, viewers: Viewers): Promise<void>;
  /** Puts a tar stream in the place of the content: all of it or nothing. */
  replace(tar: Readable, sizeGib: number, viewers: Viewers): Promise<void>;
  /** Lets go of it, so that its files can be removed. */
  release(): Promise<void>;
  /** Bytes that it really takes. */
  usedBytes(): Promise<number>;
  /** GiB that it is bounded to; undefined: it isn't; null: its content is gone. */
  sizeGib(): number | undefined | null;
}

/** @param directory of the volume; `enforced`: whether a new one can be an image */
export function storageAt(directory: string, enforced: boolean): Storage {
  const image = join(directory, "image");
  const data = join(directory, "data");
  return existsSync(image) || (enforced && !existsSync(data)) ? imageStorage(image, data) : directoryStorage(data);
}

function directoryStorage(data: string): Storage {
  return {
    make: async () => void mkdirSync(data, { recursive: true, mode: 0o755 }),
    ready: async () => data,
    grow: async () => undefined,
    replace: async (tar) => void (await guest(["restore", data], { input: tar })),
    release: async () => undefined,
    usedBytes: () => usedBytesOf(data),
    sizeGib: () => (existsSync(data) ? undefined : null),
  };
}

function imageStorage(image: string, data: string): Storage {
  const mount = (from: string, to: string) => guest(["image-mount", from, to]);
  const unmount = (from: string) => guest(["image-unmount", from]);
  return {
    async make(sizeGib) {
      mkdirSync(dirname(image), { recursive: true, mode: 0o700 });
      await unmount(data);
      await guest(["image-make", image, String(sizeGib * gib)]);
      fault("volume.create:image");
      await mount(image, data);
    },
    async ready() {
      await mount(image, data);
      return data;
    },
    async grow(sizeGib, viewers) {
      const bytes = String(sizeGib * gib);
      try {
        await guest(["image-grow", image, data, bytes]);
      } catch (error) {
        if (!(error instanceof DriverError) || !/operation not permitted/.test(error.message)) throw error;
        await viewers.stopped(async () => {
          await unmount(data);
          await guest(["image-grow-unmounted", image, bytes]);
          await mount(image, data);
        });
      }
    },
    async replace(tar, sizeGib, viewers) {
      const fresh = `${image}.new`;
      const beside = `${data}.new`;
      const drop = async () => {
        await unmount(beside);
        rmSync(fresh, { force: true });
        removeTree(beside);
      };
      try {
        await unmount(beside);
        await guest(["image-make", fresh, String(sizeGib * gib)]);
        await mount(fresh, beside);
        await guest(["extract", beside], { input: tar });
        await unmount(beside);
      } catch (error) {
        await drop();
        throw error;
      }
      fault("backup.restore:extracted");
      await viewers.hidden(async () => {
        await unmount(data);
        renameSync(fresh, image);
        fault("backup.restore:exchanged");
        await mount(image, data);
      });
      await drop();
    },
    async release() {
      await unmount(`${data}.new`);
      await unmount(data);
    },
    sizeGib: () => (existsSync(image) ? Math.round((statSync(image).size / gib) * 100) / 100 : null),
    async usedBytes() {
      // Not mounted after a restart of the machine until somebody needs it: then what the sparse file takes.
      if (!existsSync(data) || statSync(data).dev === statSync(dirname(data)).dev) return statSync(image).blocks * 512;
      const { blocks, bfree, bsize } = statfsSync(data);
      return (blocks - bfree) * bsize;
    },
  };
}

/** Why volumes of this endpoint cannot be images; undefined when they can. Found out by making one. */
export async function whyNoImages({ endpoint, locks }: Paths): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return "without root nothing can be mounted";
  return withLock(locks, "probe", async () => {
    // A kill may have left the last one.
    await removeProbe(endpoint);
    const { directory, image, data } = probeAt(endpoint);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    try {
      await guest(["image-make", image, String(probeBytes)]);
      await guest(["image-mount", image, data]);
      return undefined;
    } catch (error) {
      return (error as Error).message;
    } finally {
      await removeProbe(endpoint);
    }
  });
}

const probeAt = (endpoint: string) => {
  const directory = join(endpoint, "probe");
  return { directory, image: join(directory, "image"), data: join(directory, "data") };
};

export async function removeProbe(endpoint: string): Promise<void> {
  const { directory, data } = probeAt(endpoint);
  if (!existsSync(directory)) return;
  await guest(["image-unmount", data]);
  removeTree(directory);
}

const capSysResource = 24n;
/** ext4 grows while it is mounted only for who has CAP_SYS_RESOURCE. */
export function growsMounted(): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  return ((BigInt(`0x${effective}`) >> capSysResource) & 1n) === 1n;
}
