import { html, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { Event as Happened } from "../../control-plane/contract/access.ts";
import type { Correction, SupervisionCard } from "../../control-plane/contract/supervision.ts";
import { list, Paged } from "../client/index.ts";
import { api, pages } from "../paths.ts";
import { isSupervision } from "../pending.ts";
import { Page } from "./page.ts";
import "../components/card-table.ts";
import "../components/command-line.ts";
import "../components/correction-table.ts";

/** Cards that name the reader, as the one concerned or as a superior, and corrections that the reader is to make. */
export class OwnCardsPage extends Page {
  static override properties = { state: {} };
  declare state: string;
  readonly #cards = new Paged<SupervisionCard>((cursor) => api.ownCards({ state: this.#which, cursor }));
  #corrections: Correction[] = [];
  get #which(): "pending" | "all" {
    return this.state === "all" ? "all" : "pending";
  }

  override async load(): Promise<void> {
    const corrections = list<Correction>(api.ownCorrections(this.#which === "all" ? {} : { state: "open" }));
    await Promise.all([this.#cards.load(), corrections.then((all) => (this.#corrections = all))]);
  }
  override concerns(event: Happened): boolean {
    return isSupervision(event);
  }
  override updated(changed: Map<string, unknown>): void {
    if (changed.has("state") && changed.get("state") !== undefined) void this.refresh();
  }

  override show(): TemplateResult {
    const which = this.#which;
    const tab = (state: "pending" | "all", name: string) =>
      html`<a href=${pages.ownCards(state === "all" ? "all" : undefined)} aria-current=${which === state ? "page" : "false"}>${name}</a>`;
    return html`<h1>${msg("我的监察件", { id: "own-cards" })}</h1>
      <nav class="bar" aria-label=${msg("状态", { id: "state" })}>
        ${tab("pending", msg("未办结", { id: "sv-pending" }))}${tab("all", msg("全部", { id: "all" }))}
      </nav>
      <div class="card" tabindex="0">
        ${this.#cards.items.length === 0 ? html`<p>${msg("没有涉及您的监察件。", { id: "sv-none-of-yours" })}</p>` : html`<zy-card-table .cards=${this.#cards.items}></zy-card-table>`}
        ${this.more(this.#cards)}
      </div>
      <h2>${msg("需您纠正的事项", { id: "sv-own-corrections" })}</h2>
      <div class="card" tabindex="0">
        ${
          this.#corrections.length === 0
            ? html`<p>${msg("没有需您纠正的事项。", { id: "sv-no-own-corrections" })}</p>`
            : html`<zy-correction-table .corrections=${this.#corrections}></zy-correction-table>`
        }
      </div>
      <zy-command .command=${`zhengyun supervision mine${which === "all" ? " --all" : ""}`}></zy-command>`;
  }
}
customElements.define("zy-own-cards-page", OwnCardsPage);
