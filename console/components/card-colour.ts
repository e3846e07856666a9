import { css, html, LitElement } from "lit";
import { updateWhenLocaleChanges } from "@lit/localize";
import type { CardColour } from "../../control-plane/contract/supervision.ts";
import { colourName } from "../locales/supervision.ts";

const signs: Record<CardColour, string> = { reminder: "△", yellow: "▲", red: "■" };

/**
 * A supervision card's colour as sign and word.
 * @property colour - reminder, yellow or red
 */
export class CardColourBadge extends LitElement {
  static override properties = { colour: {} };
  declare colour: CardColour;
  static override styles = css`
    :host {
      white-space: nowrap;
    }
    .yellow {
      color: var(--warn);
    }
    .red {
      color: var(--bad);
      font-weight: 600;
    }
  `;
  constructor() {
    super();
    updateWhenLocaleChanges(this);
  }
  override render() {
    return html`<span class=${this.colour}><span aria-hidden="true">${signs[this.colour]}</span> ${colourName(this.colour)}</span>`;
  }
}
customElements.define("zy-card-colour", CardColourBadge);
