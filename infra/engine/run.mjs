/**
 * `node infra/engine/run.mjs ENTRY [argument …]`: sets up what is missing, then runs ENTRY under the project's Node.
 */
import { launch } from "./steps/launch.mjs";
import { setUp } from "./setup.mjs";

const [entry, ...args] = process.argv.slice(2);
if (entry === undefined) {
  console.error("usage: node infra/engine/run.mjs ENTRY [argument ...]");
  process.exit(2);
}
try {
  await setUp();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
process.exitCode = await launch(entry, args);
