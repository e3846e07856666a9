import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { Event as Happened } from "../../control-plane/contract/access.ts";
import type { Request } from "../../control-plane/contract/requests.ts";
import { get, post } from "../client/index.ts";
import { live } from "../client/live.ts";
import { time, yuan } from "../format.ts";
import { dimensionName, kindName, stateName } from "../locales/states.ts";
import { api, pages } from "../paths.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";
import "../components/event-list.ts";
import "../components/state-badge.ts";

const text = (value: unknown) => (value === undefined ? "–" : typeof value === "string" ? value : JSON.stringify(value));

/** One request: its items, its change plan, and the decision on exactly that plan. */
export class RequestPage extends Page {
  static override properties = { request: {}, decides: { type: Boolean } };
  declare request: string;
  /** Whether who looks may approve or reject. */
  declare decides: boolean;
  #row: Request | undefined;
  #reason = "";
  #busy = false;
  #events: readonly Happened[] = [];
  #unlisten: () => void = () => undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    this.#events = [];
    this.#unlisten = live(api.requestEvents(this.request), (events) => {
      this.#events = [...this.#events, ...events];
      this.requestUpdate();
    });
  }
  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#unlisten();
  }
  override async load(): Promise<void> {
    this.#row = await get<Request>(api.request(this.request));
  }
  override concerns(event: Happened): boolean {
    return event.request === this.request || this.#row?.items.some((item) => item.resource === event.subject) === true;
  }
  async #act(how: "submit" | "approve" | "reject" | "withdraw"): Promise<void> {
    const row = this.#row;
    if (!row || this.#busy) return;
    this.#busy = true;
    const body = how === "approve" ? { planHash: row.plan?.hash ?? "", reason: this.#reason } : how === "reject" ? { reason: this.#reason } : {};
    const done = await this.attempt(async () => (this.#row = await post<Request>(api.decide(row.id, how), body, row.revision)));
    const { problem } = this;
    if (!done) await this.refresh();
    // What was refused stays to be read, beside what the request is now.
    this.problem = problem;
    this.#busy = false;
    this.requestUpdate();
  }

  override show(): TemplateResult {
    const row = this.#row;
    if (!row) return html``;
    const why = !this.decides
      ? msg("只有审批人可以审批。", { id: "only-approvers" })
      : row.state !== "planned"
        ? msg("只有待审批的申请可以审批。", { id: "only-planned" })
        : "";
    const whyNot = why || (this.#reason.trim() === "" ? msg("驳回须填写理由。", { id: "reason-needed" }) : "");
    return html`<nav><a href=${pages.requests()}>${msg("申请", { id: "requests" })}</a> › ${row.number}</nav>
      <h1>${row.number} ${row.title}</h1>
      <p>
        <zy-state .state=${row.state}></zy-state> · ${msg("创建时间", { id: "created" })} ${time(row.createdAt)} ·
        <a href=${pages.department(row.department)}>${msg("部门", { id: "department" })}</a>${row.decisionReason ? html` · ${row.decisionReason}` : nothing}
      </p>
      ${row.reason ? html`<p>${msg("理由", { id: "reason" })}: ${row.reason}</p>` : nothing}
      ${row.error ? html`<div class="error">${row.error.message}</div>` : nothing}
      ${row.state === "draft" ? html`<div class="bar"><button class="primary" @click=${() => this.#act("submit")}>${msg("提交", { id: "submit" })}</button></div>` : nothing}
      ${row.plan ? this.#plan(row) : nothing}
      ${
        row.state === "planned" || row.state === "submitted" || row.state === "waiting"
          ? html`<div class="card">
              <h2>${msg("审批", { id: "decision" })}</h2>
              <label
                >${msg("理由", { id: "reason" })}<textarea
                  rows="2"
                  maxlength="2000"
                  @input=${(event: InputEvent) => {
                    this.#reason = (event.target as HTMLTextAreaElement).value;
                    this.requestUpdate();
                  }}
                ></textarea>
              </label>
              <div class="bar">
                <button class="primary" ?disabled=${why !== ""} title=${why} @click=${() => this.#act("approve")}>
                  ${msg("批准此方案", { id: "approve" })}
                </button>
                <button ?disabled=${whyNot !== ""} title=${whyNot} @click=${() => this.#act("reject")}>${msg("驳回", { id: "reject" })}</button>
                <button @click=${() => this.#act("withdraw")}>${msg("撤回", { id: "withdraw" })}</button>
                <span class="muted">${why || whyNot}</span>
              </div>
            </div>`
          : nothing
      }
      <h2>${msg("申请事项", { id: "request-items" })}</h2>
      <div class="card" tabindex="0">
        <table>
          <thead>
            <tr>
              <th scope="col">${msg("类型", { id: "kind" })}</th>
              <th scope="col">${msg("名称", { id: "name" })}</th>
              <th scope="col">${msg("动作", { id: "action" })}</th>
              <th scope="col">${msg("结果", { id: "result" })}</th>
            </tr>
          </thead>
          <tbody>
            ${row.items.map(
              (item) =>
                html`<tr>
                  <td>${kindName(item.kind)}</td>
                  <th scope="row">${item.name}</th>
                  <td>${kindName(item.action)}</td>
                  <td><zy-state .state=${item.state}></zy-state> ${item.error?.message ?? ""}</td>
                </tr>`,
            )}
          </tbody>
        </table>
      </div>
      <h2>${msg("进展", { id: "timeline" })}</h2>
      <div class="card"><zy-events .events=${this.#events}></zy-events></div>
      <zy-command .command=${`zhengyun requests show ${row.id}`}></zy-command>`;
  }

  #plan({ plan }: Request) {
    if (!plan) return nothing;
    return html`<h2>${msg("变更方案", { id: "change-plan" })}</h2>
      <div class="card" tabindex="0">
        <p class="muted">${msg("由 Pulumi 预览生成", { id: "plan-source" })} ${time(plan.computedAt)} · <code>${plan.hash.slice(0, 16)}</code></p>
        <p>
          ${msg("配额占用", { id: "charge" })}:
          ${plan.charge.length === 0 ? "0" : plan.charge.map((one) => `${dimensionName(one.dimension)} ${one.quantity > 0 ? "+" : ""}${one.quantity}`).join(" · ")}
        </p>
        ${
          plan.cost
            ? html`<p>
                ${msg("至年底费用（元）", { id: "cost" })}: <strong>${yuan(plan.cost.amountFen)}</strong> · ${stateName(plan.cost.fund.kind)}
                ${plan.cost.fund.fiscalYear}
              </p>`
            : nothing
        }
        <details open>
          <summary>${plan.steps.length} ${msg("步", { id: "steps" })}</summary>
          <table>
            <tbody>
              ${plan.steps.map(
                (step) =>
                  html`<tr>
                    <td>${kindName(step.action)}</td>
                    <td>${kindName(step.kind)}</td>
                    <th scope="row">${step.name}</th>
                    <td>
                      ${step.changes.map((one) => html`<div><code>${one.path}</code>: ${text(one.before)} → ${text(one.after)}</div>`)}${plan.placement.find((one) => one.resource === step.resource)?.pool ?? ""}
                    </td>
                  </tr>`,
              )}
            </tbody>
          </table>
        </details>
      </div>`;
  }
}
customElements.define("zy-request-page", RequestPage);
