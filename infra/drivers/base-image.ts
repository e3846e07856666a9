/** The project's own image: one static program that is init and a few tools. Each driver packs it in its own way. */
export const baseImage = "zhengyun-base-1";
export const baseTools = [
  "true",
  "false",
  "echo",
  "cat",
  "ls",
  "mkdir",
  "rm",
  "write",
  "sha256sum",
  "hostname",
  "id",
  "sleep",
  "burn",
  "eat",
  "allocate",
  "tty",
  "sh",
];
