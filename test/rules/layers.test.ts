import { execFileSync } from "node:child_process";
import { resolve } from "node:path";
import { cruise, type ICruiseResult } from "dependency-cruiser";
import { beforeAll, describe, expect, it } from "vitest";
import { layers } from "./layers.ts";

const root = resolve(import.meta.dirname, "../..");
const within = (path: string, folder: string) => path === folder || path.startsWith(`${folder}/`);
/** The folder that a file may import from freely: the rule's own, where it is one. */
const ruleOf = (path: string) => layers.find((layer) => within(path, layer.from));

describe("layers", () => {
  let result: ICruiseResult;
  const sources = execFileSync("git", ["ls-files", "infra/**.ts", "control-plane/**.ts", "console/**.ts"], { cwd: root, encoding: "utf8" })
    .split("\n")
    .filter((path) => path !== "" && !path.endsWith(".d.ts"));

  beforeAll(async () => {
    const { output } = await cruise(["infra", "control-plane", "console"], {
      baseDir: root,
      parser: "swc",
      tsPreCompilationDeps: true,
      doNotFollow: { path: "node_modules" },
      exclude: { path: "console/dist" },
      enhancedResolveOptions: { extensions: [".ts", ".mts", ".mjs", ".js"], exportsFields: ["exports"], conditionNames: ["node", "import", "default"] },
    });
    result = output as ICruiseResult;
  }, 120_000);

  it("looked at every source file, and saw imports", () => {
    const seen = new Set(result.modules.map((module) => module.source));
    expect(sources.filter((path) => !seen.has(path))).toEqual([]);
    expect(result.modules.flatMap((module) => module.dependencies).length).toBeGreaterThan(sources.length);
  });

  it("every file belongs to a layer", () => {
    expect(
      sources.filter((path) => !ruleOf(path)),
      "add the folder to test/rules/layers.ts",
    ).toEqual([]);
  });

  it("imports only what its layer may", () => {
    const wrong = result.modules
      .filter((module) => sources.includes(module.source))
      .flatMap((module) => {
        const rule = ruleOf(module.source);
        if (!rule) return [];
        return module.dependencies.flatMap((dependency) => {
          if (dependency.coreModule) return rule.packages ? [`${module.source} imports ${dependency.module}: allowed are ${rule.packages.join(", ")}`] : [];
          if (dependency.dependencyTypes.some((type) => type.startsWith("npm"))) {
            return rule.packages && !rule.packages.some((name) => dependency.module === name || dependency.module.startsWith(`${name}/`))
              ? [`${module.source} imports ${dependency.module}: allowed are ${rule.packages.join(", ")}`]
              : [];
          }
          const allowed = [rule.from, ...rule.to].some((folder) => within(dependency.resolved, folder));
          return allowed
            ? []
            : [`${module.source} imports ${dependency.resolved}: move it, or pass it in from main.ts; allowed are ${rule.to.join(", ") || "nothing"}`];
        });
      });
    expect(wrong).toEqual([]);
  });
});
