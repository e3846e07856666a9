/** Pulumi's package schema, generated from the resource definitions; `schema.json` is its committed copy. */
import { z } from "zod";
import { PACKAGE, VERSION } from "../naming.ts";
import type { Definition } from "./definition.ts";
import { DEFINITIONS } from "./definitions.ts";

interface Node {
  type?: string;
  description?: string;
  default?: unknown;
  enum?: unknown[];
  items?: Node;
  properties?: Record<string, Node>;
  required?: string[];
}

const capitalised = (text: string) => text[0]!.toUpperCase() + text.slice(1);

/** One property as Pulumi's schema says it; objects become types of their own, which are added to `types`. */
function property(name: string, node: Node, types: Record<string, unknown>): Record<string, unknown> {
  const about = node.description ? { description: node.description } : {};
  const initial = ["string", "number", "boolean"].includes(typeof node.default) ? { default: node.default } : {};
  if (node.type === "array") return { type: "array", items: property(name.replace(/s$/, ""), node.items ?? {}, types), ...about };
  if (node.type === "object") {
    const token = `${PACKAGE}:index:${capitalised(name)}`;
    types[token] = { type: "object", properties: properties(node, types), required: node.required ?? [] };
    return { $ref: `#/types/${token}`, ...about };
  }
  return { type: node.type ?? "string", ...about, ...initial };
}

function properties(node: Node, types: Record<string, unknown>, secrets: readonly string[] = []) {
  return Object.fromEntries(
    Object.entries(node.properties ?? {}).map(([name, child]) => [
      name,
      { ...property(name, child, types), ...(secrets.includes(name) ? { secret: true } : {}) },
    ]),
  );
}

function resource(definition: Definition, types: Record<string, unknown>) {
  const asked = z.toJSONSchema(definition.inputs, { io: "input" }) as Node;
  const given = z.toJSONSchema(definition.inputs.omit(Object.fromEntries(definition.secrets.map((key) => [key, true]))).extend(definition.outputs.shape), {
    io: "output",
  }) as Node;
  return {
    description: definition.description,
    inputProperties: properties(asked, types, definition.secrets),
    requiredInputs: asked.required ?? [],
    properties: properties(given, types),
    required: given.required ?? [],
  };
}

export function generateSchema() {
  const types: Record<string, unknown> = {};
  const resources = Object.fromEntries([...DEFINITIONS].map(([token, definition]) => [token, resource(definition, types)]));
  return {
    name: PACKAGE,
    version: VERSION,
    description: "Hosts, volumes, attachments and backup policies of a government cloud.",
    license: "Apache-2.0",
    types,
    resources,
  };
}

/** The text of `schema.json`. */
export const schemaText = () => `${JSON.stringify(generateSchema(), null, 2)}\n`;
