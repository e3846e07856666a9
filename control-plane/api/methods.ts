/** Which methods an address takes, from the routes of the OpenAPI document. */
import type { App } from "./deps.ts";

export function allowedMethods(app: App, path: string): string[] {
  const steps = path.split("/");
  const methods = app.openAPIRegistry.definitions.flatMap((definition) => {
    if (definition.type !== "route") return [];
    const pattern = definition.route.path.split("/");
    const fits = pattern.length === steps.length && pattern.every((step, index) => step === steps[index] || (step.startsWith("{") && steps[index] !== ""));
    return fits ? [definition.route.method.toUpperCase()] : [];
  });
  return methods.includes("GET") ? [...methods, "HEAD"] : methods;
}
