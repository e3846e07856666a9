import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { matchesLock } from "../../infra/engine/steps/dependencies.mjs";
import { projectRoot } from "../../infra/engine/steps/paths.mjs";

interface Locked {
  version?: string;
  optionalDependencies?: Record<string, string>;
}
const lock: Record<string, Locked> = JSON.parse(readFileSync(path.join(projectRoot, "package-lock.json"), "utf8")).packages;
const runtime = `node_modules/node-linux-${process.arch}`;

describe("package-lock.json", () => {
  it("names every optional package with its version, as npm ci refuses a lock that leaves out what a registry lacks", () => {
    const optional = Object.values(lock).flatMap((locked) => Object.keys(locked.optionalDependencies ?? {}));
    expect(optional.length).toBeGreaterThan(100);
    const missing = optional.filter((name) => !Object.entries(lock).some(([place, locked]) => place.endsWith(`node_modules/${name}`) && locked.version));
    expect(missing).toEqual([]);
  });

  it("names no registry, so that any mirror will do", () => {
    expect(Object.values(lock).filter((locked) => "resolved" in locked)).toEqual([]);
  });
});

describe("matchesLock", () => {
  const wanted = {
    "": { version: "1.0.0" },
    "node_modules/a": { version: "1.0.0", integrity: "x" },
    "node_modules/mac-only": { version: "2.0.0", optional: true },
    [runtime]: { version: "24.0.0", optional: true },
  };
  const installed = { "node_modules/a": wanted["node_modules/a"], [runtime]: wanted[runtime]! };

  it("accepts what npm installed, without the packages of other platforms", () => {
    expect(matchesLock(wanted, installed)).toBe(true);
  });

  it.each([
    ["nothing is installed", undefined],
    ["a package is missing", { [runtime]: wanted[runtime]! }],
    ["a package has another version", { ...installed, "node_modules/a": { version: "1.0.1", integrity: "x" } }],
    ["a package has other content", { ...installed, "node_modules/a": { version: "1.0.0", integrity: "y" } }],
    ["the runtime was left out", { "node_modules/a": wanted["node_modules/a"] }],
    ["a package is left over", { ...installed, "node_modules/old": { version: "1.0.0" } }],
  ])("refuses when %s", (_, present) => {
    expect(matchesLock(wanted, present)).toBe(false);
  });
});
