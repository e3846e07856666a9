import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { OwnAccount, OwnSession } from "../../control-plane/contract/accounts.ts";
import type { NotificationSettings } from "../../control-plane/contract/notices.ts";
import { get, list, post, put, remove } from "../client/index.ts";
import { time } from "../format.ts";
import { api } from "../paths.ts";
import { fieldOf } from "./fields.ts";
import { Page } from "./page.ts";
import "../components/mail-settings.ts";
import "../components/qr-code.ts";

/** One's own account: the second factor, the password, and where one is signed in. */
export class AccountPage extends Page {
  #account: OwnAccount | undefined;
  #sessions: OwnSession[] = [];
  #totp: { secret: string; uri: string } | undefined;
  #recoveryCodes: string[] = [];
  #changed = false;
  #settings: NotificationSettings | undefined;
  #saved = false;

  override async load(): Promise<void> {
    [this.#account, this.#sessions, this.#settings] = await Promise.all([
      get<OwnAccount>(api.account),
      list<OwnSession>(api.sessions),
      get<NotificationSettings>(api.notifications),
    ]);
  }
  override concerns(): boolean {
    return false;
  }

  /** A form whose answer is shown; it is emptied when it succeeded. */
  async #submit(event: SubmitEvent, work: (field: (name: string) => string) => Promise<unknown>): Promise<void> {
    event.preventDefault();
    const form = event.target as HTMLFormElement;
    const done = await this.attempt(async () => {
      await work(fieldOf(form));
      await this.load();
    });
    if (done) form.reset();
    this.requestUpdate();
  }

  override show(): TemplateResult {
    const account = this.#account;
    if (!account) return html`<h1>${msg("我的账户", { id: "my-account" })}</h1>`;
    return html`<h1>${msg("我的账户", { id: "my-account" })}</h1>
      <p>${account.displayName} (<code>${account.name}</code>)</p>
      <section class="card">
        <h2>${msg("动态验证码（TOTP）", { id: "second-factor" })}</h2>
        ${this.#recoveryCodes.length > 0 ? this.#showRecoveryCodes() : nothing}
        ${account.secondFactor ? this.#bound(account) : this.#totp ? this.#confirm(this.#totp) : this.#begin()}
      </section>
      <section class="card">
        <h2>${msg("邮件通知", { id: "mail-settings" })}</h2>
        <zy-mail-settings
          .settings=${this.#settings}
          .saved=${this.#saved}
          @zy-save=${(event: CustomEvent<unknown>) => this.#save(account, event.detail)}
        ></zy-mail-settings>
      </section>
      <section class="card">
        <h2>${msg("登录会话", { id: "sessions" })}</h2>
        <table>
          <caption>
            ${msg("不认识的会话请立即结束并修改密码。", { id: "sessions-how" })}
          </caption>
          <thead>
            <tr>
              <th scope="col">${msg("来源", { id: "session-source" })}</th>
              <th scope="col">${msg("登录时间", { id: "signed-in-at" })}</th>
              <th scope="col">${msg("最近活动", { id: "last-seen" })}</th>
              <th scope="col">${msg("程序", { id: "agent" })}</th>
              <th scope="col">${msg("操作", { id: "action" })}</th>
            </tr>
          </thead>
          <tbody>
            ${this.#sessions.map(
              (one) =>
                html`<tr>
                  <th scope="row">${one.source ?? "–"}</th>
                  <td>${time(one.createdAt)}</td>
                  <td>${time(one.lastSeenAt)}</td>
                  <td>${(one.agent ?? "–").slice(0, 60)}</td>
                  <td>
                    ${
                      one.current
                        ? html`<span class="good">● ${msg("当前会话", { id: "this-session" })}</span>`
                        : html`<button @click=${() => this.#end(one.id)}>${msg("结束", { id: "end-session" })}</button>`
                    }
                  </td>
                </tr>`,
            )}
          </tbody>
        </table>
      </section>
      <section class="card">
        <h2>${msg("修改密码", { id: "change-password" })}</h2>
        <form
          class="bar"
          @submit=${(event: SubmitEvent) =>
            this.#submit(event, async (field) => {
              await post(api.password, { password: field("password"), newPassword: field("newPassword") });
              this.#changed = true;
            })}
        >
          ${this.#present()}
          <label
            >${msg("新密码", { id: "new-password" })}<input
              name="newPassword"
              type="password"
              required
              minlength="12"
              maxlength="128"
              autocomplete="new-password"
          /></label>
          <button>${msg("修改", { id: "change" })}</button>
        </form>
        ${this.#changed ? html`<p class="good" role="status">✓ ${msg("密码已修改，其他会话已结束。", { id: "password-changed" })}</p>` : nothing}
      </section>`;
  }

  async #save(account: OwnAccount, settings: unknown): Promise<void> {
    this.#saved = await this.attempt(async () => {
      await put(api.notifications, settings, account.revision);
      await this.load();
    });
    this.requestUpdate();
  }
  #end(id: string): Promise<void> {
    return this.attempt(() => remove(api.session(id))).then(() => this.refresh());
  }
  #present = () =>
    html`<label
      >${msg("当前密码", { id: "present-password" })}<input name="password" type="password" required maxlength="1000" autocomplete="current-password"
    /></label>`;

  #begin() {
    return html`<p>${msg("未绑定。绑定后登录时除密码外还需手机上的验证码。", { id: "totp-none" })}</p>
      <form
        class="bar"
        @submit=${(event: SubmitEvent) =>
          this.#submit(event, async (field) => {
            this.#totp = await post<{ secret: string; uri: string }>(api.totp, { password: field("password") });
          })}
      >
        ${this.#present()}<button class="primary">${msg("绑定", { id: "totp-begin" })}</button>
      </form>`;
  }

  #confirm({ secret, uri }: { secret: string; uri: string }) {
    return html`<p>${msg("用验证器应用扫描二维码（或输入密钥），然后输入它显示的验证码：", { id: "totp-how" })}</p>
      <zy-qr-code .text=${uri} .label=${msg("绑定二维码", { id: "totp-qr" })}></zy-qr-code>
      <p><code>${secret.match(/.{4}/g)?.join(" ")}</code> · <a href=${uri}>${msg("在本机的应用中打开", { id: "totp-open" })}</a></p>
      <form
        class="bar"
        @submit=${(event: SubmitEvent) =>
          this.#submit(event, async (field) => {
            this.#recoveryCodes = (await post<{ recoveryCodes: string[] }>(api.totpConfirm, { code: field("code") })).recoveryCodes;
            this.#totp = undefined;
          })}
      >
        <label
          >${msg("验证码", { id: "totp-code" })}<input name="code" required pattern="[0-9]{6}" inputmode="numeric" autocomplete="one-time-code" maxlength="6"
        /></label>
        <button class="primary">${msg("确认", { id: "totp-confirm" })}</button>
      </form>`;
  }

  #showRecoveryCodes() {
    return html`<div role="status">
      <p>${msg("恢复码只显示这一次；每个只能用一次。请打印并妥善保管：", { id: "recovery-codes" })}</p>
      <ul>
        ${this.#recoveryCodes.map((one) => html`<li><code>${one}</code></li>`)}
      </ul>
    </div>`;
  }

  #bound(account: OwnAccount) {
    return html`<p>
        <span class="good">✓ ${msg("已绑定", { id: "totp-bound" })}</span> · ${msg("剩余恢复码", { id: "recovery-left" })} ${account.recoveryCodesLeft}
      </p>
      <form
        class="bar"
        @submit=${(event: SubmitEvent) =>
          this.#submit(event, async (field) => {
            await post(api.totpRemove, { password: field("password"), code: field("code") });
            this.#recoveryCodes = [];
          })}
      >
        ${this.#present()}
        <label>${msg("动态验证码或恢复码", { id: "factor-code" })}<input name="code" required maxlength="40" autocomplete="one-time-code" /></label>
        <button>${msg("解除绑定", { id: "totp-remove" })}</button>
      </form>`;
  }
}
customElements.define("zy-account-page", AccountPage);
