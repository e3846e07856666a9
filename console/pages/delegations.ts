import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { Delegation } from "../../control-plane/contract/approvals.ts";
import { Paged, post, remove } from "../client/index.ts";
import { time } from "../format.ts";
import { api } from "../paths.ts";
import { fieldOf } from "./fields.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";

/** Leave: who decides in whose name, and until when. */
export class DelegationsPage extends Page {
  static override properties = { me: {}, decides: { type: Boolean } };
  declare me: string;
  /** Whether the reader decides on requests, and so may name somebody for a leave. */
  declare decides: boolean;
  readonly #delegations = new Paged<Delegation>((cursor) => api.delegations(cursor));

  override load(): Promise<void> {
    return this.#delegations.load();
  }
  override concerns(): boolean {
    return false;
  }
  async #create(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const form = event.target as HTMLFormElement;
    const field = fieldOf(form);
    const at = (day: string, clock: string) => new Date(`${day}T${clock}+08:00`).toISOString();
    const ask = { to: field("to"), begins: at(field("begins"), "00:00:00"), ends: at(field("ends"), "23:59:59.999"), reason: field("reason") };
    if (await this.act(() => post(api.delegations(), ask))) form.reset();
  }

  override show(): TemplateResult {
    const now = new Date().toISOString();
    const state = (row: Delegation) =>
      row.endedAt !== null
        ? msg("已提前结束", { id: "ended-early" })
        : row.ends < now
          ? msg("已结束", { id: "ended" })
          : row.begins > now
            ? msg("未开始", { id: "not-begun" })
            : msg("进行中", { id: "holds-now" });
    return html`<h1>${msg("请假与代理", { id: "delegations" })}</h1>
      <section class="card" tabindex="0">
        ${
          this.#delegations.items.length === 0
            ? html`<p>${msg("没有代理。", { id: "no-delegations" })}</p>`
            : html`<table>
                <thead>
                  <tr>
                    <th scope="col">${msg("请假人", { id: "on-leave" })}</th>
                    <th scope="col">${msg("代理人", { id: "deputy" })}</th>
                    <th scope="col">${msg("开始", { id: "begins" })}</th>
                    <th scope="col">${msg("结束", { id: "ends" })}</th>
                    <th scope="col">${msg("状态", { id: "state" })}</th>
                    <th scope="col">${msg("理由", { id: "reason" })}</th>
                    <th scope="col">${msg("操作", { id: "action" })}</th>
                  </tr>
                </thead>
                <tbody>
                  ${this.#delegations.items.map(
                    (row) =>
                      html`<tr>
                        <th scope="row">${row.fromName ?? row.from}</th>
                        <td>${row.toName ?? row.to}</td>
                        <td>${time(row.begins)}</td>
                        <td>${time(row.endedAt ?? row.ends)}</td>
                        <td>${state(row)}</td>
                        <td>${row.reason}</td>
                        <td>
                          ${row.from === this.me && row.endedAt === null && row.ends > now ? html`<button @click=${() => this.act(() => remove(api.delegation(row.id)))}>${msg("提前结束", { id: "end-early" })}</button>` : "–"}
                        </td>
                      </tr>`,
                  )}
                </tbody>
              </table>`
        }
        ${this.more(this.#delegations)}
      </section>
      ${this.decides ? this.#form() : nothing}
      <zy-command .command=${"zhengyun delegations list"}></zy-command>`;
  }

  #form(): TemplateResult {
    return html`<section class="card">
      <h2>${msg("请假：指定代理人", { id: "new-delegation" })}</h2>
      <p class="muted">
        ${msg("代理人须在同一范围持有您的审批角色，其决定记为“代您”。代理人的编号见其“我的账户”。您的编号：", { id: "delegation-how" })} <code>${this.me}</code>
      </p>
      <form class="bar" @submit=${(event: SubmitEvent) => this.#create(event)}>
        <label>${msg("代理人编号", { id: "deputy-id" })}<input name="to" required size="30" /></label>
        <label>${msg("起始日期", { id: "from-day" })}<input name="begins" type="date" required /></label>
        <label>${msg("截止日期", { id: "to-day" })}<input name="ends" type="date" required /></label>
        <label>${msg("理由", { id: "reason" })}<input name="reason" required maxlength="4000" /></label>
        <button class="primary">${msg("指定", { id: "delegate" })}</button>
      </form>
    </section>`;
  }
}
customElements.define("zy-delegations-page", DelegationsPage);
