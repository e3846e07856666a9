/** Where two plain values differ, for people. Pure. */

const isObject = (value: unknown): value is Record<string, unknown> => value !== null && typeof value === "object" && !Array.isArray(value);
/** Never shown: the values of these. */
const secret = new Set(["userData"]);

/** `path: before → after` for each leaf that differs, by path. Lists are compared whole. */
export function differingPaths(before: unknown, after: unknown, path = ""): string[] {
  if (isObject(before) && isObject(after))
    return [...new Set([...Object.keys(before), ...Object.keys(after)])]
      .toSorted()
      .flatMap((key) => differingPaths(before[key], after[key], path ? `${path}.${key}` : key));
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  const shown = (value: unknown) => (secret.has(path) ? "[secret]" : value === undefined ? "nothing" : JSON.stringify(value));
  return [`${path} ${shown(before)} → ${shown(after)}`];
}
