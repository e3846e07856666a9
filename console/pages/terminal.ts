import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { Consent } from "../../control-plane/contract/consents.ts";
import { sessionEnds, type TerminalEnd } from "../../control-plane/contract/host-sessions.ts";
import { post } from "../client/index.ts";
import { type OpenTerminal, openTerminal } from "../client/terminal.ts";
import type { TerminalView } from "../components/terminal-view.ts";
import { getLocale } from "../locales/index.ts";
import { api, pages } from "../paths.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";
import "../components/terminal-view.ts";

/** A terminal in a host: for its department's people; an operator asks for consent here. */
export class TerminalPage extends Page {
  static override properties = { host: {}, name: {}, operates: { type: Boolean } };
  declare host: string;
  declare name: string;
  /** Whether who looks may ask for consent. */
  declare operates: boolean;
  override stamped = false;
  #open: OpenTerminal | undefined;
  #end: TerminalEnd | "broken" | undefined;
  #busy = false;
  #asked: Consent | undefined;

  override async load(): Promise<void> {
    // Nothing is read before somebody opens it.
  }
  override concerns(): boolean {
    return false;
  }
  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#open?.close();
  }
  get #view(): TerminalView {
    return this.renderRoot.querySelector<TerminalView>("zy-terminal-view")!;
  }

  async #begin(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    if (this.#busy) return;
    this.#busy = true;
    this.#end = undefined;
    const purpose = new FormData(event.target as HTMLFormElement).get("purpose") as string;
    const view = this.#view;
    view.clear();
    await this.attempt(async () => {
      this.#open = await openTerminal(
        this.host,
        { purpose: purpose.trim(), ...view.size },
        {
          shown: (data) => view.write(data),
          ended: (end) => {
            this.#open = undefined;
            this.#end = end ?? "broken";
            this.requestUpdate();
          },
        },
      );
    });
    this.#busy = false;
    this.#view.querySelector("textarea")?.focus();
  }
  async #ask(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const form = new FormData(event.target as HTMLFormElement);
    const body = { host: this.host, purpose: (form.get("purpose") as string).trim(), minutes: Number(form.get("minutes")) };
    await this.attempt(async () => (this.#asked = await post<Consent>(api.consents(), body)));
  }

  override show(): TemplateResult {
    const open = this.#open;
    return html`<h1>${msg("终端", { id: "terminal" })} <span class="muted">${this.name || this.host}</span></h1>
      <form class="bar" @submit=${(event: SubmitEvent) => this.#begin(event)}>
        <label
          >${msg("事由", { id: "terminal-purpose" })}<input
            name="purpose"
            required
            maxlength="500"
            size="40"
            value=${msg("日常维护", { id: "terminal-routine" })}
            ?disabled=${open !== undefined}
        /></label>
        <button class="primary" ?disabled=${open !== undefined}>${msg("打开终端", { id: "terminal-open" })}</button>
        <button type="button" ?disabled=${open === undefined} @click=${() => open?.close()}>${msg("关闭终端", { id: "terminal-close" })}</button>
        <a href=${pages.hostSessions(this.host)}>${msg("会话记录", { id: "host-sessions" })}</a>
      </form>
      <p class="muted">${msg("键入和显示的全部内容（包括密码）都会录像，归属部门、安全管理员和审计管理员可以回放。", { id: "terminal-recorded" })}</p>
      ${open ? html`<p class="good" role="status">● ${msg("录像中", { id: "terminal-recording" })} <code>${open.session.id}</code></p>` : nothing}
      ${this.#end === undefined ? nothing : html`<p class="warn" role="status">▲ ${msg("会话已结束：", { id: "terminal-ended" })}${this.#said(this.#end)}</p>`}
      <zy-terminal-view
        @zy-typed=${(event: CustomEvent<string>) => this.#open?.write(event.detail)}
        @zy-resized=${(event: CustomEvent<{ cols: number; rows: number }>) => this.#open?.tell({ type: "resize", ...event.detail })}
      ></zy-terminal-view>
      ${this.operates && this.problem?.status === 403 ? this.#consent() : nothing}
      <zy-command .command=${`zhengyun hosts shell ${this.host}`}></zy-command>`;
  }

  #said(end: TerminalEnd | "broken"): string {
    if (end === "broken") return msg("连接中断", { id: "not-live" });
    return [sessionEnds[end.reason][getLocale() === "en" ? "en" : "zh"], end.exitCode === null ? "" : `(${end.exitCode})`, end.detail]
      .filter(Boolean)
      .join(" ");
  }

  #consent(): TemplateResult {
    if (this.#asked) return html`<p class="good" role="status">✓ ${msg("已请求授权，归属部门会收到通知。", { id: "consent-sent" })}</p>`;
    return html`<form class="card" @submit=${(event: SubmitEvent) => this.#ask(event)}>
      <h2>${msg("请求归属部门授权", { id: "consent-ask" })}</h2>
      <div class="bar">
        <label>${msg("事由", { id: "terminal-purpose" })}<input name="purpose" required maxlength="1000" size="40" /></label>
        <label>${msg("时长（分钟）", { id: "consent-minutes" })}<input name="minutes" type="number" min="5" max="1440" value="60" required /></label>
        <button class="primary">${msg("请求授权", { id: "consent-send" })}</button>
      </div>
    </form>`;
  }
}
customElements.define("zy-terminal-page", TerminalPage);
