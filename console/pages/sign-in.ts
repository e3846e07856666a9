import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { SignedIn } from "../../control-plane/contract/accounts.ts";
import { type OfferedProvider, oidcErrors } from "../../control-plane/contract/identity-providers.ts";
import { ApiProblem, list, post } from "../client/index.ts";
import { getLocale } from "../locales/index.ts";
import { api } from "../paths.ts";
import { fieldOf } from "./fields.ts";
import { Page } from "./page.ts";

/** Name and password; the code of the second factor and a new password are asked for when they are needed. */
export class SignInForm extends Page {
  #codeNeeded = false;
  #expired = false;

  #providers: OfferedProvider[] = [];

  override async load(): Promise<void> {
    // Name and password work without.
    this.#providers = await list<OfferedProvider>(api.signInProviders).catch(() => []);
  }
  override concerns(): boolean {
    return false;
  }

  async #send(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const field = fieldOf(event.target as HTMLFormElement);
    const body = { name: field("name"), password: field("password"), code: field("code") || null, newPassword: field("newPassword") || null };
    const done = await this.attempt(async () => {
      try {
        await post<SignedIn>(api.signIn, body);
      } catch (error) {
        const code = error instanceof ApiProblem ? error.problem.code : "";
        const asks = (code === "second-factor-needed" && !this.#codeNeeded) || (code === "password-expired" && !this.#expired);
        this.#codeNeeded ||= code === "second-factor-needed";
        this.#expired ||= code === "password-expired";
        if (!asks) throw error;
        await this.updateComplete;
        this.requestUpdate();
        await this.updateComplete;
        this.renderRoot.querySelector<HTMLInputElement>(code === "password-expired" ? "[name=newPassword]" : "[name=code]")?.focus();
        return;
      }
      location.assign(location.pathname);
    });
    if (!done) this.renderRoot.querySelector<HTMLInputElement>("[name=password]")?.focus();
  }

  /** Without a time of reading: nothing here was. */
  override render() {
    return html`<zy-problem .problem=${this.problem}></zy-problem>${this.loaded ? this.show() : nothing}`;
  }
  override show(): TemplateResult {
    const failed = new URLSearchParams(location.search).get("sign-in-error") ?? "";
    const why = Object.hasOwn(oidcErrors, failed) ? oidcErrors[failed as keyof typeof oidcErrors] : undefined;
    const language = getLocale() === "en" ? "en" : "zh";
    return html`${why ? html`<p class="warn" role="alert">${why[language]}</p>` : nothing}
      <form @submit=${(event: SubmitEvent) => this.#send(event)}>
        <div class="bar">
          <label
            >${msg("账户", { id: "account-name" })}<input name="name" required maxlength="64" autocomplete="username" autocapitalize="none" spellcheck="false"
          /></label>
          <label>${msg("密码", { id: "password" })}<input name="password" type="password" required maxlength="1000" autocomplete="current-password" /></label>
          ${
            this.#codeNeeded
              ? html`<label
                  >${msg("动态验证码或恢复码", { id: "factor-code" })}<input name="code" required maxlength="40" autocomplete="one-time-code" inputmode="text"
                /></label>`
              : nothing
          }
          ${
            this.#expired
              ? html`<label
                  >${msg("密码已过期，新密码", { id: "expired-new-password" })}<input
                    name="newPassword"
                    type="password"
                    required
                    maxlength="1000"
                    autocomplete="new-password"
                /></label>`
              : nothing
          }
          <button class="primary">${msg("登录", { id: "sign-in-now" })}</button>
        </div>
      </form>
      ${
        this.#providers.length > 0
          ? html`<p class="bar">
              ${this.#providers.map((one) => html`<a class="button" href=${api.signInBy(one.id)}>${language === "en" ? `Sign in by ${one.nameEn}` : `使用${one.nameZh}登录`}</a>`)}
            </p>`
          : nothing
      }`;
  }
}
customElements.define("zy-sign-in", SignInForm);
