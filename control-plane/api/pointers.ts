/** From what zod finds to JSON Pointers (RFC 6901) that people can follow. */
import type { z } from "zod";

export interface Place {
  pointer: string;
  detail: string;
}

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

export const pointer = (path: Path): string => path.map((step) => `/${String(step).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");

export function pointers(issues: readonly Issue[], base: Path = []): Place[] {
  return issues.flatMap((issue): Place[] => {
    const path = [...base, ...issue.path];
    if (issue.code === "unrecognized_keys") return issue.keys.map((key) => ({ pointer: pointer([...path, key]), detail: "is not known here" }));
    if (issue.code === "invalid_union" && issue.errors.length > 0) return pointers(nearest(issue.errors), path);
    return [{ pointer: pointer(path), detail: issue.message }];
  });
}

/** Of the shapes that a union allows, the one that was most likely meant: its fixed words fit, and least else is wrong. */
function nearest(shapes: readonly (readonly Issue[])[]): readonly Issue[] {
  const distance = (issues: readonly Issue[]) => issues.reduce((sum, issue) => sum + (issue.code === "invalid_value" && issue.path.length === 1 ? 1000 : 1), 0);
  return shapes.reduce((best, shape) => (distance(shape) < distance(best) ? shape : best));
}

/** Places of texts that no database can store: NUL characters, halves of surrogate pairs. */
export function unstorable(value: unknown, path: Path = []): Place[] {
  if (typeof value === "string")
    return isStorable(value) ? [] : [{ pointer: pointer(path), detail: "has a character that cannot be stored (NUL or half a surrogate pair)" }];
  if (Array.isArray(value)) return value.flatMap((item, index) => unstorable(item, [...path, index]));
  if (value === null || typeof value !== "object") return [];
  return Object.entries(value).flatMap(([key, item]) =>
    isStorable(key) ? unstorable(item, [...path, key]) : [{ pointer: pointer(path), detail: "has a name that cannot be stored" }],
  );
}

export const isStorable = (text: string): boolean => !text.includes("\0") && text.isWellFormed();
