import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { Event as Happened } from "../../control-plane/contract/access.ts";
import type { DecisionOffer } from "../../control-plane/contract/approvals.ts";
import type { Placement, Request } from "../../control-plane/contract/requests.ts";
import { get, post } from "../client/index.ts";
import { live } from "../client/live.ts";
import { time, yuan } from "../format.ts";
import { dimensionName, kindName, stateName, timeLeft } from "../locales/states.ts";
import { api, pages } from "../paths.ts";
import { isDeciding } from "../../control-plane/domain/lifecycle.ts";
import { Page } from "./page.ts";
import "./request-records.ts";
import "./request-restarts.ts";
import "./request-term.ts";
import "../components/approval-steps.ts";
import "../components/command-line.ts";
import "../components/event-list.ts";
import "../components/state-badge.ts";
import "../components/transfer-sides.ts";

const text = (value: unknown) => (value === undefined ? "–" : typeof value === "string" ? value : JSON.stringify(value));

/** One request: its items, its change plan, and the decision on exactly that plan. */
export class RequestPage extends Page {
  static override properties = { request: {}, decides: { type: Boolean }, asks: { type: Boolean }, owns: { type: Boolean }, speaks: { type: Boolean } };
  declare request: string;
  /** Whether who looks may approve or reject. */
  /** Whether one's roles decide, ask, or may say something at all; which of it here and now, the API says. */
  declare decides: boolean;
  declare asks: boolean;
  /** Whether they may speak for a department, and are no operator. */
  declare owns: boolean;
  declare speaks: boolean;
  #row: Request | undefined;
  #offer: DecisionOffer | undefined;
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
    [this.#row, this.#offer] = await Promise.all([get<Request>(api.request(this.request)), get<DecisionOffer>(api.decision(this.request))]);
  }
  override concerns(event: Happened): boolean {
    return event.request === this.request || this.#row?.items.some((item) => item.resource === event.subject) === true;
  }
  async #act(how: "submit" | "approve" | "reject" | "return" | "answer" | "withdraw"): Promise<void> {
    const row = this.#row;
    if (!row || this.#busy) return;
    this.#busy = true;
    const said = this.#reason.trim();
    // Bound to the plan that stands here, whatever it is by now.
    const bound = {
      ...(row.plan ? { planHash: row.plan.hash } : {}),
      ...(this.#offer?.onBehalfOf ? { onBehalfOf: this.#offer.onBehalfOf.id } : {}),
    };
    const bodies = {
      submit: {},
      withdraw: {},
      approve: { ...bound, reason: said },
      reject: { ...bound, reason: said },
      return: { ...bound, question: said },
      answer: { text: said },
    };
    const done = await this.attempt(() => post<Request>(api.decide(row.id, how), bodies[how], row.revision));
    const { problem } = this;
    await this.refresh();
    // What was refused stays to be read, beside what the request is now.
    if (!done) this.problem = problem;
    else this.#reason = "";
    this.#busy = false;
    this.requestUpdate();
  }
  /** Why the one who looks cannot decide; "": they can. */
  #whyNot(row: Request): string {
    if (!this.decides) return msg("只有审批人可以审批。", { id: "only-approvers" });
    const code = this.#offer?.code;
    if (code === "self-approval") return msg("这是您本人的申请，须由他人审批。", { id: "own-request" });
    if (code === "second-decision") return msg("您已审批过此申请的其他环节。", { id: "decided-already" });
    if (code === "forbidden") return msg("此环节由他人审批。", { id: "not-asked" });
    return isDeciding(row.state) ? "" : msg("只有待审批的申请可以审批。", { id: "only-planned" });
  }

