import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { Consent } from "../../control-plane/contract/consents.ts";
import { type HostSession, sessionEnds } from "../../control-plane/contract/host-sessions.ts";
import { list, Paged, post } from "../client/index.ts";
import { time } from "../format.ts";
import { getLocale } from "../locales/index.ts";
import { api, pages } from "../paths.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";

/** Who was in which host, and who lets operations in: an owner's people answer here. */
export class HostSessionsPage extends Page {
  static override properties = { host: {}, owns: { type: Boolean }, replays: { type: Boolean } };
  /** "": all that one may see. */
  declare host: string;
  declare owns: boolean;
  declare replays: boolean;
  #consents: Consent[] = [];
  #sessions = new Paged<HostSession>((cursor) =>
    api.hostSession.list({ ...(this.host ? { host: this.host } : {}), ...(cursor === undefined ? {} : { cursor }) }),
  );

  override async load(): Promise<void> {
    const [asked, granted] = await Promise.all(
      ["asked", "granted"].map((state) => list<Consent>(api.consents({ state, ...(this.host ? { host: this.host } : {}) }))),
    );
    this.#consents = [...asked!, ...granted!];
    await this.#sessions.load();
  }
  override concerns({ type }: { type: string }): boolean {
    return type.startsWith("consent.") || type.startsWith("host-session.");
  }
  async #answer(consent: Consent, how: "grant" | "refuse" | "revoke", reason = ""): Promise<void> {
    if (await this.attempt(() => post(api.consent(consent.id, how), { reason }))) await this.refresh();
  }
  #refuse(consent: Consent): void {
    const reason = prompt(msg("拒绝理由", { id: "consent-reason" }))?.trim();
    if (reason) void this.#answer(consent, "refuse", reason);
  }

  override show(): TemplateResult {
    return html`<h1>${msg("主机授权与会话", { id: "inside-hosts" })}</h1>
      <h2>${msg("授权", { id: "consents" })}</h2>
      <div class="card" tabindex="0">
        ${
          this.#consents.length === 0
            ? html`<p>${msg("没有待处理或有效的授权。", { id: "no-consents" })}</p>`
            : html`<table>
                <thead>
                  <tr>
                    <th scope="col">${msg("状态", { id: "state" })}</th>
                    <th scope="col">${msg("主机或业务系统", { id: "consent-what" })}</th>
                    <th scope="col">${msg("授予", { id: "consent-to" })}</th>
                    <th scope="col">${msg("事由", { id: "terminal-purpose" })}</th>
                    <th scope="col">${msg("请求人", { id: "consent-asked-by" })}</th>
                    <th scope="col">${msg("有效期", { id: "consent-until" })}</th>
                    <th scope="col">${msg("操作", { id: "acts" })}</th>
                  </tr>
                </thead>
                <tbody>
                  ${this.#consents.map((one) => this.#consent(one))}
                </tbody>
              </table>`
        }
      </div>
      <h2>${msg("会话", { id: "host-sessions-list" })}</h2>
      <div class="card" tabindex="0">${this.#sessions.items.length === 0 ? html`<p>${msg("没有会话。", { id: "no-host-sessions" })}</p>` : this.#table()}</div>
      <zy-command .command=${"zhengyun host-sessions list"}></zy-command>`;
  }

  #consent(one: Consent): TemplateResult {
    const asked = one.state === "asked";
    return html`<tr>
      <td>
        ${asked ? html`<span class="warn">▲ ${msg("待答复", { id: "consent-state-asked" })}</span>` : html`<span class="good">● ${msg("有效", { id: "consent-state-granted" })}</span>`}
      </td>
      <th scope="row">${one.hostName ?? one.applicationName}</th>
      <td>${one.grantee === null ? msg("全体运维人员", { id: "consent-everybody" }) : (one.granteeName ?? one.grantee)}</td>
      <td>${one.purpose}</td>
      <td>${one.askedByName ?? one.askedBy}</td>
      <td>${one.validUntil === null ? html`${one.minutes} ${msg("分钟", { id: "minutes" })}` : time(one.validUntil)}</td>
      <td>
        ${
          this.owns
            ? asked
              ? html`<button class="primary" @click=${() => this.#answer(one, "grant")}>${msg("同意", { id: "consent-grant" })}</button>
                  <button @click=${() => this.#refuse(one)}>${msg("拒绝", { id: "consent-refuse" })}</button>`
              : html`<button @click=${() => this.#answer(one, "revoke")}>${msg("撤销", { id: "consent-revoke" })}</button>`
            : nothing
        }
      </td>
    </tr>`;
  }

  #table(): TemplateResult {
    const basis = (one: HostSession) =>
      ({
        owner: html`${msg("归属部门", { id: "basis-owner" })}`,
        consent: html`${msg("经授权", { id: "basis-consent" })}`,
        "break-glass": html`<span class="bad"
          >✕ ${msg("应急", { id: "basis-break-glass" })}${one.reviewed ? "" : ` · ${msg("待复核", { id: "not-reviewed" })}`}</span
        >`,
      })[one.basis];
    return html`<table>
        <thead>
          <tr>
            <th scope="col">${msg("开始", { id: "session-begun" })}</th>
            <th scope="col">${msg("主机", { id: "host" })}</th>
            <th scope="col">${msg("人员", { id: "session-who" })}</th>
            <th scope="col">${msg("依据", { id: "session-basis" })}</th>
            <th scope="col">${msg("事由", { id: "terminal-purpose" })}</th>
            <th scope="col">${msg("来源", { id: "session-source" })}</th>
            <th scope="col">${msg("结束", { id: "session-end" })}</th>
            <th scope="col">${msg("操作", { id: "acts" })}</th>
          </tr>
        </thead>
        <tbody>
          ${this.#sessions.items.map(
            (one) =>
              html`<tr>
                <td>${time(one.openedAt ?? one.createdAt)}</td>
                <th scope="row">${one.hostName}</th>
                <td>${one.personName ?? one.person}</td>
                <td>${basis(one)}</td>
                <td>${one.argv === null ? one.purpose : html`${one.purpose}<br /><code>${one.argv.join(" ").slice(0, 80)}</code>`}</td>
                <td>${one.source}</td>
                <td>
                  ${one.endReason === null ? html`<span class="good">● ${msg("进行中", { id: "session-open" })}</span>` : html`${sessionEnds[one.endReason][getLocale() === "en" ? "en" : "zh"]}<br /><span class="muted">${time(one.endedAt)}</span>`}
                </td>
                <td>
                  ${this.replays && one.openedAt ? html`<a href=${pages.hostSession(one.id)}>${msg("回放", { id: "replay" })}</a>` : nothing}
                  ${one.state === "ended" ? nothing : html`<button @click=${() => this.#end(one)}>${msg("终止", { id: "session-stop" })}</button>`}
                </td>
              </tr>`,
          )}
        </tbody>
      </table>
      ${this.#sessions.more ? html`<div class="bar"><button @click=${() => this.#next()}>${msg("更多", { id: "more" })}</button></div>` : nothing}`;
  }
  async #end(one: HostSession): Promise<void> {
    if (await this.attempt(() => post(api.hostSession.end(one.id), {}))) await this.refresh();
  }
  async #next(): Promise<void> {
    await this.attempt(() => this.#sessions.loadMore());
  }
}
customElements.define("zy-host-sessions-page", HostSessionsPage);
