/** Every text of the console exists in both languages, under an id that stands for one text. */
import { globSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, it } from "vitest";
import { templates } from "../../console/locales/en.ts";

const root = resolve(import.meta.dirname, "../../console");
const files = globSync("{components,locales,pages,events}/**/*.ts", { cwd: root }).concat("main.ts", "navigation.ts", "format.ts");
const texts = new Map<string, Set<string>>();
for (const file of files)
  for (const [, text, id] of readFileSync(join(root, file), "utf8").matchAll(/msg\(\s*"((?:[^"\\]|\\.)*)",\s*\{ id: "([^"]+)" \}/g))
    texts.set(id!, (texts.get(id!) ?? new Set()).add(text!));

it("looks at the console's texts", () => {
  expect(files.length).toBeGreaterThan(40);
  expect(texts.size).toBeGreaterThan(400);
});

it("has an English text for each id: add it to console/locales/en.ts", () => {
  expect([...texts.keys()].filter((id) => !Object.hasOwn(templates, id))).toEqual([]);
});

it("uses an id for one text only: give the other text an id of its own", () => {
  expect([...texts].filter(([, all]) => all.size > 1).map(([id, all]) => `${id}: ${[...all].join(" | ")}`)).toEqual([]);
});
