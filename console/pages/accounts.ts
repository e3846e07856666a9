import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { Account, MadeAccount } from "../../control-plane/contract/accounts.ts";
import { Paged, post } from "../client/index.ts";
import { time } from "../format.ts";
import { api } from "../paths.ts";
import { fieldOf } from "./fields.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";

/** Accounts: made and ended by system administrators, who never learn a password. */
export class AccountsPage extends Page {
  static override properties = { changes: { type: Boolean } };
  /** Whether the reader may change them: system administrators. */
  declare changes: boolean;
  readonly #accounts = new Paged<Account>((cursor) => api.accounts({ cursor }));
  /** Whose link is to be handed over: it is shown this once. */
  #made: MadeAccount | undefined;

  override load(): Promise<void> {
    return this.#accounts.load();
  }
  override concerns(): boolean {
    return false;
  }

  async #create(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const form = event.target as HTMLFormElement;
    const field = fieldOf(form);
    const ask = { name: field("name"), displayName: field("displayName"), kind: field("kind") };
    if (await this.act(async () => (this.#made = await post<MadeAccount>(api.accounts(), ask)))) form.reset();
  }
  async #reset(row: Account): Promise<void> {
    if (confirm(`${msg("密码、第二因素、会话与个人令牌全部作废，并生成新的设置链接？", { id: "reset-account" })} ${row.name}`))
      await this.act(async () => (this.#made = await post<MadeAccount>(api.accountAct(row.id, "reset"), {})));
  }

  override show(): TemplateResult {
    return html`<h1>${msg("账户", { id: "accounts" })}</h1>
      ${this.#made?.setUp ? this.#link(this.#made, this.#made.setUp) : nothing}
      <section class="card" tabindex="0">${this.#table()} ${this.more(this.#accounts)}</section>
      ${this.changes ? this.#form() : nothing}
      <zy-command .command=${"zhengyun accounts list"}></zy-command>`;
  }

  #link({ name }: MadeAccount, { path, expiresAt }: NonNullable<MadeAccount["setUp"]>): TemplateResult {
    return html`<div class="card" role="status">
      <p>${msg("设置密码的链接只显示这一次，只能使用一次，请当面交给本人：", { id: "set-up-link" })} <strong>${name}</strong></p>
      <p><code>${new URL(path, location.href).href}</code></p>
      <p class="muted">${msg("有效期至", { id: "valid-until" })} ${time(expiresAt)}</p>
    </div>`;
  }

  #table(): TemplateResult {
    return html`<table>
      <thead>
        <tr>
          <th scope="col">${msg("账户", { id: "account-name" })}</th>
          <th scope="col">${msg("姓名", { id: "display-name" })}</th>
          <th scope="col">${msg("类型", { id: "kind" })}</th>
          <th scope="col">${msg("状态", { id: "state" })}</th>
          <th scope="col">${msg("动态验证码（TOTP）", { id: "second-factor" })}</th>
          <th scope="col">${msg("最近登录", { id: "last-sign-in" })}</th>
          ${this.changes ? html`<th scope="col">${msg("操作", { id: "action" })}</th>` : nothing}
        </tr>
      </thead>
      <tbody>
        ${this.#accounts.items.map(
          (row) =>
            html`<tr>
              <th scope="row">${row.name}</th>
              <td>${row.displayName}</td>
              <td>${row.kind === "service" ? msg("服务", { id: "service" }) : msg("人员", { id: "person" })}</td>
              <td>${this.#state(row)}</td>
              <td>
                ${row.kind === "service" ? "–" : row.secondFactor ? html`<span class="good">✓</span>` : html`<span class="warn">${msg("未绑定", { id: "none-bound" })}</span>`}
              </td>
              <td>${time(row.lastSignInAt)}</td>
              ${this.changes ? html`<td><div class="bar">${this.#actions(row)}</div></td>` : nothing}
            </tr>`,
        )}
      </tbody>
    </table>`;
  }

  #state(row: Account): TemplateResult {
    if (row.state === "active") return html`<span class="good">● ${msg("启用", { id: "account-active" })}</span>`;
    if (row.state === "invited") return html`<span class="warn">○ ${msg("待本人设置", { id: "account-invited" })}</span>`;
    if (row.state === "locked") return html`<span class="bad">✕ ${msg("已锁定至", { id: "account-locked" })} ${time(row.lockedUntil)}</span>`;
    return html`<span class="bad">✕ ${msg("已停用", { id: "account-disabled" })}</span>`;
  }

  #actions(row: Account): TemplateResult {
    const button = (text: string, work: () => Promise<unknown>) => html`<button @click=${work} aria-label=${`${text}: ${row.name}`}>${text}</button>`;
    const act = (how: "disable" | "enable" | "unlock") => () => this.act(() => post(api.accountAct(row.id, how), {}));
    return html`${row.state === "disabled" ? button(msg("启用", { id: "enable" }), act("enable")) : button(msg("停用", { id: "disable" }), act("disable"))}
    ${row.state === "locked" ? button(msg("解锁", { id: "unlock" }), act("unlock")) : nothing}
    ${row.kind === "person" ? button(msg("重置", { id: "reset" }), () => this.#reset(row)) : nothing}`;
  }

  #form(): TemplateResult {
    return html`<section class="card">
      <h2>${msg("新建账户", { id: "new-account" })}</h2>
      <p class="muted">${msg("账户本身没有任何权限：角色由安全管理员授予。", { id: "account-no-roles" })}</p>
      <form class="bar" @submit=${(event: SubmitEvent) => this.#create(event)}>
        <label>${msg("账户", { id: "account-name" })}<input name="name" required pattern="[A-Za-z0-9][A-Za-z0-9._@\\-]{1,63}" /></label>
        <label>${msg("姓名", { id: "display-name" })}<input name="displayName" required maxlength="200" /></label>
        <label
          >${msg("类型", { id: "kind" })}<select name="kind">
            <option value="person">${msg("人员", { id: "person" })}</option>
            <option value="service">${msg("服务", { id: "service" })}</option>
          </select></label
        >
        <button class="primary">${msg("新建", { id: "create" })}</button>
      </form>
    </section>`;
  }
}
customElements.define("zy-accounts-page", AccountsPage);
