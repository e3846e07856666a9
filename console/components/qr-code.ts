import { encode } from "uqr";
import { css, html, LitElement, svg, type TemplateResult } from "lit";

/** A text as a QR code, for a phone's camera. Drawn as SVG in the page itself: no image is fetched, no style is inline. */
export class QrCode extends LitElement {
  static override properties = { text: {}, label: {} };
  /** Black on white in either colour scheme: that is what cameras read. */
  static override styles = css`
    svg {
      inline-size: 14rem;
      block-size: 14rem;
      background: #fff;
      fill: #000;
    }
  `;
  declare text: string;
  /** What it is, for those who cannot see it. */
  declare label: string;

  override render(): TemplateResult {
    const { data, size } = encode(this.text, { ecc: "M", border: 4 });
    const dark = data.flatMap((row, y) => row.flatMap((is, x) => (is ? [`M${x} ${y}h1v1h-1z`] : [])));
    return html`<svg role="img" aria-label=${this.label} viewBox="0 0 ${size} ${size}" shape-rendering="crispEdges">${svg`<path d=${dark.join("")} />`}</svg>`;
  }
}
customElements.define("zy-qr-code", QrCode);
