import { html, LitElement } from "lit";
import { msg, updateWhenLocaleChanges } from "@lit/localize";
import type { Correction } from "../../control-plane/contract/supervision.ts";
import { time } from "../format.ts";
import { correctionStateName } from "../locales/supervision.ts";
import { pages } from "../paths.ts";
import { shared } from "../styles.ts";

/**
 * Corrections as a table.
 * @property corrections - the corrections, in their order
 */
export class CorrectionTable extends LitElement {
  static override properties = { corrections: { attribute: false } };
  declare corrections: readonly Correction[];
  static override styles = shared;
  constructor() {
    super();
    this.corrections = [];
    updateWhenLocaleChanges(this);
  }
  override render() {
    return html`<table>
      <thead>
        <tr>
          <th scope="col">${msg("纠错事项", { id: "sv-what" })}</th>
          <th scope="col">${msg("申请编号", { id: "sv-request" })}</th>
          <th scope="col">${msg("纠正人", { id: "sv-assignee" })}</th>
          <th scope="col">${msg("截止", { id: "due" })}</th>
          <th scope="col">${msg("状态", { id: "state" })}</th>
        </tr>
      </thead>
      <tbody>
        ${this.corrections.map(
          (one) =>
            html`<tr>
              <th scope="row"><a href=${pages.supervisionCard(one.card)}>${one.what}</a></th>
              <td>${one.requestNumber}</td>
              <td>${one.assigneeName ?? one.assignee}</td>
              <td>${time(one.dueAt)}</td>
              <td class=${one.overdue ? "bad" : ""}>${one.overdue ? `✕ ${msg("已逾期", { id: "overdue" })}` : correctionStateName(one.state)}</td>
            </tr>`,
        )}
      </tbody>
    </table>`;
  }
}
customElements.define("zy-correction-table", CorrectionTable);
