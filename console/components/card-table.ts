import { html, LitElement } from "lit";
import { msg, updateWhenLocaleChanges } from "@lit/localize";
import type { SupervisionCard } from "../../control-plane/contract/supervision.ts";
import { time } from "../format.ts";
import { cardStateName, namesOf, ruleKindName, supervisedStage } from "../locales/supervision.ts";
import { pages } from "../paths.ts";
import { shared } from "../styles.ts";
import "./card-colour.ts";

/**
 * Supervision cards as a table.
 * @property cards - the cards, in their order
 */
export class CardTable extends LitElement {
  static override properties = { cards: { attribute: false } };
  declare cards: readonly SupervisionCard[];
  static override styles = shared;
  constructor() {
    super();
    this.cards = [];
    updateWhenLocaleChanges(this);
  }
  override render() {
    return html`<table>
      <thead>
        <tr>
          <th scope="col">${msg("牌", { id: "sv-card" })}</th>
          <th scope="col">${msg("申请编号", { id: "sv-request" })}</th>
          <th scope="col">${msg("事由", { id: "sv-cause" })}</th>
          <th scope="col">${msg("部门", { id: "department" })}</th>
          <th scope="col">${msg("责任人", { id: "sv-concerned" })}</th>
          <th scope="col">${msg("办理时限", { id: "sv-limit" })}</th>
          <th scope="col">${msg("发出时间", { id: "sv-issued-at" })}</th>
          <th scope="col">${msg("状态", { id: "state" })}</th>
        </tr>
      </thead>
      <tbody>
        ${this.cards.map(
          (card) =>
            html`<tr>
              <td>
                <a href=${pages.supervisionCard(card.id)}><zy-card-colour .colour=${card.colour}></zy-card-colour></a>
              </td>
              <th scope="row">${card.requestNumber}</th>
              <td>${ruleKindName(card.kind)}${card.stage === null ? "" : ` · ${supervisedStage(card.stage)}`}</td>
              <td>${card.departmentName}</td>
              <td>${namesOf(card, "concerned")}</td>
              <td>${time(card.limitAt)}</td>
              <td>${time(card.issuedAt)}</td>
              <td class=${card.answerOverdue ? "bad" : ""}>
                ${cardStateName(card.state)}${card.answerOverdue ? ` · ${msg("答复逾期", { id: "sv-answer-late" })}` : ""}
              </td>
            </tr>`,
        )}
      </tbody>
    </table>`;
  }
}
customElements.define("zy-card-table", CardTable);
