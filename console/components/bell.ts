import { css, html, LitElement } from "lit";
import { msg, updateWhenLocaleChanges } from "@lit/localize";
import { pages } from "../paths.ts";
import { shared } from "../styles.ts";

/** Drawn: not every machine has a letter for it. */
const bell = html`<svg aria-hidden="true" viewBox="0 0 16 16" width="16" height="16" fill="currentColor">
  <path d="M8 1a1 1 0 0 0-1 1v.3A4.5 4.5 0 0 0 3.5 6.7V10L2 12v1h12v-1l-1.5-2V6.7A4.5 4.5 0 0 0 9 2.3V2a1 1 0 0 0-1-1zM6.3 14a1.75 1.75 0 0 0 3.4 0z" />
</svg>`;

/** The bell in the head: how many notices are unread, and the way to them. */
export class Bell extends LitElement {
  static override properties = { unread: { type: Number } };
  declare unread: number;
  static override styles = [
    shared,
    css`
      a {
        white-space: nowrap;
      }
      svg {
        vertical-align: -0.15em;
      }
      b {
        background: var(--bad);
        color: var(--surface);
        border-radius: 1em;
        padding: 0.05em 0.5em;
        font-size: 0.85em;
      }
    `,
  ];

  constructor() {
    super();
    this.unread = 0;
    updateWhenLocaleChanges(this);
  }

  override render() {
    // Who cannot see the number is told it; the picture says nothing by itself.
    const count = this.unread >= 100 ? "99+" : String(this.unread);
    const label = this.unread === 0 ? msg("通知", { id: "notices" }) : `${msg("通知", { id: "notices" })}: ${count} ${msg("条未读", { id: "unread-count" })}`;
    return html`<a href=${pages.notices()} aria-label=${label}>${bell} ${msg("通知", { id: "notices" })} ${this.unread === 0 ? "" : html`<b>${count}</b>`}</a>`;
  }
}
customElements.define("zy-bell", Bell);
