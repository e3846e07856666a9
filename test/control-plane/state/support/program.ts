/** Programs of things. */
import { ComponentResource, CustomResource, secret } from "@pulumi/pulumi";
import type { PulumiFn } from "@pulumi/pulumi/automation/index.js";

/** What a program wants; see things.ts. */
export interface Thing {
  name: string;
  value?: string;
  kind?: string;
  secret?: string;
  delayMs?: number;
  fail?: string;
  /** Names of things before it. */
  after?: string[];
  protect?: boolean;
  aliases?: string[];
  /** Puts it under a component of this name. */
  group?: string;
}

class Resource extends CustomResource {}

class Group extends ComponentResource {
  constructor(name: string) {
    super("things:index:Group", name);
  }
}

/** A program of things; those that are named by others come first. */
export function program(things: Thing[]): PulumiFn {
  return async () => {
    const made = new Map<string, Resource>();
    const groups = new Map<string, Group>();
    for (const { after = [], protect, aliases, group, ...inputs } of things) {
      if (group && !groups.has(group)) groups.set(group, new Group(group));
      const properties = { value: "1", ...inputs, ...(inputs.secret && { secret: secret(inputs.secret) }) };
      const options = {
        dependsOn: after.map((name) => made.get(name)!),
        ...(protect && { protect }),
        ...(aliases && { aliases: aliases.map((name) => ({ name })) }),
        ...(group && { parent: groups.get(group)! }),
      };
      made.set(inputs.name, new Resource("things:index:Thing", inputs.name, properties, options));
    }
  };
}
