/** Stacks: looking at them, their state and history; what only "manage" may do to them. */
import { Hono } from "hono";
import { callerOf, grantOf, readable } from "../authorize.ts";
import { readJson } from "../body.ts";
import type { VersionedDeployment } from "../deployment.ts";
import { ApiError } from "../errors.ts";
import { exportDeployment } from "../snapshots.ts";
import { namePattern, sameStack, type StackName } from "../stack-name.ts";
import { ensureStack, listStacks, removeStack, setTags } from "../stacks.ts";
import { importDeployment, renameStack } from "../transfer.ts";
import { history, runningUpdate } from "../updates.ts";
import { stackInfo, summaryOf, updateInfo, withOurUrl } from "../views.ts";
import type { Services } from "../services.ts";

const path = "/api/stacks/:org/:project/:stack";

export function stackRoutes({ db, tokens }: Services): Hono {
  const app = new Hono();

  app.get("/api/user/stacks", async (c) => {
    const { stack: own } = grantOf(c, tokens);
    const stacks = (await listStacks(db)).filter((stack) => sameStack(stack, own));
    return c.json({
      stacks: stacks.map(summaryOf),
    });
  });

  // Hono answers HEAD by the GET route, without its body.
  app.get("/api/stacks/:org/:project", (c) => {
    const { stack } = grantOf(c, tokens);
    if (c.req.param("org") !== stack.organization || c.req.param("project") !== stack.project) throw new ApiError(404, "There is no such project.");
    return c.json({});
  });
  app.post("/api/stacks/:org/:project", async (c) => {
    const grant = grantOf(c, tokens);
    const { stackName = "", tags } = await readJson<{ stackName?: string; tags?: Record<string, string> }>(c);
    const name: StackName = { organization: c.req.param("org"), project: c.req.param("project"), stack: stackName };
    if (!sameStack(name, grant.stack)) throw new ApiError(403, "This token may make its own stack only.");
    if (!(await ensureStack(db, name, tags ?? {}))) throw new ApiError(409, `The stack ${stackName} already exists.`);
    return c.json({});
  });

  app.get(path, async (c) => {
    const stack = await readable(c, db, tokens);
    const running = await runningUpdate(db, stack);
    return c.json(stackInfo(stack, running));
  });
  app.delete(path, async (c) => {
    const { stack } = await callerOf(c, db, tokens, "manage");
    await removeStack(db, stack, { force: c.req.query("force") === "true" });
    return c.body(null, 204);
  });
  app.patch(`${path}/tags`, async (c) => {
    const { stack } = await callerOf(c, db, tokens, "manage");
    await setTags(db, stack, await readJson(c));
    return c.body(null, 204);
  });
  app.post(`${path}/rename`, async (c) => {
    const { stack, grant } = await callerOf(c, db, tokens, "manage");
    const { newName, newProject } = await readJson<{ newName?: string; newProject?: string }>(c);
    const to = { organization: stack.organization, project: newProject || stack.project, stack: newName || stack.stack };
    if (!namePattern.test(to.project) || !namePattern.test(to.stack))
      throw new ApiError(400, "A name is up to 100 letters, digits, dots, dashes and underscores.");
    await renameStack(db, stack, to);
    // The operation goes on with the stack under its new name.
    grant.stack = to;
    return c.body(null, 204);
  });

  app.get(`${path}/export/:version?`, async (c) => {
    const stack = await readable(c, db, tokens);
    const version = c.req.param("version");
    const state = await exportDeployment(db, stack, version === undefined ? {} : { version: versionNumber(version) });
    return c.json(withOurUrl(state, stack, new URL(c.req.url).origin));
  });
  app.post(`${path}/import`, async (c) => {
    const { stack, grant } = await callerOf(c, db, tokens, "manage");
    const state = await readJson<VersionedDeployment>(c);
    if (!state.deployment?.manifest) throw new ApiError(400, "The body holds no deployment.");
    return c.json({ updateId: await importDeployment(db, stack, state, grant.fence) });
  });

  app.get(`${path}/updates`, async (c) => {
    const { stack } = await callerOf(c, db, tokens);
    const size = Math.min(Math.max(Number(c.req.query("pageSize")) || 100, 1), 100);
    const page = Math.max(Number(c.req.query("page")) || 1, 1);
    return c.json({ updates: (await history(db, stack, { limit: size, offset: (page - 1) * size })).map(updateInfo) });
  });
  app.get(`${path}/updates/latest`, async (c) => {
    const { stack } = await callerOf(c, db, tokens);
    const [latest] = await history(db, stack, { limit: 1 });
    if (!latest) throw new ApiError(404, "The stack has no updates.");
    return c.json({ info: updateInfo(latest) });
  });
  return app;
}

function versionNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new ApiError(400, "A version is a number.");
  return Number(text);
}
