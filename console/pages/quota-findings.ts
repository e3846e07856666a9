import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { QuotaFinding, Reconciliation } from "../../control-plane/contract/quotas.ts";
import { Paged, post } from "../client/index.ts";
import { time } from "../format.ts";
import { dimensionName } from "../locales/states.ts";
import { api, pages } from "../paths.ts";
import { askReason } from "../components/reason-dialog.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";

/** Where quota accounts and what is there differ: reported, never silently mended; settled by operations with a reason. */
export class QuotaFindingsPage extends Page {
  static override properties = { state: {}, changes: { type: Boolean } };
  declare state: string;
  declare changes: boolean;
  readonly #findings = new Paged<QuotaFinding>((cursor) => api.quotaFindings({ state: this.state === "" ? "open" : this.state, cursor }));
  #compared: Reconciliation | undefined;

  override load(): Promise<void> {
    return this.#findings.load();
  }
  override concerns(event: { type: string }): boolean {
    return event.type.startsWith("quota.");
  }
  override updated(changed: Map<string, unknown>): void {
    if (changed.has("state") && changed.get("state") !== undefined) void this.refresh();
  }
  async #close(row: QuotaFinding, correct: boolean): Promise<void> {
    const reason = await askReason(correct ? msg("更正为应有数的理由", { id: "correct-reason" }) : msg("不更正的说明", { id: "explain-reason" }));
    if (reason) await this.act(() => post(api.closeFinding(row.id), { reason, correct }, row.revision));
  }

  override show(): TemplateResult {
    const tab = (state: string, name: string) =>
      html`<a href=${pages.quotaFindings(state)} aria-current=${(this.state || "open") === state ? "page" : "false"}>${name}</a>`;
    return html`<h1>${msg("配额对账", { id: "quota-findings" })}</h1>
      <nav class="bar" aria-label=${msg("状态", { id: "state" })}>
        ${tab("open", msg("待处理", { id: "to-settle" }))}${tab("closed", msg("已处理", { id: "settled" }))}${tab("all", msg("全部", { id: "all" }))}
      </nav>
      ${
        this.changes
          ? html`<div class="bar">
              <button class="primary" @click=${() => this.act(async () => (this.#compared = await post<Reconciliation>(api.reconcile, {})))}>
                ${msg("立即对账", { id: "reconcile-now" })}
              </button>
              ${this.#compared ? html`<span role="status">${msg("已比较账户", { id: "compared-accounts" })} ${this.#compared.accounts} · ${msg("资源", { id: "resources" })} ${this.#compared.resources} · ${msg("差异", { id: "differences" })} ${this.#compared.findings.length}</span>` : nothing}
            </div>`
          : nothing
      }
      <section class="card" tabindex="0">
        ${this.#findings.items.length === 0 ? html`<p class="good">✓ ${msg("没有差异。", { id: "no-findings" })}</p>` : this.#table()}
        ${this.more(this.#findings)}
      </section>
      <zy-command .command=${"zhengyun quotas findings"}></zy-command>`;
  }

  #table(): TemplateResult {
    const about = (row: QuotaFinding) =>
      row.kind === "account"
        ? msg("账户与其明细", { id: "finding-account" })
        : row.kind === "charge"
          ? msg("明细与资源", { id: "finding-charge" })
          : msg("资源池与其资源", { id: "finding-pool" });
    return html`<table>
      <thead>
        <tr>
          <th scope="col">${msg("差异", { id: "differences" })}</th>
          <th scope="col">${msg("对象", { id: "subject" })}</th>
          <th scope="col">${msg("维度", { id: "dimension" })}</th>
          <th scope="col">${msg("应有", { id: "expected" })}</th>
          <th scope="col">${msg("账上", { id: "found" })}</th>
          <th scope="col">${msg("首次发现", { id: "first-seen" })}</th>
          <th scope="col">${msg("处理", { id: "settlement" })}</th>
        </tr>
      </thead>
      <tbody>
        ${this.#findings.items.map(
          (row) =>
            html`<tr>
              <th scope="row">${about(row)}</th>
              <td><code>${row.resource ?? row.pool ?? row.department}</code></td>
              <td>${dimensionName(row.dimension)}</td>
              <td class="n">${row.expected}</td>
              <td class="n">${row.found}</td>
              <td>${time(row.firstSeenAt)}</td>
              <td>
                ${
                  row.closedAt !== null
                    ? html`${time(row.closedAt)} · ${row.corrected ? msg("已更正", { id: "corrected" }) : msg("已说明", { id: "explained" })} · ${row.reason}`
                    : this.changes
                      ? html`<div class="bar">
                          <button @click=${() => this.#close(row, true)}>${msg("更正", { id: "correct" })}</button>
                          <button @click=${() => this.#close(row, false)}>${msg("说明", { id: "explain" })}</button>
                        </div>`
                      : "–"
                }
              </td>
            </tr>`,
        )}
      </tbody>
    </table>`;
  }
}
customElements.define("zy-quota-findings-page", QuotaFindingsPage);
