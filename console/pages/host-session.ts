import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import { type HostSession, sessionEnds } from "../../control-plane/contract/host-sessions.ts";
import { get, text } from "../client/index.ts";
import type { TerminalView } from "../components/terminal-view.ts";
import { time } from "../format.ts";
import { getLocale } from "../locales/index.ts";
import { api, pages } from "../paths.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";
import "../components/terminal-view.ts";

/** Pauses of a replay are shortened to this, seconds. */
const longestPause = 2;

/** One session in a host, and its recording as it was seen. */
export class HostSessionPage extends Page {
  static override properties = { session: {} };
  declare session: string;
  #row: HostSession | undefined;
  #recording: string | undefined;
  #playing = 0;

  override async load(): Promise<void> {
    this.#row = await get<HostSession>(api.hostSession.one(this.session));
  }
  override concerns({ type }: { type: string }): boolean {
    return type.startsWith("host-session.");
  }
  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#playing++;
  }

  async #play(speed: number): Promise<void> {
    const turn = ++this.#playing;
    if (!(await this.attempt(async () => (this.#recording ??= await text(api.hostSession.recording(this.session)))))) return;
    const view = this.renderRoot.querySelector<TerminalView>("zy-terminal-view")!;
    const [head = "{}", ...lines] = this.#recording!.split("\n").filter((line) => line !== "");
    const { width = 80, height = 24 } = JSON.parse(head) as { width?: number; height?: number };
    view.clear();
    view.resize({ cols: width, rows: height });
    let before = 0;
    for (const line of lines) {
      const [at, kind, data] = JSON.parse(line) as [number, string, string];
      if (kind !== "o" && kind !== "r") continue;
      if (speed > 0) await new Promise((resolve) => setTimeout(resolve, (Math.min(longestPause, at - before) * 1000) / speed));
      if (turn !== this.#playing) return;
      before = at;
      const [cols, rows] = data.split("x").map(Number);
      if (kind === "o") view.write(data);
      else if (cols && rows) view.resize({ cols, rows });
    }
  }

  override show(): TemplateResult {
    const row = this.#row;
    if (!row) return html``;
    const end = row.endReason === null ? msg("进行中", { id: "session-open" }) : sessionEnds[row.endReason][getLocale() === "en" ? "en" : "zh"];
    return html`<nav><a href=${pages.hostSessions()}>${msg("主机授权与会话", { id: "inside-hosts" })}</a> › ${row.hostName}</nav>
      <h1>${msg("会话回放", { id: "session-replay" })} <span class="muted">${row.hostName}</span></h1>
      <p>${row.personName ?? row.person} · ${row.source} · ${row.purpose}${row.argv === null ? nothing : html` · <code>${row.argv.join(" ")}</code>`}</p>
      <p>${time(row.openedAt)} – ${time(row.endedAt)} · ${end}${row.exitCode === null ? nothing : html` (${row.exitCode})`}</p>
      ${row.recordingSha256 === null ? nothing : html`<p class="muted">SHA-256 <code>${row.recordingSha256}</code></p>`}
      <div class="bar">
        <button class="primary" @click=${() => this.#play(1)}>${msg("播放", { id: "play" })}</button>
        <button @click=${() => this.#play(8)}>8×</button>
        <button @click=${() => this.#play(0)}>${msg("直接看结果", { id: "play-all" })}</button>
      </div>
      <zy-terminal-view silent></zy-terminal-view>
      <zy-command .command=${`zhengyun host-sessions replay ${row.id}`}></zy-command>`;
  }
}
customElements.define("zy-host-session-page", HostSessionPage);
