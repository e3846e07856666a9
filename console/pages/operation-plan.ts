import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { OperationPlan, OperationStep } from "../../control-plane/contract/operation-plans.ts";
import type { Event as Happened } from "../../control-plane/contract/access.ts";
import { get, post } from "../client/index.ts";
import { bytes, time } from "../format.ts";
import { getLocale } from "../locales/index.ts";
import { operationName } from "../locales/operations.ts";
import { api, pages } from "../paths.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";
import "../components/state-badge.ts";

/** An operation plan: what moves, what restarts, what stands in the way; its confirmation; how far it has come. */
export class OperationPlanPage extends Page {
  static override properties = { plan: {}, me: {}, changes: { type: Boolean } };
  /** Its id. */
  declare plan: string;
  /** Who reads: nobody confirms their own. */
  declare me: string;
  declare changes: boolean;
  #plan: OperationPlan | undefined;

  override async load(): Promise<void> {
    this.#plan = await get<OperationPlan>(api.operationPlan(this.plan));
  }
  override concerns(event: Happened): boolean {
    return event.subject === this.plan;
  }
  #act = (how: "confirm" | "cancel" | "recompute") =>
    this.attempt(async () => {
      const { hash, revision } = this.#plan!;
      this.#plan = await post<OperationPlan>(api.operationPlanAct(this.plan, how), how === "confirm" ? { hash } : {}, revision);
    });

  override show(): TemplateResult {
    const plan = this.#plan;
    if (!plan) return html``;
    return html`<p><a href=${pages.members()}>${msg("集群与运维方案", { id: "members-title" })}</a></p>
      <h1>${operationName(plan.kind)} ${plan.subject} <zy-state .state=${plan.state}></zy-state></h1>
      <section class="card">
        <p>${msg("理由", { id: "reason" })}: ${plan.reason}</p>
        <p class="muted">
          ${msg("编制", { id: "drawn-up-by" })} ${plan.createdByName} ${time(plan.createdAt)}
          ${plan.confirmedByName === null ? nothing : html` · ${msg("确认", { id: "confirmed-by" })} ${plan.confirmedByName} ${time(plan.confirmedAt)}`}
          ${plan.finishedAt === null ? nothing : html` · ${msg("结束", { id: "ended-at" })} ${time(plan.finishedAt)}`}
        </p>
        ${plan.error === null ? nothing : html`<p class="bad" role="alert">✕ ${plan.error}</p>`}
        ${
          plan.difference.length === 0
            ? nothing
            : html`<p class="warn">${msg("确认之后集群有了变化，需重新确认：", { id: "operation-changed" })}</p>
                <ul>
                  ${plan.difference.map((line) => html`<li>${line}</li>`)}
                </ul>`
        }
        ${plan.state === "planning" ? html`<p aria-live="polite">${msg("正在编制…", { id: "computing" })}</p>` : this.#summary(plan)}
        ${this.changes ? this.#buttons(plan) : nothing}
      </section>
      ${plan.steps.length === 0 ? nothing : html`<section class="card" tabindex="0">${this.#steps(plan.steps)}</section>`}
      <zy-command .command=${`zhengyun operations show ${plan.id}`}></zy-command>`;
  }

  #summary({ counts, state }: OperationPlan): TemplateResult {
    if (counts.steps === 0) return html`<p>${state === "draft" ? msg("无需任何操作。", { id: "nothing-to-do" }) : nothing}</p>`;
    return html`<p aria-live="polite">
      ${msg("步骤", { id: "op-steps" })} ${counts.done} / ${counts.steps} · ${msg("重启的主机", { id: "restarts" })} ${counts.restarts}
      ${counts.failed > 0 ? html` · <span class="bad">${msg("失败", { id: "s-failed" })} ${counts.failed}</span>` : nothing}
      ${counts.blocked > 0 ? html` · <span class="bad">${msg("受阻", { id: "blocked" })} ${counts.blocked}</span>` : nothing}
    </p>`;
  }

  #buttons({ state, createdBy, counts, cancelledAt }: OperationPlan): TemplateResult {
    const own = createdBy === this.me;
    const draft = state === "draft";
    const ended = state === "done" || state === "failed" || state === "cancelled";
    return html`<div class="bar">
        ${draft ? html`<button class="primary" ?disabled=${own || counts.blocked > 0 || counts.steps === 0} @click=${() => this.#act("confirm")}>${msg("确认并开始", { id: "confirm-plan" })}</button>` : nothing}
        ${draft ? html`<button @click=${() => this.#act("recompute")}>${msg("重新编制", { id: "recompute" })}</button>` : nothing}
        ${ended || cancelledAt !== null ? nothing : html`<button @click=${() => this.#act("cancel")}>${msg("取消方案", { id: "cancel-plan" })}</button>`}
      </div>
      ${draft && own ? html`<p class="muted">${msg("本人编制的方案须由另一位运维人员确认。", { id: "own-plan" })}</p>` : nothing}
      ${draft && counts.blocked > 0 ? html`<p class="muted">${msg("有步骤受阻：排除后重新编制。", { id: "blocked-plan" })}</p>` : nothing}`;
  }

  #steps(steps: readonly OperationStep[]): TemplateResult {
    const english = getLocale() === "en";
    return html`<table>
      <thead>
        <tr>
          <th scope="col">${msg("步骤", { id: "op-steps" })}</th>
          <th scope="col">${msg("部门", { id: "department" })}</th>
          <th scope="col">${msg("业务系统", { id: "application" })}</th>
          <th scope="col">${msg("从", { id: "from-place" })}</th>
          <th scope="col">${msg("到", { id: "to-place" })}</th>
          <th scope="col">${msg("重启", { id: "restart" })}</th>
          <th scope="col" class="n">${msg("至多复制", { id: "at-most" })}</th>
          <th scope="col">${msg("状态", { id: "state" })}</th>
          <th scope="col">${msg("说明", { id: "explanation" })}</th>
        </tr>
      </thead>
      <tbody>
        ${steps.map(
          (step) =>
            html`<tr>
              <th scope="row">${operationName(step.action)} ${step.name}</th>
              <td>${step.departmentName === null ? "–" : english ? step.departmentName.en : step.departmentName.zh}</td>
              <td>${step.applicationName ?? "–"}</td>
              <td>${place(step.from, step, step.fromPool)}</td>
              <td>${place(step.to, step, step.toPool)}</td>
              <td>${(step.restarted ?? step.restarts) ? msg("是", { id: "yes" }) : msg("否", { id: "no" })}</td>
              <td class="n">${bytes(step.bytes)}</td>
              <td>
                ${step.blocked === null ? html`<zy-state .state=${step.state}></zy-state>` : html`<span class="bad">✕ ${msg("受阻", { id: "blocked" })}</span>`}
              </td>
              <td class="text">${step.error?.message ?? step.blocked ?? step.reason}</td>
            </tr>`,
        )}
      </tbody>
    </table>`;
  }
}
/** The member, and the pool where that changes. */
const place = (member: string | null, step: OperationStep, pool: string | null) =>
  [member, step.fromPool === step.toPool ? null : pool].filter((one) => one !== null).join(" · ") || "–";
customElements.define("zy-operation-plan-page", OperationPlanPage);