  override show(): TemplateResult {
    const row = this.#row;
    if (!row) return html``;
    return html`<nav><a href=${pages.requests()}>${msg("申请", { id: "requests" })}</a> › ${row.number}</nav>
      <h1>${row.number} ${row.title}</h1>
      <p>
        <zy-state .state=${row.state}></zy-state> · ${msg("创建时间", { id: "created" })} ${time(row.createdAt)} ·
        <a href=${pages.department(row.department)}>${msg("部门", { id: "department" })}</a>${row.decisionReason ? html` · ${row.decisionReason}` : nothing}
      </p>
      ${row.reason ? html`<p>${msg("理由", { id: "reason" })}: ${row.reason}</p>` : nothing}
      ${row.error && (row.error.code !== "capacity" || row.state === "waiting") ? html`<div class="error">${row.error.message}</div>` : nothing}
      ${row.state === "draft" ? html`<div class="bar"><button class="primary" @click=${() => this.#act("submit")}>${msg("提交", { id: "submit" })}</button></div>` : nothing}
      <zy-request-term .row=${row} .asks=${this.asks} .answers=${this.asks || this.decides}></zy-request-term>
      <zy-request-restarts .row=${row} .owns=${this.owns}></zy-request-restarts>
      ${row.plan ? this.#plan(row) : nothing} ${this.#decision(row)}
      ${
        row.approvals.length === 0
          ? nothing
          : html`<h2>${msg("审批环节", { id: "approvals" })}</h2>
              <div class="card" tabindex="0"><zy-approval-steps .steps=${row.approvals}></zy-approval-steps></div>`
      }
      <h2>${msg("申请事项", { id: "request-items" })}</h2>
      <div class="card" tabindex="0">
        <table>
          <thead>
            <tr>
              <th scope="col">${msg("类型", { id: "kind" })}</th>
              <th scope="col">${msg("名称", { id: "name" })}</th>
              <th scope="col">${msg("操作", { id: "action" })}</th>
              <th scope="col">${msg("期限", { id: "until" })}</th>
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
                  <td>${item.expiresAt === null ? "–" : time(item.expiresAt)}</td>
                  <td><zy-state .state=${item.state}></zy-state> ${item.error?.message ?? ""}</td>
                </tr>`,
            )}
          </tbody>
        </table>
      </div>
      <zy-request-records .request=${row.id} .speaks=${this.speaks}></zy-request-records>
      <h2>${msg("进展", { id: "timeline" })}</h2>
      <div class="card"><zy-events .events=${this.#events}></zy-events></div>
      <zy-command .command=${`zhengyun requests show ${row.id}`}></zy-command>`;
  }

  #words(label: string) {
    return html`<label
      >${label}<textarea
        rows="2"
        maxlength="2000"
        .value=${this.#reason}
        @input=${(event: InputEvent) => {
          this.#reason = (event.target as HTMLTextAreaElement).value;
          this.requestUpdate();
        }}
      ></textarea>
    </label>`;
  }

  #decision(row: Request) {
    // What the terms ask for is nobody's to withdraw.
    const withdraw =
      this.asks && row.origin !== "term-stop" && row.origin !== "term-reclaim"
        ? html`<button @click=${() => this.#act("withdraw")}>${msg("撤回", { id: "withdraw" })}</button>`
        : nothing;
    if (row.state === "needs-information" && this.asks) {
      const asked = row.approvals.find((step) => step.state === "asked" && step.invalidatedAt === null);
      return html`<div class="card">
        <h2>${msg("答复", { id: "answer" })}</h2>
        ${asked ? html`<p>${asked.decidedByName ?? asked.decidedBy}: <strong>${asked.reason}</strong></p>` : nothing}
        ${this.#words(msg("您的答复", { id: "answer-text" }))}
        <div class="bar">
          <button class="primary" ?disabled=${this.#reason.trim() === ""} @click=${() => this.#act("answer")}>${msg("答复", { id: "answer" })}</button>
          ${withdraw}
        </div>
      </div>`;
    }
    if (row.state === "scheduled") return this.asks ? html`<div class="bar">${withdraw}</div>` : nothing;
    if (!isDeciding(row.state) && row.state !== "submitted" && row.state !== "waiting") return nothing;
    const why = this.#whyNot(row);
    const whyNot = why || (this.#reason.trim() === "" ? msg("驳回或退回须填写理由。", { id: "reason-needed" }) : "");
    const step = row.approvals.find((one) => one.id === this.#offer?.step);
    return html`<div class="card">
      <h2>${msg("审批", { id: "decision" })}${step ? html` · ${step.name}` : nothing}</h2>
      ${
        step && this.#offer
          ? html`<p class=${this.#offer.overdue ? "bad" : this.#offer.workingDaysLeft === 0 ? "warn" : ""}>
              ${msg("截止", { id: "due" })} ${time(step.dueAt)} · ${timeLeft(this.#offer)}
            </p>`
          : nothing
      }
      ${this.#offer?.onBehalfOf ? html`<p>${msg("您代理审批：", { id: "deciding-for" })} <strong>${this.#offer.onBehalfOf.name}</strong></p>` : nothing}
      ${this.#words(msg("理由，或向申请人的询问", { id: "reason-or-question" }))}
      <div class="bar">
        <button class="primary" ?disabled=${why !== ""} title=${why} @click=${() => this.#act("approve")}>${msg("批准此方案", { id: "approve" })}</button>
        <button ?disabled=${whyNot !== ""} title=${whyNot} @click=${() => this.#act("return")}>${msg("退回补充", { id: "return" })}</button>
        <button ?disabled=${whyNot !== ""} title=${whyNot} @click=${() => this.#act("reject")}>${msg("驳回", { id: "reject" })}</button>
        ${withdraw}
        <span class="muted">${why || whyNot}</span>
      </div>
    </div>`;
  }

  #plan({ plan }: Request) {
    if (!plan) return nothing;
    return html`<h2>${msg("变更方案", { id: "change-plan" })}</h2>
      <div class="card" tabindex="0">
        ${
          plan.differences.length === 0
            ? nothing
            : html`<div class="error">
                <strong>${msg("此前审批之后，方案有变动：", { id: "moved" })}</strong>
                <ul>
                  ${plan.differences.map((line) => html`<li>${line}</li>`)}
                </ul>
              </div>`
        }
        ${(plan.restarts ?? []).map((one) => html`<p class="warn">▲ ${msg("须重启主机，时间由其所属部门约定：", { id: "will-restart" })} ${one.hostName}. ${one.why}</p>`)}
        ${
          (plan.snapshots ?? []).length === 0
            ? nothing
            : html`<p class="warn">
                ▲ ${msg("随存储卷一并删除的快照：", { id: "snapshots-going" })}
                ${plan.snapshots.map((one) => `${one.volumeName}/${one.name}（${time(one.takenAt)}）`).join("、")}
              </p>`
        }
        ${(plan.waits ?? []).map((line) => html`<p class="warn">▲ ${msg("目前资源不足，批准后将按批准先后排队等待：", { id: "will-wait" })} ${line}</p>`)}
        <p class="muted">
          ${plan.transfer ? msg("移交内容", { id: "plan-transfer" }) : msg("由 Pulumi 预览生成", { id: "plan-source" })} ${time(plan.computedAt)} ·
          <code>${plan.hash.slice(0, 16)}</code>
        </p>
        ${plan.transfer ? html`<zy-transfer-sides .transfer=${plan.transfer} .cost=${plan.cost}></zy-transfer-sides>` : nothing}
        <p ?hidden=${plan.transfer !== undefined}>
          ${msg("配额占用", { id: "charge" })}:
          ${plan.charge.length === 0 ? "0" : plan.charge.map((one) => `${dimensionName(one.dimension)} ${one.quantity > 0 ? "+" : ""}${one.quantity}`).join(" · ")}
        </p>
        ${(plan.warnings ?? []).map(
          (one) =>
            html`<p class="warn">
              ▲ ${msg("已超软限额", { id: "over-soft-limit" })}: ${one.departmentName} · ${dimensionName(one.dimension)} ${one.held} / ${one.softLimit}
            </p>`,
        )}
        ${
          plan.cost && !plan.transfer
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
                      ${step.changes.map((one) => html`<div><code>${one.path}</code>: ${text(one.before)} → ${text(one.after)}</div>`)}${placed(plan.placement.find((one) => one.resource === step.resource))}
                    </td>
                  </tr>`,
              )}
            </tbody>
          </table>
        </details>
      </div>`;
  }
}

/** Where it goes and why; what else was considered is there to be opened. */
function placed(placement: Placement | undefined): TemplateResult | typeof nothing {
  if (!placement) return nothing;
  const { pool, member, reason, memberReason, considered = [] } = placement;
  const where = member === undefined ? pool : `${pool} · ${member}`;
  if (considered.length === 0) return html`<span title=${reason}>${where}</span>`;
  return html`<details>
    <summary>${where}</summary>
    <div>${reason}${memberReason === undefined ? nothing : html`<br />${member}: ${memberReason}`}</div>
    <div class="muted">
      ${msg("未选", { id: "not-chosen" })}:
      ${considered.map((one) => html`<div>${one.member === undefined ? one.pool : `${one.pool} · ${one.member}`}: ${one.why}</div>`)}
    </div>
  </details>`;
}
customElements.define("zy-request-page", RequestPage);
