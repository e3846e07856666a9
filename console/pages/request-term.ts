import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import { extension, type Request } from "../../control-plane/contract/requests.ts";
import { post } from "../client/index.ts";
import { time } from "../format.ts";
import { api, pages } from "../paths.ts";
import { go } from "../router.ts";
import { Page } from "./page.ts";

/** How long what a request made is kept: its trial to be answered, its term to be extended. */
export class RequestTerm extends Page {
  static override properties = { row: { attribute: false }, asks: { type: Boolean }, answers: { type: Boolean } };
  declare row: Request;
  /** Whether who looks may ask for an extension. */
  declare asks: boolean;
  /** Whether they may accept or refuse a trial. */
  declare answers: boolean;
  /** The page that this is a part of says when it was read. */
  override stamped = false;
  #reason = "";
  /** Kept here: a reading that is late may take the form away for a moment. */
  #until = "";
  #busy = false;

  override async load(): Promise<void> {}
  override concerns(): boolean {
    return false;
  }
  async #do(work: () => Promise<Request>): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    await this.attempt(async () => {
      const made = await work();
      if (made.id === this.row.id) this.row = made;
      else go(pages.request(made.id));
    });
    this.#busy = false;
    this.requestUpdate();
  }

  override show(): TemplateResult {
    const { row } = this;
    const about = row.about
      ? html`<p>
          ${
            row.origin === "trial-refusal"
              ? msg("因试运行不通过而退回资源，原申请：", { id: "about-trial" })
              : row.origin === "term-stop"
                ? msg("因到期未续而停机（不删除），原申请：", { id: "about-stop" })
                : msg("因到期未续而回收，须两人审批，原申请：", { id: "about-reclaim" })
          }
          <a href=${pages.request(row.about)}>${msg("查看", { id: "look" })}</a>
        </p>`
      : nothing;
    return html`${about}${row.state === "on-trial" ? this.#trial() : nothing}${["active", "expiring"].includes(row.state) ? this.#term() : nothing}`;
  }

  #trial(): TemplateResult {
    const { row } = this;
    const act = (how: "accept-trial" | "refuse-trial", body: object) => this.#do(() => post<Request>(api.decide(row.id, how), body, row.revision));
    return html`<div class="card">
      <h2>${msg("试运行", { id: "s-on-trial" })}</h2>
      <p>${msg("试运行至", { id: "trial-until" })} <strong>${time(row.trialUntil)}</strong></p>
      ${
        this.answers
          ? html`<label
                >${msg("不通过的理由", { id: "trial-reason" })}<textarea
                  rows="2"
                  maxlength="2000"
                  .value=${this.#reason}
                  @input=${(event: InputEvent) => {
                    this.#reason = (event.target as HTMLTextAreaElement).value;
                    this.requestUpdate();
                  }}
                ></textarea>
              </label>
              <div class="bar">
                <button class="primary" @click=${() => act("accept-trial", {})}>${msg("试运行通过", { id: "accept-trial" })}</button>
                <button ?disabled=${this.#reason.trim() === ""} @click=${() => act("refuse-trial", { reason: this.#reason.trim() })}>
                  ${msg("不通过，退回资源", { id: "refuse-trial" })}
                </button>
                ${this.#reason.trim() === "" ? html`<span class="muted">${msg("不通过须填写理由。", { id: "trial-reason-needed" })}</span>` : nothing}
              </div>`
          : nothing
      }
    </div>`;
  }

  #term(): TemplateResult | typeof nothing {
    const ends = this.row.items.flatMap((item) => (item.action === "create" && item.expiresAt !== null ? [item.expiresAt] : [])).toSorted();
    if (ends.length === 0) return nothing;
    return html`<div class="card">
      <h2>${msg("使用期限", { id: "term" })}</h2>
      <p>${msg("最早到期", { id: "term-first" })} <strong class=${this.row.state === "expiring" ? "warn" : ""}>${time(ends[0]!)}</strong></p>
      ${
        this.asks
          ? html`<form
              class="bar"
              @submit=${(event: SubmitEvent) => {
                event.preventDefault();
                void this.#do(() => post<Request>(api.requests(), extension(this.row, this.#until, "")));
              }}
            >
              <label
                >${msg("延期至", { id: "extend-until" })}<input
                  name="until"
                  type="date"
                  required
                  min=${ends[0]!.slice(0, 10)}
                  .value=${this.#until}
                  @input=${(event: InputEvent) => (this.#until = (event.target as HTMLInputElement).value)}
              /></label>
              <button>${msg("申请延期", { id: "extend" })}</button>
            </form>`
          : nothing
      }
      <zy-command .command=${`zhengyun requests extend ${this.row.id} --until DAY`}></zy-command>
    </div>`;
  }
}
customElements.define("zy-request-term", RequestTerm);
