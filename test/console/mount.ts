/** Puts a piece of page before the tests, and asks axe what is wrong with it. */
import axe from "axe-core";
import { LitElement, render, type TemplateResult } from "lit";
import "../../console/page.css";

/** Renders in place of what was there, and waits until the element is drawn. */
export async function mount<T extends LitElement>(template: TemplateResult): Promise<T> {
  document.documentElement.lang = "zh-CN";
  document.title = "政云";
  document.body.replaceChildren();
  const main = document.createElement("main");
  document.body.append(main);
  render(template, main);
  const element = main.querySelector("*") as T;
  await element.updateComplete;
  return element;
}

/** What axe finds, as short lines; nothing is what is wanted. */
export async function violations(): Promise<string[]> {
  const found = await axe.run(document.body, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] });
  return found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(" ")}`);
}

/** The words that a sighted reader sees, in one line. */
export const words = (element: LitElement): string => (element.renderRoot as ShadowRoot).textContent?.replaceAll(/\s+/g, " ").trim() ?? "";
