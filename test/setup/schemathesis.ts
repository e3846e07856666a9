/** Schemathesis (PyPI), which fuzzes the API from its own OpenAPI document: in a virtual environment of the project's own. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

const version = "4.32.5";

/** Path of the schemathesis program; installed at the first call (about half a minute). @throws Error when pip cannot */
export function installSchemathesis(): string {
  const directory = resolve(import.meta.dirname, "../../.cache/schemathesis", version);
  const program = join(directory, "bin/schemathesis");
  const works = () => existsSync(program) && spawnSync(program, ["--version"]).status === 0;
  if (works()) return program;
  console.log(`Installing schemathesis ${version}`);
  const run = (command: string, ...args: string[]) => spawnSync(command, args, { stdio: ["ignore", "ignore", "inherit"] }).status === 0;
  if (
    !run("python3", "-m", "venv", "--clear", directory) ||
    !run(join(directory, "bin/pip"), "install", "--quiet", "--disable-pip-version-check", `schemathesis==${version}`) ||
    !works()
  ) {
    throw new Error("schemathesis could not be installed from PyPI");
  }
  return program;
}
