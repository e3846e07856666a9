import { html, LitElement } from "lit";
import { msg } from "@lit/localize";
import type { Fund } from "../../control-plane/contract/projects.ts";
import { yuan } from "../format.ts";
import { stateName } from "../locales/states.ts";
import { shared } from "../styles.ts";
import "./quota-bar.ts";

/**
 * A project's funds by purpose and year: what they have, what is held of it and what is left.
 * @property funds - as the API has them
 */
export class FundTable extends LitElement {
  static override properties = { funds: { attribute: false } };
  declare funds: readonly Fund[];
  static override styles = shared;
  override render() {
    const funds = this.funds ?? [];
    if (funds.length === 0) return html`<p>${msg("尚无资金。", { id: "no-funds" })}</p>`;
    return html`<table>
      <thead>
        <tr>
          <th scope="col">${msg("资金", { id: "fund" })}</th>
          <th scope="col">${msg("年度", { id: "fiscal-year" })}</th>
          <th scope="col" class="n">${msg("金额（元）", { id: "fund-amount" })}</th>
          <th scope="col" class="n">${msg("预留", { id: "fund-reserved" })}</th>
          <th scope="col" class="n">${msg("已承诺", { id: "fund-committed" })}</th>
          <th scope="col" class="n">${msg("已支出", { id: "fund-spent" })}</th>
          <th scope="col" class="n">${msg("剩余", { id: "left" })}</th>
          <th scope="col">${msg("占用", { id: "fund-held" })}</th>
        </tr>
      </thead>
      <tbody>
        ${funds.map((fund) => {
          const held = fund.amountFen - fund.leftFen;
          return html`<tr>
            <th scope="row">${stateName(fund.kind)}</th>
            <td>${fund.fiscalYear}</td>
            <td class="n">${yuan(fund.amountFen)}</td>
            <td class="n">${yuan(fund.reservedFen)}</td>
            <td class="n">${yuan(fund.committedFen)}</td>
            <td class="n">${yuan(fund.spentFen)}</td>
            <td class="n">${yuan(fund.leftFen)}</td>
            <td>
              <zy-quota-bar
                .ratio=${fund.amountFen > 0 ? held / fund.amountFen : held > 0 ? 1 : null}
                .label=${`${stateName(fund.kind)} ${fund.fiscalYear}`}
              ></zy-quota-bar>
            </td>
          </tr>`;
        })}
      </tbody>
    </table>`;
  }
}
customElements.define("zy-funds", FundTable);
