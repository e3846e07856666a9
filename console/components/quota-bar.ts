import { msg, updateWhenLocaleChanges } from "@lit/localize";
import { css, html, LitElement, nothing, svg } from "lit";
import { number, percent } from "../format.ts";

/**
 * A share of a quota as a bar and a number; its colour is never the only sign.
 * @property ratio - 0 to 1 and above; null: no limit
 * @property soft - where the soft limit lies, 0 to 1; null: there is none. It is drawn as a mark, and said when it is passed
 * @property borrowed - what is held above the limit out of the shares of departments beside it; 0: nothing
 */
export class QuotaBar extends LitElement {
  static override properties = { ratio: { type: Number }, soft: { type: Number }, borrowed: { type: Number }, label: {} };
  declare ratio: number | null;
  declare soft: number | null | undefined;
  declare borrowed: number | undefined;
  declare label: string;
  constructor() {
    super();
    updateWhenLocaleChanges(this);
  }
  static override styles = css`
    :host {
      display: inline-flex;
      align-items: center;
      gap: 0.5rem;
    }
    .track {
      width: 6rem;
      height: 0.55rem;
      background: var(--bar);
      border-radius: 4px;
      overflow: hidden;
    }
    svg {
      display: block;
      width: 100%;
      height: 100%;
    }
    .ok {
      fill: var(--accent);
    }
    .near {
      fill: var(--warn);
    }
    .full {
      fill: var(--bad);
    }
    .soft {
      stroke: currentColor;
      stroke-width: 2;
      vector-effect: non-scaling-stroke;
    }
  `;
  override render() {
    if (this.ratio === null || this.ratio === undefined) return html`<span>–</span>`;
    const { ratio, soft = null, borrowed = 0 } = this;
    const kind = ratio >= 1 ? "full" : ratio >= 0.9 ? "near" : "ok";
    const notes = [
      ...(soft === null ? [] : [ratio > soft ? msg("已超软限额", { id: "over-soft-limit" }) : `${msg("软限额", { id: "soft-limit" })} ${percent(soft)}`]),
      ...(borrowed > 0 ? [`${msg("借用", { id: "borrowed" })} ${number(borrowed)}`] : []),
    ].join(" · ");
    return html`<span class="track" role="img" aria-label="${[`${this.label} ${percent(ratio)}`, notes].filter((one) => one !== "").join(" · ")}"
        ><svg preserveAspectRatio="none" viewBox="0 0 100 1">
          <rect class=${kind} width=${Math.min(100, ratio * 100)} height="1"></rect>
          ${soft === null ? nothing : svg`<line class="soft" x1=${soft * 100} x2=${soft * 100} y1="0" y2="1"></line>`}
        </svg></span
      >
      <span>${percent(ratio)}${kind === "ok" ? "" : " ▲"}${notes === "" ? nothing : html` <small>${notes}</small>`}</span>`;
  }
}
customElements.define("zy-quota-bar", QuotaBar);
