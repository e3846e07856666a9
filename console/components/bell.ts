import { css, html, LitElement } from "lit";
import { msg, updateWhenLocaleChanges } from "@lit/localize";
import { pages } from "../paths.ts";
import { shared } from "../styles.ts";

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
    return html`<a href=${pages.notices()} aria-label=${label}
      ><span aria-hidden="true">🔔</span> ${msg("通知", { id: "notices" })} ${this.unread === 0 ? "" : html`<b>${count}</b>`}</a
    >`;
  }
}
customElements.define("zy-bell", Bell);
