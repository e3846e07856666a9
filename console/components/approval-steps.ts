import { html, LitElement, nothing } from "lit";
import { msg, updateWhenLocaleChanges } from "@lit/localize";
import type { ApprovalStep } from "../../control-plane/contract/approvals.ts";
import { time } from "../format.ts";
import { provisionalMark } from "../locales/states.ts";
import { shared } from "../styles.ts";
import "./state-badge.ts";

/** A step's turn is no wait for capacity. */
const shownAs: Record<string, string> = { open: "deciding", waiting: "pending" };

/**
 * Whose decisions a request needs and has, in their order; rounds that count no more are folded away.
 * @property steps - of the contract, all rounds
 */
export class ApprovalSteps extends LitElement {
  static override properties = { steps: { attribute: false } };
  declare steps: readonly ApprovalStep[];
  static override styles = shared;

  constructor() {
    super();
    this.steps = [];
    updateWhenLocaleChanges(this);
  }
  override render() {
    const counting = this.steps.filter((step) => step.invalidatedAt === null);
    const before = this.steps.filter((step) => step.invalidatedAt !== null && step.decidedBy !== null);
    return html`${this.#table(counting)}
    ${
      before.length === 0
        ? nothing
        : html`<details>
            <summary>${msg("已失效的审批", { id: "invalidated" })} (${before.length})</summary>
            ${this.#table(before)}
          </details>`
    }`;
  }
  #table(steps: readonly ApprovalStep[]) {
    return html`<table>
      <thead>
        <tr>
          <th scope="col">${msg("环节", { id: "stage" })}</th>
          <th scope="col">${msg("状态", { id: "state" })}</th>
          <th scope="col">${msg("截止", { id: "due" })}</th>
          <th scope="col">${msg("审批人", { id: "decided-by" })}</th>
          <th scope="col">${msg("办理时间", { id: "decided-at" })}</th>
          <th scope="col">${msg("意见", { id: "opinion" })}</th>
        </tr>
      </thead>
      <tbody>
        ${steps.map(
          (step) =>
            html`<tr>
              <th scope="row">${step.name}</th>
              <td><zy-state .state=${shownAs[step.state] ?? step.state}></zy-state></td>
              <td>${time(step.dueAt)}${step.provisional ? html` <span class="warn">${provisionalMark()}</span>` : nothing}</td>
              <td>
                ${step.decidedByName ?? step.decidedBy ?? "–"}${step.onBehalfOf ? html` (${msg("代", { id: "for" })} ${step.onBehalfOfName ?? step.onBehalfOf})` : nothing}
              </td>
              <td>${time(step.decidedAt)}</td>
              <td>${step.reason}</td>
            </tr>`,
        )}
      </tbody>
    </table>`;
  }
}
customElements.define("zy-approval-steps", ApprovalSteps);
