/** An image as LXD takes it (its unified format): metadata.yaml, templates and the root file system in one tarball. */
import type { Pack } from "tar-stream";
import { key } from "./names.ts";

/** What the server writes into an instance from its own settings, at every start: file → setting. */
const templates = { "/etc/hostname": "hostname", "/etc/ssh/authorized_keys": "keys" };
const architecture = { x64: "x86_64", arm64: "aarch64" }[process.arch as "x64" | "arm64"];

/** Where the root file system lies in the tarball. */
export const root = "rootfs";

/** Writes what comes before the root file system. @param properties such as os and release @param made seconds since 1970 */
export function beginImage(tar: Pack, properties: Record<string, string>, made = 1): void {
  const metadata = {
    architecture,
    creation_date: made,
    properties: { architecture, ...properties },
    templates: Object.fromEntries(Object.entries(templates).map(([path, name]) => [path, { when: ["create", "start"], template: `${name}.tpl` }])),
  };
  const mtime = new Date(made * 1000);
  // JSON is YAML.
  tar.entry({ name: "metadata.yaml", mode: 0o644, mtime }, JSON.stringify(metadata));
  for (const name of Object.values(templates)) tar.entry({ name: `templates/${name}.tpl`, mode: 0o644, mtime }, `{{ config_get("${key(name)}", "") }}\n`);
}
