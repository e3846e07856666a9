import { html, LitElement, nothing } from "lit";
import { msg, updateWhenLocaleChanges } from "@lit/localize";
import type { Event as Happened } from "../../control-plane/contract/access.ts";
import { time } from "../format.ts";
import { eventName, kindName } from "../locales/states.ts";
import { shared } from "../styles.ts";

interface Told {
  kind?: string;
  name?: string;
  action?: string;
  number?: string;
  stage?: string;
  text?: string;
  error?: { message: string } | string | null;
}
const messageOf = (error: Told["error"]) => (error && typeof error === "object" ? error.message : "");

/**
 * What happened, in its order.
 * @property events - events of the API, oldest first
 */
export class EventList extends LitElement {
  static override properties = { events: { attribute: false } };
  declare events: readonly Happened[];
  static override styles = shared;

  constructor() {
    super();
    this.events = [];
    updateWhenLocaleChanges(this);
  }
  override render() {
    if (this.events.length === 0) return html`<p class="muted">${msg("尚无记录。", { id: "no-events" })}</p>`;
    return html`<ol class="events" aria-live="polite">
      ${this.events.map((event) => {
        const told = event.data as Told;
        return html`<li>
          <time datetime=${event.at}>${time(event.at)}</time> ${eventName(event.type)}
          ${told.name ? html`<span>${kindName(told.kind ?? "")} <strong>${told.name}</strong> ${kindName(told.action ?? "")}</span>` : nothing}
          ${told.stage ? html`<strong>${told.stage}</strong>` : nothing} ${told.text ? html`<span>${told.text}</span>` : nothing}
          ${messageOf(told.error) ? html`<span class="refused">${messageOf(told.error)}</span>` : nothing}
        </li>`;
      })}
    </ol>`;
  }
}
customElements.define("zy-events", EventList);
