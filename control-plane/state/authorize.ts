/** Who calls, by the Authorization header: an operation's token on its own stack, or an update's. */
import type { Context } from "hono";
import type { Db } from "../store/database.ts";
import { ApiError } from "./errors.ts";
import { sameStack, type StackName } from "./stack-name.ts";
import { getStack, type Stack } from "./stacks.ts";
import type { OperationGrant, OperationScope, OperationTokens } from "./tokens.ts";

/** An operation and the stack of the request's path. */
export interface Caller {
  grant: OperationGrant;
  stack: Stack;
}

/** What only some operations may do. All may read their stack, preview it and have its secrets encrypted and opened. */
export type Act = "preview" | "update" | "refresh" | "destroy" | "cancel" | "manage";

const allowed: Record<OperationScope, readonly Act[]> = {
  preview: ["preview"],
  drift: ["preview"],
  up: ["preview", "update", "cancel"],
  refresh: ["preview", "refresh", "cancel"],
  destroy: ["preview", "destroy", "cancel"],
  manage: ["preview", "update", "refresh", "destroy", "cancel", "manage"],
};

/** @throws ApiError 401 */
export function grantOf(c: Context, tokens: OperationTokens): OperationGrant {
  const grant = tokens.find(credential(c, "token"));
  if (!grant) throw new ApiError(401, "This token isn't valid (any more): it lives as long as its operation.");
  return grant;
}

/** @throws ApiError 401; 403 for an act outside the operation's scope; 404 for another stack, so that it doesn't even show @throws StackNotFound */
export async function callerOf(c: Context, db: Db, tokens: OperationTokens, act?: Act): Promise<Caller> {
  const grant = grantOf(c, tokens);
  const name = pathStack(c);
  if (!sameStack(name, grant.stack)) throw new ApiError(404, `There is no stack ${name.organization}/${name.project}/${name.stack}.`);
  if (act) requireAct(grant, act);
  return { grant, stack: await getStack(db, name) };
}

/** A stack that may be read: the operation's own, or one that its program refers to. @throws ApiError 401, 404 @throws StackNotFound */
export async function readable(c: Context, db: Db, tokens: OperationTokens): Promise<Stack> {
  const grant = grantOf(c, tokens);
  const name = pathStack(c);
  if (grant.reads.some((other) => sameStack(name, other))) return getStack(db, name);
  return (await callerOf(c, db, tokens)).stack;
}

/** @throws ApiError 403 */
export function requireAct(grant: OperationGrant, act: Act): void {
  if (!allowed[grant.scope].includes(act)) throw new ApiError(403, `An operation of scope "${grant.scope}" may not do "${act}".`);
}

/** The update's own token. Whether it is good is decided where it is used, in the same statement. @throws ApiError 401 */
export function updateToken(c: Context): string {
  return credential(c, "update-token");
}

function pathStack(c: Context): StackName {
  const { org = "", project = "", stack = "" } = c.req.param() as Record<string, string>;
  return { organization: org, project, stack };
}

function credential(c: Context, scheme: string): string {
  const [given, value] = (c.req.header("authorization") ?? "").split(" ");
  if (given !== scheme || !value) throw new ApiError(401, `This needs the header "Authorization: ${scheme} …".`);
  return value;
}
