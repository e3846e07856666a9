/** Which folder may import which (docs/design: allowed imports). The first rule whose `from` fits a file holds for it. */
export interface Layer {
  /** Files that the rule is for: a path or a folder. */
  from: string;
  /** What they may import beside their own folder; npm packages and Node's modules are named in `packages`. */
  to: string[];
  /** npm packages allowed; absent: all. */
  packages?: string[];
}

const shared = ["infra/spec.ts"];
const approval = "infra/approval.ts";

export const layers: Layer[] = [
  { from: "infra/spec.ts", to: [], packages: ["zod"] },
  { from: approval, to: shared },
  { from: "infra/operations.ts", to: [...shared, approval], packages: ["zod"] },
  { from: "infra/naming.ts", to: shared },
  { from: "infra/watchdog.ts", to: [] },
  { from: "infra/engine", to: [] },
  { from: "infra/drivers", to: ["infra/spec.ts", "infra/engine"] },
  { from: "infra/provider", to: ["infra/spec.ts", approval, "infra/drivers", "infra/naming.ts", "infra/watchdog.ts", "infra/resources/tokens.ts"] },
  { from: "infra/resources", to: ["infra/spec.ts", "infra/naming.ts"] },
  { from: "infra/components", to: ["infra/resources", "infra/spec.ts", "infra/naming.ts"] },
  { from: "infra/program.ts", to: ["infra/components", "infra/resources", "infra/spec.ts", "infra/naming.ts"] },
  // stack, worker, its client and what they share: the engine room itself.
  { from: "infra", to: ["infra"] },

  { from: "control-plane/contract", to: [], packages: ["zod"] },
  { from: "control-plane/domain", to: ["control-plane/contract", ...shared, "infra/operations.ts"] },
  {
    from: "control-plane/store",
    to: ["control-plane/domain", "control-plane/contract", ...shared, approval, "infra/operations.ts", "control-plane/state/schema.ts"],
  },
  { from: "control-plane/audit", to: ["control-plane/store"] },
  { from: "control-plane/state", to: ["control-plane/store", "control-plane/domain", "control-plane/audit", "control-plane/contract"] },
  {
    from: "control-plane/system",
    to: ["control-plane/store", "control-plane/state", "control-plane/domain", "control-plane/contract", "infra/drivers/fault.ts"],
  },
  {
    from: "control-plane/api",
    to: ["control-plane/domain", "control-plane/store", "control-plane/audit", "control-plane/contract", "control-plane/jobs/queue.ts"],
  },
  {
    from: "control-plane/jobs",
    to: [
      "control-plane/domain",
      "control-plane/store",
      "control-plane/audit",
      "control-plane/contract",
      "control-plane/state/index.ts",
      "control-plane/system/index.ts",
      "control-plane/observe",
      approval,
      "infra/operations.ts",
      ...shared,
      "infra/drivers/driver.ts",
      "infra/drivers/load.ts",
      "infra/drivers/fault.ts",
    ],
  },
  { from: "control-plane/notify", to: ["control-plane/store", "control-plane/domain", "control-plane/contract"] },
  { from: "control-plane/observe", to: ["infra/drivers", "control-plane/domain", "control-plane/store", "control-plane/contract", ...shared] },
  // Carries people's terminals: beside jobs and the observer the only one that speaks with drivers (docs/decisions/0025).
  {
    from: "control-plane/shell",
    to: ["control-plane/store", "control-plane/contract", "infra/drivers/driver.ts"],
  },
  { from: "control-plane/schedules", to: ["control-plane/store", "control-plane/jobs/queue.ts", "control-plane/domain"] },
  // The commands that work without a control plane (system verify, system restore) are the only ones that look into it.
  {
    from: "control-plane/cli/commands/system-keys.ts",
    to: ["control-plane/cli", "control-plane/contract", "control-plane/system/index.ts", "control-plane/config.ts"],
  },
  {
    from: "control-plane/cli/commands/system.ts",
    to: ["control-plane/cli", "control-plane/contract", "control-plane/system/index.ts", "control-plane/config.ts"],
  },
  // The verifier recomputes the chain with the very functions that made it, and nothing else of the control plane.
  {
    from: "control-plane/cli/commands/audit.ts",
    to: ["control-plane/cli", "control-plane/contract", "control-plane/audit/verify.ts", "control-plane/audit/chain.ts"],
  },
  // Images are built where the CLI runs, in the form that the driver takes.
  { from: "control-plane/cli/commands/image.ts", to: ["control-plane/cli", "control-plane/contract", "infra/drivers/lxd/debian.ts"] },
  { from: "control-plane/cli", to: ["control-plane/contract"] },
  { from: "control-plane/config.ts", to: ["control-plane/domain/client-address.ts"] },
  { from: "control-plane/metrics.ts", to: ["control-plane/store", "control-plane/domain", "control-plane/contract"] },
  // Composition roots.
  { from: "control-plane/main.ts", to: ["control-plane", "infra"] },
  { from: "control-plane/server.ts", to: ["control-plane", "infra"] },
  { from: "control-plane/demo.ts", to: ["control-plane", "infra"] },

  {
    from: "console/components",
    to: [
      "console/events",
      "console/locales",
      "console/paths.ts",
      "console/format.ts",
      "console/styles.ts",
      "control-plane/contract",
      "control-plane/domain/lifecycle.ts",
    ],
  },
  { from: "console/client", to: ["console/paths.ts", "control-plane/contract", "control-plane/api/app.ts"] },
  { from: "console", to: ["console", "control-plane/contract", "control-plane/domain/lifecycle.ts"] },
];
