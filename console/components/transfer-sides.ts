import { html, LitElement, nothing } from "lit";
import { msg, updateWhenLocaleChanges } from "@lit/localize";
import type { RequestCost, Transfer } from "../../control-plane/contract/requests.ts";
import { number, yuan } from "../format.ts";
import { dimensionName, kindName, stateName } from "../locales/states.ts";
import { shared } from "../styles.ts";

/**
 * Both sides of a transfer: who gives what to whom, what is given back and what is charged where, and which fund pays from then on.
 * @property transfer - as the change plan or the what-if has it
 * @property cost - what passes from the giver's fund to the receiver's, to the year's end; null: nothing
 */
export class TransferSides extends LitElement {
  static override properties = { transfer: { attribute: false }, cost: { attribute: false } };
  static override styles = [shared];
  declare transfer: Transfer | undefined;
  declare cost: RequestCost | null | undefined;
  constructor() {
    super();
    updateWhenLocaleChanges(this);
  }

  override render() {
    const { transfer, cost } = this;
    if (!transfer) return nothing;
    const counts = Object.entries(Object.groupBy(transfer.resources, (one) => one.kind)).map(([kind, of]) => `${kindName(kind)} ${of?.length ?? 0}`);
    return html`<p>
        ${msg("移出方", { id: "giving-side" })} <strong>${transfer.from.departmentName}</strong> (${transfer.from.projectCode}) →
        ${msg("接收方", { id: "receiving-side" })} <strong>${transfer.to.departmentName}</strong> (${transfer.to.projectCode})
      </p>
      <p>
        ${counts.length === 0 ? msg("该业务系统目前没有资源。", { id: "passes-nothing" }) : counts.join(" · ")}
        <span class="muted">${msg("随业务系统整体移交，含备份与期限；不停机、不迁移、不改名。", { id: "transfer-note" })}</span>
      </p>
      ${
        cost && transfer.fund
          ? html`<p>
              ${msg("至年底由接收方资金承担", { id: "cost-passes" })}: <strong>¥ ${yuan(cost.amountFen)}</strong>
              <span class="muted"
                >${transfer.fund.fiscalYear} ${stateName(transfer.fund.kind)} → ${cost.fund.fiscalYear} ${stateName(cost.fund.kind)};
                ${msg("移出方资金退回移交后未用的部分", { id: "fund-given-back" })}</span
              >
            </p>`
          : nothing
      }
      ${
        transfer.accounts.length === 0 || transfer.accounts.every((one) => one.charge.length === 0)
          ? nothing
          : html`<table>
              <caption>
                ${msg("配额变化（共同上级不变）", { id: "quota-passes" })}
              </caption>
              <thead>
                <tr>
                  <th scope="col">${msg("部门", { id: "department" })}</th>
                  <th scope="col">${msg("一方", { id: "side" })}</th>
                  <th scope="col">${msg("配额", { id: "quota" })}</th>
                </tr>
              </thead>
              <tbody>
                ${transfer.accounts.map(
                  (one) =>
                    html`<tr>
                      <th scope="row">${one.departmentName}</th>
                      <td>${one.side === "giving" ? msg("移出方", { id: "giving-side" }) : msg("接收方", { id: "receiving-side" })}</td>
                      <td>
                        ${one.charge.map((charge) => `${dimensionName(charge.dimension)} ${charge.quantity > 0 ? "+" : "−"}${number(Math.abs(charge.quantity))}`).join(" · ")}
                      </td>
                    </tr>`,
                )}
              </tbody>
            </table>`
      }`;
  }
}
customElements.define("zy-transfer-sides", TransferSides);
