import { Catalogue } from "../../contract/catalogue.ts";
import { readCatalogue } from "../../store/catalogue.ts";
import type { App, AppDeps } from "../deps.ts";
import { defineRoute, jsonAnswer } from "../route.ts";

const read = defineRoute({
  method: "get",
  path: "/api/v1/catalogue",
  tags: ["catalogue"],
  summary: "Flavours and images that may be asked for",
  responses: { 200: jsonAnswer(Catalogue) },
});

export function registerCatalogue(app: App, deps: AppDeps): void {
  app.openapi(read, async (c) => c.json(await readCatalogue(deps.db)));
}
