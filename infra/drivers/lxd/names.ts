/** What things are called on the server. LXD allows no underscore in names. */
import { createHash, randomBytes } from "node:crypto";

/** `hst_01j…` ↔ `hst-01j…` */
export const lxdName = (name: string): string => name.replace("_", "-");
export const nameOfLxd = (name: string): string => name.replace("-", "_");

/** A department's project. Scopes are ids; what isn't one gets a name of its own. */
export const projectOf = (scope: string): string =>
  /^[a-z]{3}_[0-9a-z]{26}$/.test(scope) ? `zy-${lxdName(scope)}` : `zy-${createHash("sha256").update(scope).digest("hex").slice(0, 20)}`;

export const isOurs = (project: string): boolean => project.startsWith("zy-");

/** `<name>.<generation>`: a generation is never used again. */
export const newId = (name: string): string => `${name}.${Date.now().toString(36)}${randomBytes(4).toString("hex")}`;
export const nameOf = (id: string): string => id.slice(0, id.lastIndexOf("."));

/** Our own keys on the server's things. */
export const key = (name: string): string => `user.zhengyun.${name}`;
