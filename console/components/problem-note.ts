import { html, LitElement, nothing } from "lit";
import { msg } from "@lit/localize";
import { type Problem, type ProblemCode, problems } from "../../control-plane/contract/problems.ts";
import { getLocale } from "../locales/index.ts";
import { dimensionName } from "../locales/states.ts";
import { shared } from "../styles.ts";

/** The title in the reader's language; a problem that is not the API's keeps its own. */
function titleOf(problem: Problem): string {
  const known = problems[problem.code as ProblemCode];
  if (known === undefined) return problem.title;
  return getLocale() === "en" ? known.en : known.zh;
}

/**
 * What went wrong, where, and what to do.
 * @property problem - a problem document, or undefined
 */
export class ProblemNote extends LitElement {
  static override properties = { problem: { attribute: false } };
  declare problem: Problem | undefined;
  static override styles = shared;
  override render() {
    const { problem } = this;
    if (!problem) return nothing;
    return html`<div class="error" role="alert">
      <strong>${titleOf(problem)}</strong>
      ${problem.detail ? html`<div>${problem.detail}</div>` : nothing} ${problem.remedy ? html`<div>${problem.remedy}</div>` : nothing}
      ${
        problem.limits?.length
          ? html`<ul>
              ${problem.limits.map((one) => html`<li>${one.departmentName} ${dimensionName(one.dimension)}: ${msg("申请", { id: "asked" })} ${one.asked}, ${msg("剩余", { id: "left" })} ${one.left} / ${one.limit}</li>`)}
            </ul>`
          : problem.errors?.length
            ? html`<ul>
                ${problem.errors.map((one) => html`<li><code>${one.pointer}</code> ${one.detail}</li>`)}
              </ul>`
            : nothing
      }
      ${problem.correlationId ? html`<div class="muted">${msg("关联编号", { id: "correlation" })} <code>${problem.correlationId}</code></div>` : nothing}
    </div>`;
  }
}
customElements.define("zy-problem", ProblemNote);
