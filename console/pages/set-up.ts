import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { LinkPurpose } from "../../control-plane/contract/accounts.ts";
import { post } from "../client/index.ts";
import { api, pages } from "../paths.ts";
import { fieldOf } from "./fields.ts";
import { Page } from "./page.ts";

/** What a one-time link opens: the first run, where the first administrator chooses a name and a password; or an account whose password is set. */
export class SetUpPage extends Page {
  #purpose: LinkPurpose | undefined;
  #differ = false;
  readonly #code = location.hash.slice(1);

  override async load(): Promise<void> {
    // Neither the history nor a shared screen keeps the code.
    history.replaceState(null, "", location.pathname);
    this.#purpose = await post<LinkPurpose>(api.readLink, { code: this.#code });
  }
  override concerns(): boolean {
    return false;
  }

  async #send(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const field = fieldOf(event.target as HTMLFormElement);
    this.#differ = field("password") !== field("passwordAgain");
    if (this.#differ) return this.requestUpdate();
    const first = this.#purpose?.purpose === "bootstrap" ? { name: field("name"), displayName: field("displayName") } : {};
    await this.attempt(async () => {
      await post(api.useLink, { code: this.#code, password: field("password"), ...first });
      location.assign(pages.account());
    });
  }

  /** Without a time of reading: nothing here was. */
  override render() {
    return html`<zy-problem .problem=${this.problem}></zy-problem>${this.loaded ? this.show() : nothing}`;
  }
  override show(): TemplateResult {
    const purpose = this.#purpose;
    if (!purpose) return html`<h1>${msg("设置账户", { id: "set-up" })}</h1>`;
    const first = purpose.purpose === "bootstrap";
    return html`<h1>${first ? msg("首次运行：设立首位管理员", { id: "first-run" }) : msg("设置账户", { id: "set-up" })}</h1>
      <form class="card" @submit=${(event: SubmitEvent) => this.#send(event)}>
        ${
          first
            ? html`<p>${msg("此链接只能使用一次。系统没有默认密码；下一步可绑定动态验证码。", { id: "first-run-how" })}</p>
                <div class="bar">
                  <label
                    >${msg("账户", { id: "account-name" })}<input
                      name="name"
                      required
                      minlength="2"
                      maxlength="64"
                      pattern="[a-zA-Z0-9][a-zA-Z0-9._@\\-]+"
                      autocomplete="username"
                      autocapitalize="none"
                      spellcheck="false"
                  /></label>
                  <label>${msg("姓名", { id: "display-name" })}<input name="displayName" required maxlength="200" autocomplete="name" /></label>
                </div>`
            : html`<p>${purpose.displayName} (<code>${purpose.name}</code>)</p>`
        }
        <div class="bar">
          <label
            >${msg("新密码", { id: "new-password" })}<input
              name="password"
              type="password"
              required
              minlength="12"
              maxlength="128"
              autocomplete="new-password"
              aria-describedby="rules"
          /></label>
          <label
            >${msg("再次输入", { id: "password-again" })}<input name="passwordAgain" type="password" required maxlength="128" autocomplete="new-password"
          /></label>
          <button class="primary">${msg("设置并登录", { id: "set-and-sign-in" })}</button>
        </div>
        <p id="rules" class="muted">
          ${msg("至少 12 个字符，含大写、小写、数字、其他字符中的三类；不得含账户名；90 天后更换，不得与最近五次相同。", { id: "password-rules" })}
        </p>
        ${this.#differ ? html`<p class="bad" role="alert">✕ ${msg("两次输入不一致。", { id: "passwords-differ" })}</p>` : nothing}
      </form>`;
  }
}
customElements.define("zy-set-up-page", SetUpPage);
