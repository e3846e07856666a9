import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { Account } from "../../control-plane/contract/accounts.ts";
import type { Department } from "../../control-plane/contract/departments.ts";
import { Role, roleNames, type RoleBinding } from "../../control-plane/contract/roles.ts";
import { everything, Paged, post } from "../client/index.ts";
import { time } from "../format.ts";
import { getLocale } from "../locales/index.ts";
import { api, pages } from "../paths.ts";
import { askReason } from "../components/reason-dialog.ts";
import { fieldOf } from "./fields.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";

const roleName = (role: Role) => roleNames[role][getLocale() === "en" ? "en" : "zh"];
/** The end of a day in Beijing, or nothing. */
const endOf = (day: string) => (day === "" ? null : `${day}T15:59:59.999Z`);

/** Who holds which role where: granted and taken away by security administrators, emergencies reviewed by audit administrators (三员). */
export class RolesPage extends Page {
  static override properties = { role: {}, unreviewed: { type: Boolean }, grants: { type: Boolean }, reviews: { type: Boolean } };
  declare role: string;
  declare unreviewed: boolean;
  declare grants: boolean;
  declare reviews: boolean;
  readonly #bindings = new Paged<RoleBinding>((cursor) => api.roleBindings({ role: this.role, unreviewed: this.unreviewed ? "true" : "", cursor }));
  #accounts: Account[] = [];
  #departments = new Map<string, Department>();

  override async load(): Promise<void> {
    const [accounts, departments] = await Promise.all([
      everything<Account>((cursor) => api.accounts({ cursor, limit: "500" })),
      everything<Department>((cursor) => api.allDepartments(cursor)),
      this.#bindings.load(),
    ]);
    this.#accounts = accounts;
    this.#departments = new Map(departments.map((one) => [one.id, one]));
  }
  override concerns(): boolean {
    return false;
  }
  override updated(changed: Map<string, unknown>): void {
    if ((changed.has("role") && changed.get("role") !== undefined) || (changed.has("unreviewed") && changed.get("unreviewed") !== undefined))
      void this.refresh();
  }

