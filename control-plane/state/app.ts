/**
 * Pulumi's HTTP backend protocol, as the 3.250 engine speaks it (pkg/v3 backend/httpstate/client), over the control plane's database.
 * Bodies may be gzip; errors are `{code, message}`; bytes are base64.
 */
import { Hono } from "hono";
import type { Db } from "../store/database.ts";
import { grantOf } from "./authorize.ts";
import { answerTo } from "./errors.ts";
import type { Keys } from "./keys.ts";
import { secretRoutes } from "./routes/secrets.ts";
import { stackRoutes } from "./routes/stacks.ts";
import { updateRoutes } from "./routes/updates.ts";
import { secretsOf } from "./secrets.ts";
import type { Services } from "./services.ts";
import type { OperationTokens } from "./tokens.ts";

export interface StateAppOptions {
  db: Db;
  keys: Keys;
  tokens: OperationTokens;
  /** Told of each journal entry that was made durable, before the engine is: for tests that kill there. */
  entryKept?: () => void;
  /** Told of what went wrong on our side, and of states that were refused. Gets no secrets. */
  log?: (message: string, error?: unknown) => void;
  /** The largest body that is taken, in bytes, unpacked; 64 MiB by default. */
  largestBody?: number;
}

const capabilities = [{ capability: "batch-encrypt" }, { capability: "deployment-schema-version", version: 1, configuration: { version: 4 } }];

export function createStateApp({ db, keys, tokens, log = () => {}, entryKept = () => {}, largestBody }: StateAppOptions): Hono {
  const services: Services = { db, tokens, log, entryKept, secrets: secretsOf(db, keys) };
  const app = new Hono();
  if (largestBody !== undefined) {
    app.use(async (c, next) => {
      c.set("largestBody", largestBody);
      await next();
    });
  }

  app.get("/api/capabilities", (c) => c.json({ capabilities }));
  app.get("/api/user", (c) => {
    const { organization } = grantOf(c, tokens).stack;
    return c.json({ githubLogin: organization, name: organization, organizations: [{ githubLogin: organization, name: organization }] });
  });
  app.get("/api/user/organizations/default", (c) => c.json({ GitHubLogin: grantOf(c, tokens).stack.organization }));
  app.route("/", stackRoutes(services));
  app.route("/", secretRoutes(services));
  app.route("/", updateRoutes(services));

  app.notFound((c) => c.json({ code: 404, message: `There is no ${c.req.method} ${c.req.path} here.` }, 404));
  app.onError((error, c) => {
    const answer = answerTo(error);
    if (!answer) log(`${c.req.method} ${c.req.path} failed`, error);
    const { status, message } = answer ?? { status: 500 as const, message: "The state service failed; its log says why." };
    return c.json({ code: status, message }, status);
  });
  return app;
}
