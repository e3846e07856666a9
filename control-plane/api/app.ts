/** The whole API as one Hono app. Routes record what is wanted; none calls Pulumi or a driver. */
import { OpenAPIHono } from "@hono/zod-openapi";
import { bodyLimit } from "hono/body-limit";
import { createDenials } from "../audit/denials.ts";
import { Problem } from "../contract/problems.ts";
import { Refusal } from "../domain/refusal.ts";
import type { ApiEnv, App, AppDeps } from "./deps.ts";
import { allowedMethods } from "./methods.ts";
import { authentication } from "./middleware/authentication.ts";
import { correlation } from "./middleware/correlation.ts";
import { onError, onInvalid, problemResponse } from "./middleware/problems.ts";
import { problemAnswers } from "./route.ts";
import { registerApprovalPolicies } from "./routes/approval-policies.ts";
import { registerCalendars } from "./routes/calendars.ts";
import { registerDrift } from "./routes/drift.ts";
import { registerDelegations } from "./routes/delegations.ts";
import { registerNotices } from "./routes/notices.ts";
import { registerWebhooks } from "./routes/webhooks.ts";
import { registerInbox } from "./routes/inbox.ts";
import { registerRequestRecords } from "./routes/request-records.ts";
import { registerAccounts } from "./routes/accounts.ts";
import { registerOwnAccount } from "./routes/own-account.ts";
import { registerSignIn } from "./routes/sign-in.ts";
import { registerIdentityProviders } from "./routes/identity-providers.ts";
import { registerOidc } from "./routes/oidc.ts";
import { registerApplications } from "./routes/applications.ts";
import { registerAudit } from "./routes/audit.ts";
import { registerCatalogue } from "./routes/catalogue.ts";
import { registerImages } from "./routes/images.ts";
import { registerDepartments } from "./routes/departments.ts";
import { registerEvents } from "./routes/events.ts";
import { registerPools } from "./routes/pools.ts";
import { registerPriceBooks } from "./routes/price-books.ts";
import { registerProjects } from "./routes/projects.ts";
import { registerBackups } from "./routes/backups.ts";
import { registerCityImports } from "./routes/city-imports.ts";
import { registerConsole } from "./routes/console.ts";
import { registerDocumentation } from "./routes/documentation.ts";
import { registerQuotas } from "./routes/quotas.ts";
import { registerQuotaFindings } from "./routes/quota-findings.ts";
import { registerRequests } from "./routes/requests.ts";
import { registerResources } from "./routes/resources.ts";
import { registerSessions } from "./routes/sessions.ts";
import { registerRoleBindings } from "./routes/role-bindings.ts";
import { registerStackOperations } from "./routes/stack-operations.ts";
import { registerStackUpdates } from "./routes/stack-updates.ts";
import { registerSystem } from "./routes/system.ts";
import { registerSystemBackups } from "./routes/system-backups.ts";
import { registerKeyEscrows } from "./routes/key-escrows.ts";
import { registerUnknown } from "./routes/unknown.ts";
import { registerCorrections } from "./routes/corrections.ts";
import { registerSupervisionCards } from "./routes/supervision-cards.ts";
import { registerSupervisionRules } from "./routes/supervision-rules.ts";
import { registerTermPolicy } from "./routes/term-policy.ts";
import { registerMaintenanceWindows } from "./routes/maintenance-windows.ts";
import { registerTokens } from "./routes/tokens.ts";
import { registerUsage } from "./routes/usage.ts";
import { registerWhatIf } from "./routes/what-if.ts";

const mebibyte = 1024 * 1024;
const tooLarge = (limit: number) => ({
  maxSize: limit,
  onError: () => {
    throw new Refusal("payload-too-large", `The body is larger than ${limit / mebibyte} MiB.`);
  },
});

export function createApp(deps: AppDeps): App {
  const app: App = new OpenAPIHono<ApiEnv>({ defaultHook: onInvalid });
  app.openAPIRegistry.registerComponent("securitySchemes", "bearer", { type: "http", scheme: "bearer" });
  app.openAPIRegistry.registerComponent("securitySchemes", "session", { type: "apiKey", in: "cookie", name: "zhengyun_session" });
  app.openAPIRegistry.register("Problem", Problem);
  for (const [name, answer] of Object.entries(problemAnswers)) app.openAPIRegistry.registerComponent("responses", name, answer);
  app.onError(onError(deps, deps.denials ?? createDenials(deps)));
  app.notFound((c) => {
    const methods = allowedMethods(app, c.req.path);
    if (methods.length === 0)
      return problemResponse(c, new Refusal("not-found", `Nothing has the address ${c.req.path}.`, { remedy: "The addresses are in /openapi.json." }));
    return problemResponse(c, new Refusal("method-not-allowed", `${c.req.path} takes ${methods.join(", ")}.`), { allow: methods.join(", ") });
  });
  app.use(correlation(deps));
  app.use("/api/*", authentication(deps));
  app.use("/metrics", authentication(deps));
  app.use("/api/v1/city-imports", bodyLimit(tooLarge(64 * mebibyte)));
  app.use("/sign-in/*", bodyLimit(tooLarge(mebibyte)));
  // Image files have a limit of their own, and are never held in memory.
  const limited = (path: string) => path !== "/api/v1/city-imports" && !path.startsWith("/api/v1/images/");
  app.use("/api/*", async (c, next) => (limited(c.req.path) ? bodyLimit(tooLarge(16 * mebibyte))(c, next) : next()));

  registerSystem(app, deps);
  registerTermPolicy(app, deps);
  registerMaintenanceWindows(app, deps);
  registerTokens(app, deps);
  registerSessions(app, deps);
  registerSignIn(app, deps);
  registerOidc(app, deps);
  registerIdentityProviders(app, deps);
  registerOwnAccount(app, deps);
  registerAccounts(app, deps);
  registerDepartments(app, deps);
  registerProjects(app, deps);
  registerPriceBooks(app, deps);
  registerApplications(app, deps);
  registerPools(app, deps);
  registerCatalogue(app, deps);
  registerImages(app, deps);
  registerAudit(app, deps);
  registerEvents(app, deps);
  registerQuotas(app, deps);
  registerQuotaFindings(app, deps);
  registerWhatIf(app, deps);
  registerRequests(app, deps);
  registerRequestRecords(app, deps);
  registerInbox(app, deps);
  registerNotices(app, deps);
  registerWebhooks(app, deps);
  registerApprovalPolicies(app, deps);
  registerDelegations(app, deps);
  registerCalendars(app, deps);
  registerSupervisionRules(app, deps);
  registerSupervisionCards(app, deps);
  registerCorrections(app, deps);
  registerResources(app, deps);
  registerBackups(app, deps);
  registerUsage(app, deps);
  registerRoleBindings(app, deps);
  registerDrift(app, deps);
  registerStackOperations(app, deps);
  registerStackUpdates(app, deps);
  registerCityImports(app, deps);
  registerSystemBackups(app, deps);
  registerUnknown(app, deps);
  registerKeyEscrows(app, deps);
  registerDocumentation(app);
  // Last: it answers every page address that nothing else has.
  registerConsole(app, deps);
  return app;
}
