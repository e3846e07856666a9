/** What all pages do: load, show what went wrong, and load again when something happened. */
import { html, LitElement, nothing, type TemplateResult } from "lit";
import { msg, updateWhenLocaleChanges } from "@lit/localize";
import type { Event as Happened } from "../../control-plane/contract/access.ts";
import type { Problem } from "../../control-plane/contract/problems.ts";
import { ApiProblem, type Paged } from "../client/index.ts";
import { shared } from "../styles.ts";
import { time } from "../format.ts";
import "../components/problem-note.ts";

export abstract class Page extends LitElement {
  static override styles: typeof shared | (typeof shared)[] = shared;
  problem: Problem | undefined;
  loaded = false;
  readAt: string | null = null;
  /** Whether it says when it was read. */
  stamped = true;
  readonly #happened = (event: globalThis.Event) => {
    if ((event as CustomEvent<Happened[]>).detail.some((one) => this.concerns(one))) void this.refresh();
  };

  constructor() {
    super();
    updateWhenLocaleChanges(this);
  }
  /** Reads what the page shows. */
  abstract load(): Promise<void>;
  abstract show(): TemplateResult;
  /** Whether an event changes what is shown. */
  concerns(_event: Happened): boolean {
    return true;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    globalThis.addEventListener("zy-events", this.#happened);
    void this.refresh();
  }
  override disconnectedCallback(): void {
    super.disconnectedCallback();
    globalThis.removeEventListener("zy-events", this.#happened);
  }

  async refresh(): Promise<void> {
    await this.attempt(() => this.load());
    this.loaded = true;
    this.readAt = new Date().toISOString();
    this.requestUpdate();
  }
  /** Runs a call; a refusal is shown, nothing that was typed is lost. */
  async attempt(work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work();
      this.problem = undefined;
      return true;
    } catch (error) {
      if (error instanceof ApiProblem && error.problem.status === 401) globalThis.dispatchEvent(new Event("zy-signed-out"));
      this.problem =
        error instanceof ApiProblem
          ? error.problem
          : { type: "about:blank", code: "network", status: 0, title: msg("无法连接服务", { id: "no-network" }), detail: String(error) };
      return false;
    } finally {
      this.requestUpdate();
    }
  }

  /** Changes something, then reads the page anew. */
  act(work: () => Promise<unknown>): Promise<boolean> {
    return this.attempt(async () => {
      await work();
      await this.load();
    });
  }
  /** The way to the rest of a list, where there is more. */
  more<T>(list: Paged<T>): TemplateResult | typeof nothing {
    return list.more
      ? html`<div class="bar"><button @click=${() => this.attempt(() => list.loadMore())}>${msg("更多", { id: "more" })}</button></div>`
      : nothing;
  }

  override render() {
    return html`<zy-problem .problem=${this.problem}></zy-problem>
      ${this.loaded ? this.show() : html`<p class="muted" aria-live="polite">${msg("正在读取…", { id: "loading" })}</p>`}
      ${this.readAt && this.stamped ? html`<p class="muted">${msg("读取时间", { id: "read-at" })} ${time(this.readAt)}</p>` : nothing}`;
  }
}
