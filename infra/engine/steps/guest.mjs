/**
 * The Go program of the embedded driver's host image (`infra/drivers/embedded/guest`), built once per state of its sources.
 */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { findArtefact, makeArtefact } from "./artefact.mjs";
import { goBuild } from "./golang.mjs";
import { cacheDirectory, digest, projectRoot } from "./paths.mjs";

/** The guest's Go module. */
export const guestModule = path.join(projectRoot, "infra/drivers/embedded/guest");

/**
 * Path of the built program for the sources as they are now.
 *
 * @param {{ env?: NodeJS.ProcessEnv, module?: string }} [options]
 * @returns {Promise<string>}
 * @throws where it has not been built yet: `npm run setup` (or `provideGuest`) does
 */
export async function findGuest({ env = process.env, module = guestModule } = {}) {
  const found = await findArtefact(guestDirectory(env, module), "zyguest");
  if (!found) throw new Error("The host image's program is not built yet. Run `npm run setup` once.");
  return found.file;
}

/**
 * Path of the built program; builds it (seconds) where needed. Undefined where the module does not exist.
 *
 * @param {{ env?: NodeJS.ProcessEnv, module?: string, thorough?: boolean, onStatus?: (status: string) => void }} [options]
 * @returns {Promise<string | undefined>}
 */
export async function provideGuest({ env = process.env, module = guestModule, thorough, onStatus } = {}) {
  if (!existsSync(path.join(module, "go.mod"))) return undefined;
  const made = await makeArtefact(
    guestDirectory(env, module),
    "zyguest",
    async (output) => {
      await goBuild({ module, package: ".", output, env, onStatus });
      return "go";
    },
    { thorough, onWait: (pid) => onStatus?.(`waiting for another set-up (process ${pid})`) },
  );
  return made.file;
}

/** @param {NodeJS.ProcessEnv} env @param {string} module */
function guestDirectory(env, module) {
  return path.join(cacheDirectory(env), "guest", `${digestOfFiles([module]).slice(0, 16)}-${process.arch}`);
}

/**
 * One digest of files, or of all files in directories, by name and content.
 *
 * @param {string[]} places absolute paths; those that don't exist count as absent
 * @param {(file: string) => boolean} [wanted]
 */
export function digestOfFiles(places, wanted = () => true) {
  const files = places.flatMap(filesIn).filter(wanted).sort();
  return digest(files.map((file) => `${path.relative(projectRoot, file)} ${digest(readFileSync(file))}\n`).join(""));
}

/** @param {string} place @returns {string[]} */
function filesIn(place) {
  if (!existsSync(place)) return [];
  try {
    return readdirSync(place, { withFileTypes: true }).flatMap((entry) => filesIn(path.join(place, entry.name)));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOTDIR") return [place];
    throw error;
  }
}
