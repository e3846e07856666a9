/** `npm start`. */
import { readConfig, BadConfiguration } from "./config.ts";
import { createClient } from "./cli/client.ts";
import { readFileSync } from "node:fs";
import { startControlPlane } from "./server.ts";

let plane: Awaited<ReturnType<typeof startControlPlane>> | undefined;
let stopping = false;
async function stop(): Promise<void> {
  if (stopping) return;
  stopping = true;
  await plane?.close();
  process.exit(0);
}
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => void stop());

try {
  plane = await startControlPlane(readConfig(process.env));
  console.log(`政云 Zhengyun serves at ${plane.url}`);
  if (plane.firstStart) {
    const client = createClient({ url: plane.url, token: readFileSync(plane.tokenFile, "utf8").trim() });
    const link = await client.post<{ path: string }>("/api/v1/sessions/links", {});
    console.log(`First start: the operator's token lies in ${plane.tokenFile} (the CLI finds it there).`);
    console.log(`Sign in once: ${plane.url}${link.path}`);
  }
  // Until there is an account; each start makes the link before void.
  if (plane.bootstrapPath) console.log(`The first administrator chooses name and password once, within a day: ${plane.url}${plane.bootstrapPath}`);
} catch (error) {
  const { name, message, code } = error as NodeJS.ErrnoException;
  if (code === "EADDRINUSE") console.error(`The port is in use: ${message}. Set PORT to another one.`);
  else if (error instanceof BadConfiguration || ["DirectoryInUse", "EngineMissing", "MasterKeyError", "RestoreRefused"].includes(name)) console.error(message);
  else console.error(error);
  process.exit(1);
}
