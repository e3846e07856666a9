import { defineCommand } from "citty";
import type { StackOperation } from "../../contract/stacks.ts";
import { json } from "../arguments.ts";
import { clientFromEnvironment } from "../client.ts";
import { show, showOne } from "../output.ts";
import { waitFor } from "../wait.ts";

const path = "/api/v1/stack-operations";

export const stack = defineCommand({
  meta: { name: "stack", description: "A department's Pulumi stack" },
  subCommands: {
    preview: defineCommand({
      meta: { name: "preview", description: "What the next apply would do, by a real Pulumi preview" },
      args: { department: { type: "positional", required: true, description: "Id or code" }, json },
      async run({ args }) {
        const client = clientFromEnvironment();
        const made = await client.post<StackOperation>(path, { department: args.department, kind: "preview" });
        const done = await waitFor(
          () => client.get<StackOperation>(`${path}/${made.id}`),
          (one) => one.state === "complete" || one.state === "failed",
        );
        if (args.json) return showOne(done, true);
        if (done.error) {
          console.error(done.error);
          process.exitCode = 1;
          return;
        }
        const steps = done.steps.filter((step) => step.action !== "same");
        if (steps.length === 0) return console.log(`No changes: ${done.steps.length} resources are as they should be.`);
        show(
          steps,
          [
            { title: "step", value: (row) => row.action },
            { title: "kind", value: (row) => row.kind },
            { title: "name", value: (row) => row.name },
            { title: "changes", value: (row) => row.changes.map((change) => change.path).join(", ") },
          ],
          false,
        );
      },
    }),
  },
});
