import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { msg, updateWhenLocaleChanges } from "@lit/localize";
import type { WhatIf } from "../../control-plane/contract/what-if.ts";
import { number, yuan } from "../format.ts";
import { dimensionName, stateName } from "../locales/states.ts";
import { shared } from "../styles.ts";

/**
 * What a request would do, before it is submitted: whether it can be, what it costs to the year's end, what is left of each quota.
 * @property prospect - the answer of POST /requests/what-if
 */
export class WhatIfNote extends LitElement {
  static override properties = { prospect: { attribute: false } };
  static override styles = [
    shared,
    css`
      :host {
        margin-bottom: 0.75rem;
      }
    `,
  ];
  declare prospect: WhatIf | undefined;
  constructor() {
    super();
    updateWhenLocaleChanges(this);
  }

  override render() {
    const { prospect } = this;
    if (!prospect) return nothing;
    const placed = prospect.items.flatMap((item) => (item.placement ? [`${item.name} → ${item.placement.pool}`] : []));
    return html`${this.#outcome(prospect)}
      <p>
        ${msg("至本财政年度末的费用", { id: "cost-to-year-end" })}:
        ${
          prospect.cost
            ? html`<strong>¥ ${yuan(prospect.cost.amountFen)}</strong>
                <span class="muted">${prospect.cost.fund.fiscalYear} ${stateName(prospect.cost.fund.kind)}</span>`
            : html`<strong>${msg("不增加费用", { id: "costs-nothing" })}</strong>`
        }
      </p>
      ${placed.length > 0 ? html`<p class="muted">${msg("放置", { id: "placement" })}: ${placed.join(" · ")}</p>` : nothing}
      ${prospect.accounts.length > 0 ? this.#accounts(prospect) : nothing}`;
  }

  #outcome({ outcome, problems, shortages, warnings }: WhatIf): TemplateResult {
    return html`<p role="status">
        ${
          outcome === "refused"
            ? html`<strong class="bad">✕ ${msg("不能提交", { id: "would-be-refused" })}</strong>`
            : outcome === "waits"
              ? html`<strong class="warn">▲ ${msg("可以提交；目前资源不足，批准后排队等待", { id: "would-wait" })}</strong>`
              : html`<strong class="good">✓ ${msg("可以提交", { id: "would-fit" })}</strong>`
        }
      </p>
      ${problems.map((one) => html`<p class="bad">${one.detail}${one.remedy ? html` <span class="muted">${one.remedy}</span>` : nothing}</p>`)}
      ${shortages.map((one) => html`<p class="warn">${one}</p>`)}
      ${warnings.map(
        (one) =>
          html`<p class="warn">
            ▲ ${one.departmentName}: ${dimensionName(one.dimension)} ${msg("已超软限额", { id: "over-soft-limit" })} (${number(one.held)} /
            ${number(one.softLimit)})
          </p>`,
      )}`;
  }

  #accounts({ accounts }: WhatIf): TemplateResult {
    const left = (value: number | null) => (value === null ? "∞" : number(value));
    return html`<table>
      <caption>
        ${msg("配额剩余", { id: "quota-left" })}
      </caption>
      <thead>
        <tr>
          <th scope="col">${msg("部门", { id: "department" })}</th>
          <th scope="col">${msg("配额", { id: "quota" })}</th>
          <th scope="col" class="n">${msg("本次占用", { id: "asked-now" })}</th>
          <th scope="col" class="n">${msg("现余", { id: "left-before" })}</th>
          <th scope="col" class="n">${msg("提交后余", { id: "left-after" })}</th>
          <th scope="col">${msg("结论", { id: "verdict" })}</th>
        </tr>
      </thead>
      <tbody>
        ${accounts.map(
          (one) =>
            html`<tr>
              <th scope="row">${one.departmentName}</th>
              <td>
                ${dimensionName(one.dimension)}${one.level === 0 ? nothing : html` <span class="muted">${msg("等保", { id: "level" })} ${one.level}</span>`}
              </td>
              <td class="n">${number(one.asked)}</td>
              <td class="n">${left(one.leftBefore)}</td>
              <td class="n">${left(one.leftAfter)}</td>
              <td>${one.fits ? html`<span class="good">✓</span>` : html`<span class="bad">✕ ${msg("超出", { id: "exceeds" })}: ${one.raisedBy}</span>`}</td>
            </tr>`,
        )}
      </tbody>
    </table>`;
  }
}
customElements.define("zy-what-if", WhatIfNote);
