/** Changes name the revision that they were made from: nobody overwrites what they have not seen. */
import { Refusal } from "../../domain/refusal.ts";
import type { ApiContext } from "../deps.ts";

export const etag = (revision: number): string => `"${revision}"`;

/**
 * @throws Refusal("precondition-missing") without If-Match
 * @throws Refusal("precondition-failed") when it names another revision
 */
export function requireMatch(c: ApiContext, revision: number): void {
  if (!matches(ifMatch(c), revision)) {
    throw new Refusal("precondition-failed", `It is at revision ${revision} now, not the one that you saw.`, {
      remedy: "Read it again and repeat the change on what it is now.",
    });
  }
}

/** The If-Match header, for stores that compare it in their own transaction. */
export function ifMatch(c: ApiContext): string {
  const header = c.req.header("if-match");
  if (!header)
    throw new Refusal("precondition-missing", "A change needs If-Match with the ETag of what you saw.", {
      remedy: 'Read it first, then send its ETag, such as If-Match: "3".',
    });
  return header;
}

export function matches(header: string, revision: number): boolean {
  return header.split(",").some((one) => one.trim() === "*" || one.trim().replace(/^W\//, "") === etag(revision));
}

/**
 * The revision that If-Match names, for stores that compare it in their own transaction; undefined for "*".
 * @throws Refusal("precondition-failed") for what can be no revision
 */
export function matchedRevision(c: ApiContext): number | undefined {
  const header = ifMatch(c).trim();
  if (header === "*") return undefined;
  const revision = /^(?:W\/)?"([0-9]{1,9})"$/.exec(header)?.[1];
  if (revision === undefined) throw new Refusal("precondition-failed", `${header} is no ETag of ours.`, { remedy: "Send the ETag of what you read." });
  return Number(revision);
}
