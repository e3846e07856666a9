/** Where things lie below an endpoint, and how ids are made. */
import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";

export interface Paths {
  endpoint: string;
  /** Names the endpoint in the kernel (cgroups, markers). */
  key: string;
  locks: string;
  kind(kind: Kind): string;
  of(kind: Kind, name: string): string;
  record(kind: Kind, name: string): string;
}
export type Kind = "host" | "volume" | "attachment" | "backup-policy" | "backup";
export const kinds: readonly Kind[] = ["host", "volume", "attachment", "backup-policy", "backup"];

export function pathsOf(endpoint: string): Paths {
  const kind = (one: Kind) => join(endpoint, one === "backup-policy" ? "policies" : `${one}s`);
  const of = (one: Kind, name: string) => join(kind(one), safe(name));
  return {
    endpoint,
    key: createHash("sha256").update(endpoint).digest("hex").slice(0, 16),
    locks: join(endpoint, "locks"),
    kind,
    of,
    record: (one, name) => join(of(one, name), "record.json"),
  };
}

/** Names come from the control plane; a path separator in one is a programming error that must not reach the file system. */
function safe(name: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) throw new Error(`not a name: ${JSON.stringify(name)}`);
  return name;
}

/** `<name>.<generation>`: a generation is never used again. */
export const newId = (name: string): string => `${name}.${Date.now().toString(36)}${randomBytes(4).toString("hex")}`;
export const nameOf = (id: string): string => id.slice(0, id.lastIndexOf("."));
