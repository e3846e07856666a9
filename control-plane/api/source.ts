/** Where a request came from, for the audit. */
import { clientAddress } from "../domain/client-address.ts";
import type { ApiContext, AppDeps } from "./deps.ts";

const nobody = () => false;

/** An address; "local" for calls that come by no connection. */
export function sourceOf(c: ApiContext, { trustsProxy = nobody }: Pick<AppDeps, "trustsProxy">): string {
  const bindings = c.env as { incoming?: { socket?: { remoteAddress?: string } } } | undefined;
  const remote = bindings?.incoming?.socket?.remoteAddress;
  return remote === undefined ? "local" : clientAddress(remote, c.req.header("x-forwarded-for"), trustsProxy);
}
