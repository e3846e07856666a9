/** A control plane to be killed: starts an engine worker and an operation, and tells its parent their PIDs. */
import { Operation } from "../../infra/operations.ts";
import { startEngine } from "../../infra/worker-client.ts";

const { operation, root, directory, drivers } = JSON.parse(process.argv[2]!);
const engine = await startEngine({ engineRoot: root, directory, drivers });
void engine.run(Operation.parse(operation), (progress) => {
  if (progress.type === "step-started") process.send?.({ worker: engine.processes().worker, engine: engine.processes().engines[0]?.pid });
});
