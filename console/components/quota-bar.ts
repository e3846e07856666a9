import { css, html, LitElement } from "lit";
import { percent } from "../format.ts";

/**
 * A share of a quota as a bar and a number; its colour is never the only sign.
 * @property ratio - 0 to 1 and above; null: no limit
 */
export class QuotaBar extends LitElement {
  static override properties = { ratio: { type: Number }, label: {} };
  declare ratio: number | null;
  declare label: string;
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
  `;
  override render() {
    if (this.ratio === null || this.ratio === undefined) return html`<span>–</span>`;
    const kind = this.ratio >= 1 ? "full" : this.ratio >= 0.9 ? "near" : "ok";
    return html`<span class="track" role="img" aria-label="${this.label} ${percent(this.ratio)}"
        ><svg preserveAspectRatio="none" viewBox="0 0 100 1"><rect class=${kind} width=${Math.min(100, this.ratio * 100)} height="1"></rect></svg
      ></span>
      <span>${percent(this.ratio)}${kind === "ok" ? "" : " ▲"}</span>`;
  }
}
customElements.define("zy-quota-bar", QuotaBar);
