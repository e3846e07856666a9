import { html, LitElement, nothing } from "lit";
import { msg, updateWhenLocaleChanges } from "@lit/localize";
import { noticeKinds, type NotificationSettings, subscribable } from "../../control-plane/contract/notices.ts";
import { getLocale } from "../locales/index.ts";
import { shared } from "../styles.ts";

/** Where mail goes, in which language and about what. Sends `zy-save` with the settings. */
export class MailSettings extends LitElement {
  static override properties = { settings: { attribute: false }, saved: { type: Boolean } };
  declare settings: NotificationSettings | undefined;
  declare saved: boolean;
  static override styles = shared;

  constructor() {
    super();
    this.saved = false;
    updateWhenLocaleChanges(this);
  }

  #save(event: SubmitEvent): void {
    event.preventDefault();
    const form = new FormData(event.target as HTMLFormElement);
    const email = form.get("email");
    const detail = {
      email: typeof email === "string" && email.trim() !== "" ? email.trim() : null,
      language: form.get("language") === "en" ? "en" : "zh-CN",
      mailKinds: form.getAll("kind"),
    };
    this.dispatchEvent(new CustomEvent("zy-save", { detail }));
  }

  override render() {
    const { settings } = this;
    if (!settings) return nothing;
    const language = getLocale() === "en" ? "en" : "zh-CN";
    return html`${settings.mailConfigured ? nothing : html`<p class="warn">! ${msg("管理员尚未配置邮件服务器，设置会保留。", { id: "mail-not-configured" })}</p>`}
      <form @submit=${(event: SubmitEvent) => this.#save(event)}>
        <div class="bar">
          <label
            >${msg("电子邮箱（留空则不发送）", { id: "email" })}<input
              name="email"
              type="email"
              maxlength="254"
              size="32"
              autocomplete="email"
              .value=${settings.email ?? ""}
          /></label>
          <label
            >${msg("邮件语言", { id: "mail-language" })}<select name="language">
              <option value="zh-CN" lang="zh-CN" ?selected=${settings.language === "zh-CN"}>中文</option>
              <option value="en" lang="en" ?selected=${settings.language === "en"}>English</option>
            </select></label
          >
        </div>
        <fieldset class="choices">
          <legend>${msg("以下事项发送邮件", { id: "mail-kinds" })}</legend>
          ${subscribable.map(
            (kind) =>
              html`<label
                ><input type="checkbox" name="kind" value=${kind} .checked=${settings.mailKinds.includes(kind)} /> ${noticeKinds[kind].name[language]}</label
              >`,
          )}
        </fieldset>
        <div class="bar"><button class="primary">${msg("保存", { id: "save" })}</button></div>
      </form>
      ${this.saved ? html`<p class="good" role="status">✓ ${msg("已保存。", { id: "saved" })}</p>` : nothing}`;
  }
}
customElements.define("zy-mail-settings", MailSettings);
