/** Where people's browsers reach the console. */
import type { ApiContext, AppDeps } from "./deps.ts";
import { isHttps } from "./middleware/session-cookie.ts";

/** As settled, or where they asked; without a slash at the end. */
export function baseUrl(c: ApiContext, deps: Pick<AppDeps, "publicUrl">): string {
  const asked = new URL(c.req.url);
  return deps.publicUrl ?? `${isHttps(c) ? "https" : asked.protocol.slice(0, -1)}://${c.req.header("host") ?? asked.host}`;
}
