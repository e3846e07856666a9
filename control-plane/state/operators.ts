/**
 * What an operator's own `pulumi` may do with a personal API token: log in, list, look, see history, export without secrets, cancel.
 * Everything else goes through requests and their approval, and is refused here. All of it is audited.
 */
import { Hono, type Context } from "hono";
import type { Denials } from "../audit/index.ts";
import { capacityOf } from "../domain/authority.ts";
import type { Act } from "../store/act.ts";
import { appendAudit } from "../store/audit.ts";
import type { Db } from "../store/database.ts";
import { heldOf } from "../store/role-bindings.ts";
import { findTokens, isUsable, type TokenRow } from "../store/tokens.ts";
import { ApiError, answerTo } from "./errors.ts";
import { cancelUpdate } from "./settle.ts";
import { exportDeployment } from "./snapshots.ts";
import { getStack, listStacks, type Stack } from "./stacks.ts";
import { history, runningUpdate } from "./updates.ts";
import { stackInfo, summaryOf, updateInfo, withoutSecrets, withOurUrl } from "./views.ts";

export interface OperatorAppOptions {
  db: Db;
  now: () => Date;
  denials: Denials;
  log: (message: string, error?: unknown) => void;
}
type Env = { Variables: { token: TokenRow; act: Act; cancels: boolean } };

/** Who sees every department's resources sees their state, without secrets. */
const lookers = ["operations", "audit-admin", "auditor"] as const;

const path = "/api/stacks/:org/:project/:stack";
const organization = "zhengyun";

export function createOperatorApp({ db, now, denials, log }: OperatorAppOptions): Hono<Env> {
  const app = new Hono<Env>();
  const audit = (act: Act, action: string, subject: string) =>
    db.transaction().execute((tx) => appendAudit(tx, act, { action, subjectKind: "stack", subjectId: subject, departmentId: null }));
  const deny = (c: Context, act: Act, code: "unauthenticated" | "forbidden") =>
    denials.record({ act, action: "state.refused", path: `${c.req.method} ${c.req.path}`, departmentId: null, code, known: code === "forbidden" });

  app.get("/api/capabilities", (c) => c.json({ capabilities: [] }));
  app.use(async (c, next) => {
    const [scheme, secret = ""] = (c.req.header("authorization") ?? "").split(" ");
    const [token] = scheme === "token" && secret !== "" ? await findTokens(db, [secret]) : [];
    const source = (c.env as { incoming?: { socket?: { remoteAddress?: string } } } | undefined)?.incoming?.socket?.remoteAddress ?? "local";
    const at = now();
    const capacity = token && capacityOf(heldOf(token.held), lookers, at);
    const act = { actor: token?.id ?? "", role: capacity?.role ?? "none", source, correlationId: crypto.randomUUID(), now: at };
    if (!token || !isUsable(token, at)) {
      if (token) await deny(c, act, "unauthenticated");
      throw new ApiError(401, "This needs a personal API token of the control plane that is still valid.");
    }
    c.set("token", token);
    c.set("cancels", capacityOf(heldOf(token.held), ["operations"], at) !== undefined);
    c.set("act", act);
    if (!capacity || capacity.nodes !== null) {
      await deny(c, act, "forbidden");
      throw new ApiError(403, "Operations staff and auditors may look at Pulumi's state; departments see their resources in the console.");
    }
    await next();
  });

  const stackOf = (c: Context): Promise<Stack> =>
    getStack(db, { organization: c.req.param("org") ?? "", project: c.req.param("project") ?? "", stack: c.req.param("stack") ?? "" });

  app.get("/api/user", (c) =>
    c.json({ githubLogin: c.get("token").name, name: c.get("token").name, organizations: [{ githubLogin: organization, name: organization }] }),
  );
  app.get("/api/user/organizations/default", (c) => c.json({ GitHubLogin: organization }));
  app.get("/api/user/stacks", async (c) => {
    await audit(c.get("act"), "state.list", "stacks");
    return c.json({ stacks: (await listStacks(db)).map(summaryOf) });
  });
  app.get("/api/stacks/:org/:project", (c) => c.json({}));
  app.get(path, async (c) => {
    const stack = await stackOf(c);
    return c.json(stackInfo(stack, await runningUpdate(db, stack)));
  });
  app.get(`${path}/export/:version?`, async (c) => {
    const stack = await stackOf(c);
    const version = c.req.param("version");
    if (version !== undefined && !/^\d{1,9}$/.test(version)) throw new ApiError(400, "A version is a number.");
    const state = await exportDeployment(db, stack, version === undefined ? {} : { version: Number(version) });
    await audit(c.get("act"), "state.export", stack.stack);
    return c.json(withoutSecrets(withOurUrl(state, stack, new URL(c.req.url).origin)));
  });
  app.get(`${path}/updates`, async (c) => {
    const stack = await stackOf(c);
    const size = Math.min(Math.max(Number(c.req.query("pageSize")) || 100, 1), 100);
    const page = Math.max(Number(c.req.query("page")) || 1, 1);
    await audit(c.get("act"), "state.history", stack.stack);
    return c.json({ updates: (await history(db, stack, { limit: size, offset: (page - 1) * size })).map(updateInfo) });
  });
  app.get(`${path}/updates/latest`, async (c) => {
    const [latest] = await history(db, await stackOf(c), { limit: 1 });
    if (!latest) throw new ApiError(404, "The stack has no updates.");
    return c.json({ info: updateInfo(latest) });
  });
  app.post(`${path}/:kind{update|preview|refresh|destroy}/:id/cancel`, async (c) => {
    const stack = await stackOf(c);
    if (!c.get("cancels")) return refuse(c);
    const running = await runningUpdate(db, stack);
    if (running?.id !== c.req.param("id")) throw new ApiError(409, "That update has ended already.");
    await cancelUpdate(db, stack, `cancelled by ${c.get("token").name}`);
    await audit(c.get("act"), "state.cancel", stack.stack);
    return c.body(null, 204);
  });

  async function refuse(c: Context<Env>): Promise<never> {
    await deny(c, c.get("act"), "forbidden");
    throw new ApiError(403, "A personal token looks, exports without secrets and cancels. Changes are made by approved requests: `zhengyun requests create`.");
  }
  app.all("*", (c) => refuse(c));
  app.onError((error, c) => {
    const answer = answerTo(error);
    if (!answer) log(`${c.req.method} ${c.req.path} failed`, error);
    const { status, message } = answer ?? { status: 500 as const, message: "The state service failed; its log says why." };
    return c.json({ code: status, message }, status);
  });
  return app;
}
