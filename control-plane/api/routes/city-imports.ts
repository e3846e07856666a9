import { City, CityImport } from "../../contract/city.ts";
import { importCity } from "../../store/city.ts";
import type { App, AppDeps } from "../deps.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { defineRoute, jsonAnswer, jsonBody } from "../route.ts";

const create = defineRoute({
  method: "post",
  path: "/api/v1/city-imports",
  tags: ["city-imports"],
  summary: "Import a whole city, all or nothing; may be repeated",
  request: { body: jsonBody(City) },
  responses: { 200: jsonAnswer(CityImport, "Imported") },
});

export function registerCityImports(app: App, deps: AppDeps): void {
  app.openapi(create, (c) =>
    idempotent(c, deps, async (tx) => {
      const context = { principal: c.get("principal"), seal: deps.seal, defaultEndpoint: deps.defaultEndpoint };
      return { status: 200, body: await importCity(tx, c.get("act"), c.req.valid("json"), context) };
    }),
  );
}
