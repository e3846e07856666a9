import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { ApprovalPolicy, Stage } from "../../control-plane/contract/approvals.ts";
import type { Department } from "../../control-plane/contract/departments.ts";
import { get, put } from "../client/index.ts";
import { time } from "../format.ts";
import { getLocale } from "../locales/index.ts";
import { roleName } from "../locales/states.ts";
import { api, pages } from "../paths.ts";
import { fieldOf } from "./fields.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";

const fresh = (): Stage => ({ name: "", kind: "department-approval", role: "approver", approvers: [], mode: "serial", needed: null, days: 3 });

/** In which stages a department's requests are approved, by whom, and within how many working days. */
export class ApprovalPolicyPage extends Page {
  static override properties = { department: {}, changes: { type: Boolean } };
  declare department: string;
  /** Whether the reader sets policies: security administrators. */
  declare changes: boolean;
  #row: ApprovalPolicy | undefined;
  #node: Department | undefined;
  /** As it is being changed; nothing is sent before it is saved. */
  #stages: Stage[] = [];
  #saved = false;

  override async load(): Promise<void> {
    [this.#row, this.#node] = await Promise.all([get<ApprovalPolicy>(api.approvalPolicy(this.department)), get<Department>(api.department(this.department))]);
    this.#stages = structuredClone(this.#row.stages);
  }
  override concerns(): boolean {
    return false;
  }

  async #set(stages: Stage[] | null, note: string): Promise<void> {
    this.#saved = false;
    await this.attempt(async () => {
      await put(api.approvalPolicy(this.department), { stages, note }, this.#row!.version);
      await this.load();
      this.#saved = true;
    });
  }
  #save(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const form = event.target as HTMLFormElement;
    return this.#set(this.#read(form), fieldOf(form)("note"));
  }
  #read(form: HTMLFormElement): Stage[] {
    const field = fieldOf(form);
    return this.#stages.map((_, index) => {
      const approvers = field(`approvers-${index}`)
        .split(/[\s,，]+/)
        .filter((one) => one !== "");
      const needed = field(`needed-${index}`);
      const kind = field(`kind-${index}`) as Stage["kind"];
      return {
        name: field(`name-${index}`),
        kind,
        role: kind === "department-approval" ? "approver" : "authority",
        approvers,
        mode: field(`mode-${index}`) as Stage["mode"],
        needed: needed === "" ? null : Number(needed),
        days: Number(field(`days-${index}`)),
      };
    });
  }
  /** Keeps what was typed. */
  #alter(work: (stages: Stage[]) => void): void {
    const form = this.renderRoot.querySelector("form");
    if (form) this.#stages = this.#read(form);
    work(this.#stages);
    this.requestUpdate();
  }

  override show(): TemplateResult {
    const row = this.#row;
    if (!row) return html``;
    const name = this.#node && (getLocale() === "en" ? this.#node.nameEn : this.#node.nameZh);
    return html`<nav><a href=${pages.department(this.department)}>${name}</a> ›</nav>
      <h1>${msg("审批策略", { id: "approval-policy" })} <span class="muted">${name}</span></h1>
      <p class="muted">
        ${
          row.inheritedFrom === null && row.changedAt === null
            ? msg("内置默认：部门审批人，再主管部门。", { id: "default-policy" })
            : row.inheritedFrom !== null
              ? html`${msg("沿用上级部门的策略", { id: "inherited-policy" })} <a href=${pages.approvalPolicy(row.inheritedFrom)}>${row.inheritedFrom}</a>`
              : html`${msg("本部门的策略，版本", { id: "own-policy" })} ${row.version} · ${time(row.changedAt)} · ${row.changedBy}`
        }
        ${row.note}
      </p>
      ${this.#saved ? html`<p class="good" role="status">✓ ${msg("已保存；自此编制的方案按新策略审批。", { id: "policy-saved" })}</p>` : nothing}
      ${this.changes ? this.#form(row) : html`<section class="card" tabindex="0">${this.#table(row.stages)}</section>`}
      <zy-command .command=${`zhengyun approval-policies show ${this.department}`}></zy-command>`;
  }

  #kind = (kind: Stage["kind"]) =>
    kind === "department-approval" ? msg("部门审批", { id: "k-department-approval" }) : msg("主管部门审批", { id: "k-authority-approval" });

  #table(stages: readonly Stage[]): TemplateResult {
    return html`<table>
      <thead>
        <tr>
          <th scope="col">#</th>
          <th scope="col">${msg("环节", { id: "stage" })}</th>
          <th scope="col">${msg("类型", { id: "kind" })}</th>
          <th scope="col">${msg("审批人", { id: "approvers" })}</th>
          <th scope="col">${msg("工作日", { id: "days-working" })}</th>
        </tr>
      </thead>
      <tbody>
        ${stages.map(
          (stage, index) =>
            html`<tr>
              <td>${index + 1}</td>
              <th scope="row">${stage.name}</th>
              <td>${this.#kind(stage.kind)} · ${stage.mode === "parallel" ? msg("会签（同时）", { id: "parallel" }) : msg("依次", { id: "serial" })}</td>
              <td>
                ${stage.approvers.length > 0 ? stage.approvers.join(", ") : roleName(stage.role)}${stage.needed === null ? nothing : html` · ${msg("须通过", { id: "needed" })} ${stage.needed}`}
              </td>
              <td class="n">${stage.days}</td>
            </tr>`,
        )}
      </tbody>
    </table>`;
  }

  #form(row: ApprovalPolicy): TemplateResult {
    return html`<form @submit=${(event: SubmitEvent) => this.#save(event)}>
      ${this.#stages.map(
        (stage, index) =>
          html`<fieldset class="card">
            <legend>${msg("环节", { id: "stage" })} ${index + 1}</legend>
            <div class="bar">
              <label>${msg("名称", { id: "name" })}<input name=${`name-${index}`} .value=${stage.name} required maxlength="200" /></label>
              <label
                >${msg("类型", { id: "kind" })}<select name=${`kind-${index}`}>
                  ${(["department-approval", "authority-approval"] as const).map((kind) => html`<option value=${kind} .selected=${stage.kind === kind}>${this.#kind(kind)}</option>`)}
                </select></label
              >
              <label
                >${msg("方式", { id: "binding-kind" })}<select name=${`mode-${index}`}>
                  <option value="serial" .selected=${stage.mode === "serial"}>${msg("依次", { id: "serial" })}</option>
                  <option value="parallel" .selected=${stage.mode === "parallel"}>${msg("会签（同时）", { id: "parallel" })}</option>
                </select></label
              >
              <label
                >${msg("指定审批人编号（留空：持有角色者）", { id: "named-approvers" })}<input
                  name=${`approvers-${index}`}
                  .value=${stage.approvers.join(", ")}
                  size="32"
              /></label>
              <label
                >${msg("须通过", { id: "needed" })}<input
                  name=${`needed-${index}`}
                  type="number"
                  min="1"
                  max="20"
                  .value=${stage.needed === null ? "" : String(stage.needed)}
              /></label>
              <label
                >${msg("工作日", { id: "days-working" })}<input name=${`days-${index}`} type="number" min="1" max="90" required .value=${String(stage.days)}
              /></label>
              <button type="button" ?disabled=${this.#stages.length === 1} @click=${() => this.#alter((all) => all.splice(index, 1))}>
                ${msg("删除环节", { id: "remove-stage" })}
              </button>
            </div>
          </fieldset>`,
      )}
      <div class="bar">
        <button type="button" ?disabled=${this.#stages.length >= 10} @click=${() => this.#alter((all) => all.push(fresh()))}>
          ${msg("增加环节", { id: "add-stage" })}
        </button>
        <label
          >${msg("说明（如文号）", { id: "policy-note" })}<input name="note" .value=${row.inheritedFrom === null ? row.note : ""} maxlength="2000" size="40"
        /></label>
        <button class="primary">${msg("保存为新版本", { id: "save-version" })}</button>
        ${row.inheritedFrom === null && row.changedAt !== null ? html`<button type="button" @click=${() => this.#set(null, "")}>${msg("恢复沿用上级", { id: "inherit-again" })}</button>` : nothing}
      </div>
    </form>`;
  }
}
customElements.define("zy-approval-policy-page", ApprovalPolicyPage);
