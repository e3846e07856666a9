import { css, html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { RuleTerms, SupervisionRule } from "../../control-plane/contract/supervision.ts";
import { list, post, put } from "../client/index.ts";
import { time } from "../format.ts";
import { colourName, ruleKindName, supervisedStage } from "../locales/supervision.ts";
import { dimensionName } from "../locales/states.ts";
import { api } from "../paths.ts";
import { shared } from "../styles.ts";
import { fieldOf } from "./fields.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";

/** The rules of supervision (监察规则): read by those who oversee, changed by supervision officers, a version at a time. */
export class SupervisionRulesPage extends Page {
  static override styles = [
    shared,
    css`
      th,
      td {
        white-space: normal;
      }
      td:last-child {
        white-space: nowrap;
      }
      form > label + .bar {
        margin-top: 0.75rem;
      }
    `,
  ];
  static override properties = { changes: { attribute: false } };
  /** Whether the reader may change them. */
  declare changes: boolean;
  #rules: SupervisionRule[] = [];
  #open = "";
  #busy = false;

  override async load(): Promise<void> {
    this.#rules = await list<SupervisionRule>(api.supervisionRules());
  }
  override concerns(): boolean {
    return false;
  }

  override show(): TemplateResult {
    return html`<h1>${msg("监察规则", { id: "sv-rules" })}</h1>
      <div class="card" tabindex="0">
        <table>
          <thead>
            <tr>
              <th scope="col">${msg("名称", { id: "name" })}</th>
              <th scope="col">${msg("类别", { id: "sv-kind" })}</th>
              <th scope="col">${msg("范围", { id: "sv-scope" })}</th>
              <th scope="col">${msg("内容", { id: "sv-terms" })}</th>
              <th scope="col">${msg("启用", { id: "sv-enabled" })}</th>
              <th scope="col">${msg("版本", { id: "sv-version" })}</th>
              ${this.changes ? html`<th scope="col"><span class="muted">${msg("操作", { id: "action" })}</span></th>` : nothing}
            </tr>
          </thead>
          <tbody>
            ${this.#rules.map((rule) => this.#row(rule))}
          </tbody>
        </table>
      </div>
      ${this.#rules.filter((rule) => rule.id === this.#open).map((rule) => this.#form(rule))}
      <zy-command command="zhengyun supervision rules"></zy-command>`;
  }

  #row(rule: SupervisionRule): TemplateResult {
    const { terms } = rule;
    return html`<tr>
      <th scope="row">${rule.name}</th>
      <td>${ruleKindName(terms.kind)}${terms.kind === "time-limit" ? ` · ${supervisedStage(terms.stage)}` : ""}</td>
      <td>${rule.departmentName ?? msg("全部", { id: "all" })}</td>
      <td>${this.#words(terms)}</td>
      <td>${rule.enabled ? html`<span class="good">● ${msg("是", { id: "yes" })}</span>` : html`<span class="muted">○ ${msg("否", { id: "no" })}</span>`}</td>
      <td>v${rule.version} · ${time(rule.changedAt)}</td>
      ${
        this.changes
          ? html`<td>
              <button
                aria-expanded=${this.#open === rule.id}
                @click=${() => {
                  this.#open = this.#open === rule.id ? "" : rule.id;
                  this.requestUpdate();
                }}
              >
                ${msg("修改", { id: "sv-change" })}
              </button>
            </td>`
          : nothing
      }
    </tr>`;
  }

  #words(terms: RuleTerms): string {
    if (terms.kind === "time-limit") {
      const unit = terms.unit === "hours" ? msg("小时", { id: "sv-hours" }) : msg("个工作日", { id: "working-days" });
      const limit = terms.limit === null ? msg("以其自身期限为准", { id: "sv-own-deadline" }) : `${terms.limit} ${unit}`;
      const remind = terms.remindBefore === null ? "" : `; ${colourName("reminder")} −${terms.remindBefore} ${unit}`;
      return `${limit}${remind}; ${colourName("red")} +${terms.redAfter} ${unit}`;
    }
    if (terms.kind === "split-requests") {
      const measure = terms.measure === "cost" ? msg("费用（分）", { id: "sv-cost-fen" }) : dimensionName(terms.measure);
      const threshold = terms.threshold === null ? msg("项目监理阈值", { id: "sv-plan-threshold" }) : String(terms.threshold);
      return `${terms.windowDays} ${msg("天内", { id: "sv-within-days" })}, ${measure} ≥ ${threshold}; ${colourName(terms.colour)}`;
    }
    return colourName(terms.colour);
  }

  #form(rule: SupervisionRule): TemplateResult {
    const { terms } = rule;
    const count = (name: string, label: string, value: number | null, needed = true) =>
      html`<label>${label}<input type="number" name=${name} min="1" .value=${value === null ? "" : String(value)} ?required=${needed} /></label>`;
    return html`<form class="card" @submit=${(event: SubmitEvent) => this.#save(event, rule)}>
      <h2>${rule.name}</h2>
      <div class="bar">
        ${
          terms.kind === "time-limit"
            ? html`${count("limit", `${msg("办理时限", { id: "sv-limit" })} (${terms.unit === "hours" ? msg("小时", { id: "sv-hours" }) : msg("个工作日", { id: "working-days" })})`, terms.limit, false)}
              ${count("remindBefore", msg("提前预警", { id: "sv-remind-before" }), terms.remindBefore, false)}
              ${count("redAfter", msg("超期多久发红牌", { id: "sv-red-after" }), terms.redAfter)}`
            : html`<label
                  >${msg("牌", { id: "sv-card" })}<select name="colour">
                    ${(["yellow", "red"] as const).map((one) => html`<option value=${one} ?selected=${terms.colour === one}>${colourName(one)}</option>`)}
                  </select></label
                >
                ${
                  terms.kind === "split-requests"
                    ? html`${count("windowDays", msg("时间窗口（天）", { id: "sv-window" }), terms.windowDays)}
                      ${count("threshold", msg("阈值（空：项目监理阈值）", { id: "sv-threshold" }), terms.threshold, false)}`
                    : nothing
                }`
        }
        ${count("answerDays", msg("答复期限（工作日）", { id: "sv-answer-days" }), rule.answerDays)}
        <label
          >${msg("启用", { id: "sv-enabled" })}<select name="enabled">
            <option value="true" ?selected=${rule.enabled}>${msg("是", { id: "yes" })}</option>
            <option value="false" ?selected=${!rule.enabled}>${msg("否", { id: "no" })}</option>
          </select></label
        >
      </div>
      <label>${msg("修改理由", { id: "sv-why" })}<input name="note" maxlength="2000" size="50" required /></label>
      <div class="bar">
        <button class="primary" value="change" ?disabled=${this.#busy}>${msg("保存为新版本", { id: "sv-save" })}</button>
        <label>${msg("部门代码", { id: "sv-department-code" })}<input name="department" maxlength="64" /></label>
        <button value="make" ?disabled=${this.#busy}>${msg("另立为该部门的规则", { id: "sv-make" })}</button>
      </div>
    </form>`;
  }

  async #save(event: SubmitEvent, rule: SupervisionRule): Promise<void> {
    event.preventDefault();
    if (this.#busy) return;
    const field = fieldOf(event.target as HTMLFormElement);
    const counted = (name: string) => (field(name) === "" ? null : Number(field(name)));
    const { terms } = rule;
    const changed =
      terms.kind === "time-limit"
        ? { ...terms, limit: counted("limit"), remindBefore: counted("remindBefore"), redAfter: counted("redAfter") }
        : terms.kind === "split-requests"
          ? { ...terms, colour: field("colour"), windowDays: counted("windowDays"), threshold: counted("threshold") }
          : { ...terms, colour: field("colour") };
    const body = { name: rule.name, terms: changed, answerDays: counted("answerDays"), enabled: field("enabled") === "true", note: field("note") };
    this.#busy = true;
    const makes = (event.submitter as HTMLButtonElement | null)?.value === "make";
    const department = field("department") === "" ? null : field("department");
    const send = () => (makes ? post(api.supervisionRules(false), { ...body, department }) : put(api.supervisionRule(rule.id), body, rule.version));
    if (await this.attempt(send)) {
      this.#open = "";
      await this.refresh();
    }
    this.#busy = false;
    this.requestUpdate();
  }
}
customElements.define("zy-supervision-rules-page", SupervisionRulesPage);
