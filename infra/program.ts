import type { PulumiFn } from "@pulumi/pulumi/automation/index.js";
import { DepartmentEstate } from "./components/department-estate.ts";
import { normaliseSpec, type DepartmentSpec } from "./spec.ts";

/** The Pulumi program that makes a department what its spec says. A pure function: no clock, no I/O, no randomness. */
export function departmentProgram(spec: DepartmentSpec): PulumiFn {
  return async () => {
    // eslint-disable-next-line no-new -- a Pulumi resource registers itself
    new DepartmentEstate(normaliseSpec(spec));
  };
}
