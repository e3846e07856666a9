import { defineCommand } from "citty";
import type { StackUpdate } from "../../contract/stack-updates.ts";
import type { StackOperation } from "../../contract/stacks.ts";
import { json } from "../arguments.ts";
import { clientFromEnvironment } from "../client.ts";
import { show, showOne } from "../output.ts";
import { waitFor } from "../wait.ts";

const path = "/api/v1/stack-operations";

const look = (kind: "preview" | "refresh", description: string, nothing: (resources: number) => string) =>
  defineCommand({
    meta: { name: kind, description },
    args: { department: { type: "positional", required: true, description: "Id or code" }, json },
    async run({ args }) {
      const client = clientFromEnvironment();
      const made = await client.post<StackOperation>(path, { department: args.department, kind });
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
      const steps = done.steps.filter((step) => step.action !== "same" && (step.action !== "refresh" || step.changes.length > 0));
      if (steps.length === 0) return console.log(nothing(done.steps.length));
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
  });

const history = defineCommand({
  meta: { name: "history", description: "Each run of the engine that could change the stack, newest first" },
  args: { department: { type: "positional", required: true, description: "Id or code" }, json },
  async run({ args }) {
    const rows: StackUpdate[] = [];
    for await (const row of clientFromEnvironment().all<StackUpdate>("/api/v1/stack-updates", { department: args.department })) rows.push(row);
    show(
      rows,
      [
        { title: "id", value: (row) => row.id },
        { title: "kind", value: (row) => row.kind },
        { title: "state", value: (row) => row.state },
        { title: "version", value: (row) => String(row.version ?? "") },
        {
          title: "changes",
          value: (row) =>
            Object.entries(row.changes ?? {})
              .map(([kind, count]) => `${count} ${kind}`)
              .join(", "),
        },
        { title: "ended", value: (row) => row.finishedAt ?? "" },
        { title: "reason", value: (row) => row.reason ?? "" },
      ],
      args.json,
    );
  },
});

export const stack = defineCommand({
  meta: { name: "stack", description: "A department's Pulumi stack" },
  subCommands: {
    history,
    preview: look("preview", "What the next apply would do, by a real Pulumi preview", (count) => `No changes: ${count} resources are as they should be.`),
    refresh: look("refresh", "Reads what is really there into Pulumi's state", (count) => `No drift: ${count} resources are as Pulumi knew them.`),
  },
});
