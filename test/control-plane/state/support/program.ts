/** Programs of things. */
import { ComponentResource, CustomResource, type Inputs, secret, StackReference } from "@pulumi/pulumi";
import type { PulumiFn } from "@pulumi/pulumi/automation/index.js";

/** What a program wants; see things.ts. */
export interface Thing {
  name: string;
  value?: string;
  kind?: string;
  secret?: string;
  delayMs?: number;
  fail?: string;
  stuck?: string;
  /** Names of things before it. */
  after?: string[];
  protect?: boolean;
  aliases?: string[];
  /** Puts it under a component of this name. */
  group?: string;
  /** Takes over what exists by this id. */
  import?: string;
  /** Makes its inputs an output of the stack, by its name. */
  exported?: boolean;
  /** Its value is another stack's output. */
  reads?: { stack: string; output: string };
}

class Resource extends CustomResource {}

function outputOf({ stack, output }: { stack: string; output: string }) {
  return new StackReference(stack).requireOutput(output).apply((exported) => (exported as { value: string }).value);
}

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
    const outputs: Inputs = {};
    for (const { after = [], protect, aliases, group, import: existing, exported, reads, ...inputs } of things) {
      if (group && !groups.has(group)) groups.set(group, new Group(group));
      const properties = { value: "1", ...inputs, ...(reads && { value: outputOf(reads) }), ...(inputs.secret && { secret: secret(inputs.secret) }) };
      const options = {
        dependsOn: after.map((name) => made.get(name)!),
        ...(protect && { protect }),
        ...(aliases && { aliases: aliases.map((name) => ({ name })) }),
        ...(group && { parent: groups.get(group)! }),
        ...(existing && { import: existing }),
      };
      made.set(inputs.name, new Resource("things:index:Thing", inputs.name, properties, options));
      if (exported) outputs[inputs.name] = properties;
    }
    return outputs;
  };
}
