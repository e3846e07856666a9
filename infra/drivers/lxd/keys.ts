/** SSH keys of a host that is there: cloud-init reads them at the first boot only, so later ones are written into the file that sshd reads. */
import { NotFound } from "../driver.ts";
import type { LxdClient } from "./client.ts";

const folder = "/root/.ssh";
const file = `${folder}/authorized_keys`;
/** In images of ours: written by the server from the host's settings at each start, and nobody else's. */
const ownFile = "/etc/ssh/authorized_keys";
const [begin, end] = ["# zhengyun: keys by request", "# zhengyun: end"];

/** The file with `keys` in it instead of `before`; lines of others stay. Pure. */
export function withKeys(content: string, before: readonly string[], keys: readonly string[]): string {
  const lines = content.split("\n").filter((line) => line !== "");
  const from = lines.indexOf(begin);
  const to = lines.indexOf(end, from);
  const others = from === -1 || to === -1 ? lines : lines.toSpliced(from, to - from + 1);
  // Those of the first boot stand among the others.
  const kept = others.filter((line) => !before.includes(line.trim()));
  return [...kept, ...(keys.length === 0 ? [] : [begin, ...keys, end]), ""].join("\n");
}

/** Twice does no harm. Works on a container that is stopped too. @param path of the instance */
export async function writeKeys(
  client: LxdClient,
  { path, project }: { path: string; project: string },
  before: readonly string[],
  keys: readonly string[],
): Promise<void> {
  const [content, own] = await Promise.all([read(client, path, project, file), read(client, path, project, ownFile)]);
  const put = (at: string, type: "file" | "directory", mode: string, raw: Buffer) =>
    client.change("POST", `${path}/files`, { project, query: { path: at }, raw, headers: owned(type, mode) });
  // A key that was taken away must not work until the next start.
  if (own !== undefined) await put(ownFile, "file", "0644", Buffer.from(keys.map((key) => `${key}\n`).join("")));
  if (content === undefined) await put(folder, "directory", "0700", Buffer.alloc(0));
  await put(file, "file", "0600", Buffer.from(withKeys(content ?? "", before, keys)));
}

/** LXD's names of these headers, and Incus'. */
const owned = (type: string, mode: string): Record<string, string> =>
  Object.fromEntries(
    ["X-LXD-", "X-Incus-"].flatMap((prefix) =>
      Object.entries({ uid: "0", gid: "0", mode, type, write: "overwrite" }).map(([name, value]) => [`${prefix}${name}`, value]),
    ),
  );

async function read(client: LxdClient, path: string, project: string, at: string): Promise<string | undefined> {
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of await client.stream(`${path}/files`, { project, query: { path: at } })) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString();
  } catch (error) {
    if (error instanceof NotFound) return undefined;
    throw error;
  }
}