  #do = (work: () => Promise<unknown>) =>
    this.attempt(async () => {
      await work();
      await this.#bindings.load();
    });
  async #grant(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const form = event.target as HTMLFormElement;
    const field = fieldOf(form);
    const day = (name: string) => (field(name) === "" ? null : `${field(name)}T00:00:00+08:00`);
    const ask = {
      subject: field("subject"),
      role: field("role"),
      department: field("department") === "" ? null : field("department"),
      kind: field("kind"),
      validUntil: endOf(field("validUntil")),
      periodFrom: day("periodFrom") === null ? null : new Date(day("periodFrom")!).toISOString(),
      periodTo: endOf(field("periodTo")),
      reason: field("reason"),
    };
    if (await this.#do(() => post(api.roleBindings(), ask))) form.reset();
  }
  async #revoke(row: RoleBinding): Promise<void> {
    const reason = await askReason(`${msg("收回的理由", { id: "revoke-reason" })}: ${row.subjectName ?? row.subject} · ${roleName(row.role)}`);
    if (reason) await this.#do(() => post(api.roleBindingAct(row.id, "revoke"), { reason }));
  }
  async #review(row: RoleBinding, verdict: "justified" | "unjustified"): Promise<void> {
    const comment = await askReason(msg("复核意见", { id: "review-comment" }));
    if (comment) await this.#do(() => post(api.roleBindingAct(row.id, "review"), { verdict, comment }));
  }

  override show(): TemplateResult {
    return html`<h1>${msg("角色授权", { id: "roles" })}</h1>
      <nav class="bar" aria-label=${msg("角色", { id: "role" })}>
        ${this.#tab("", msg("全部", { id: "all" }))} ${Role.options.map((role) => this.#tab(role, roleName(role)))}
        <a href=${pages.roles({ unreviewed: "true" })} aria-current=${this.unreviewed ? "page" : "false"}>${msg("待复核的应急提权", { id: "unreviewed" })}</a>
      </nav>
      <section class="card" tabindex="0">
        ${this.#bindings.items.length === 0 ? html`<p>${msg("没有授权。", { id: "no-bindings" })}</p>` : this.#table()} ${this.more(this.#bindings)}
      </section>
      ${this.grants ? this.#form() : nothing}
      <zy-command .command=${"zhengyun roles list"}></zy-command>`;
  }
  #tab = (role: string, name: string) =>
    html`<a href=${pages.roles({ role })} aria-current=${!this.unreviewed && (this.role ?? "") === role ? "page" : "false"}>${name}</a>`;

  #where(id: string | null): string {
    if (id === null) return msg("全部部门", { id: "everywhere" });
    const found = this.#departments.get(id);
    return found ? `${getLocale() === "en" ? found.nameEn : found.nameZh} (${found.code})` : id;
  }

  #table(): TemplateResult {
    const acts = this.grants || this.reviews;
    return html`<table>
      <thead>
        <tr>
          <th scope="col">${msg("持有人", { id: "holder" })}</th>
          <th scope="col">${msg("角色", { id: "role" })}</th>
          <th scope="col">${msg("范围", { id: "scope" })}</th>
          <th scope="col">${msg("状态", { id: "state" })}</th>
          <th scope="col">${msg("理由", { id: "reason" })}</th>
          ${acts ? html`<th scope="col">${msg("操作", { id: "action" })}</th>` : nothing}
        </tr>
      </thead>
      <tbody>
        ${this.#bindings.items.map(
          (row) =>
            html`<tr>
              <th scope="row">${row.subjectName ?? row.subject}</th>
              <td>
                ${roleName(row.role)}${row.kind === "standing" ? nothing : html` · ${row.kind === "eligible" ? msg("仅应急", { id: "eligible" }) : msg("应急提权", { id: "elevated" })}`}
              </td>
              <td>${this.#where(row.department)}</td>
              <td>${this.#state(row)}</td>
              <td>${row.reason}</td>
              ${acts ? html`<td><div class="bar">${this.#actions(row)}</div></td>` : nothing}
            </tr>`,
        )}
      </tbody>
    </table>`;
  }

  #state(row: RoleBinding): TemplateResult {
    const until = row.validUntil === null ? nothing : html` ${msg("有效期至", { id: "valid-until" })} ${time(row.validUntil)}`;
    const now = new Date().toISOString();
    const base =
      row.revokedAt !== null
        ? html`<span class="muted">✕ ${msg("已收回", { id: "revoked" })} ${time(row.revokedAt)}</span>`
        : row.validUntil !== null && row.validUntil < now
          ? html`<span class="muted">○ ${msg("已过期", { id: "s-expired" })} ${time(row.validUntil)}</span>`
          : html`<span class="good">● ${msg("有效", { id: "in-force" })}</span>${until}`;
    if (row.kind !== "elevated") return base;
    return html`${base} ·
    ${
      row.review === null
        ? html`<span class="warn">${msg("待复核", { id: "to-review" })}</span>`
        : row.review.verdict === "justified"
          ? html`<span class="good">${msg("复核：正当", { id: "justified" })}</span>`
          : html`<span class="bad">${msg("复核：不当", { id: "unjustified" })}</span>`
    }`;
  }

  #actions(row: RoleBinding): TemplateResult {
    const button = (text: string, work: () => Promise<unknown>) =>
      html`<button @click=${work} aria-label=${`${text}: ${row.subjectName ?? row.subject} ${roleName(row.role)}`}>${text}</button>`;
    return html`${this.grants && row.revokedAt === null ? button(msg("收回", { id: "revoke" }), () => this.#revoke(row)) : nothing}
    ${
      this.reviews && row.kind === "elevated" && row.review === null
        ? html`${button(msg("正当", { id: "is-justified" }), () => this.#review(row, "justified"))}
          ${button(msg("不当", { id: "is-unjustified" }), () => this.#review(row, "unjustified"))}`
        : nothing
    }`;
  }

  #form(): TemplateResult {
    return html`<section class="card">
      <h2>${msg("授予角色", { id: "grant-role" })}</h2>
      <form @submit=${(event: SubmitEvent) => this.#grant(event)}>
        <div class="bar">
          <label
            >${msg("账户", { id: "accounts" })}<select name="subject" required>
              ${this.#accounts.map((one) => html`<option value=${one.id}>${one.name}（${one.displayName}）</option>`)}
            </select></label
          >
          <label
            >${msg("角色", { id: "role" })}<select name="role" required>
              ${Role.options.map((role) => html`<option value=${role}>${roleName(role)}</option>`)}
            </select></label
          >
          <label
            >${msg("范围（部门及其下级）", { id: "subtree" })}<select name="department">
              <option value="">${msg("全部部门", { id: "everywhere" })}</option>
              ${[...this.#departments.values()].map((one) => html`<option value=${one.id}>${one.code} ${getLocale() === "en" ? one.nameEn : one.nameZh}</option>`)}
            </select></label
          >
          <label
            >${msg("方式", { id: "binding-kind" })}<select name="kind">
              <option value="standing">${msg("常设", { id: "standing" })}</option>
              <option value="eligible">${msg("仅应急", { id: "eligible" })}</option>
            </select></label
          >
        </div>
        <div class="bar">
          <label>${msg("有效期至（留空为长期）", { id: "until-or-always" })}<input name="validUntil" type="date" /></label>
          <label>${msg("审计期间自（仅审计机关）", { id: "period-from" })}<input name="periodFrom" type="date" /></label>
          <label>${msg("审计期间至（仅审计机关）", { id: "period-to" })}<input name="periodTo" type="date" /></label>
          <label>${msg("理由（如文号）", { id: "grant-reason" })}<input name="reason" required maxlength="1000" size="40" /></label>
          <button class="primary">${msg("授予", { id: "grant" })}</button>
        </div>
      </form>
    </section>`;
  }
}
customElements.define("zy-roles-page", RolesPage);
