import { css, html, LitElement } from "lit";
import { updateWhenLocaleChanges } from "@lit/localize";
import { stateName } from "../locales/states.ts";

const signs: Record<string, string> = {
  running: "●",
  active: "●",
  online: "●",
  evacuated: "■",
  offline: "✕",
  done: "●",
  planning: "…",
  confirmed: "◑",
  complete: "●",
  present: "●",
  live: "●",
  up: "●",
  stopped: "■",
  crashed: "✕",
  missing: "✕",
  failed: "✕",
  rejected: "✕",
  unknown: "?",
  waiting: "…",
  submitted: "…",
  planned: "◔",
  "department-approval": "◔",
  "authority-approval": "◔",
  "needs-information": "?",
  deciding: "◔",
  asked: "?",
  skipped: "–",
  approved: "◑",
  applying: "◕",
  scheduled: "◷",
  "on-trial": "◕",
  expiring: "▲",
  reclaimed: "–",
  pending: "…",
};
const kinds: Record<string, string> = {
  running: "good",
  active: "good",
  online: "good",
  done: "good",
  offline: "bad",
  evacuated: "warn",
  complete: "good",
  present: "good",
  live: "good",
  crashed: "bad",
  missing: "bad",
  failed: "bad",
  rejected: "bad",
  waiting: "warn",
  "on-trial": "warn",
  scheduled: "warn",
  expiring: "warn",
  unknown: "warn",
  planned: "warn",
  "department-approval": "warn",
  "authority-approval": "warn",
  "needs-information": "warn",
  deciding: "warn",
  asked: "warn",
};

/**
 * A state as sign and word.
 * @property state - a state of the contract
 */
export class StateBadge extends LitElement {
  static override properties = { state: {} };
  declare state: string;
  static override styles = css`
    :host {
      white-space: nowrap;
    }
    .good {
      color: var(--good);
    }
    .warn {
      color: var(--warn);
    }
    .bad {
      color: var(--bad);
    }
  `;
  constructor() {
    super();
    updateWhenLocaleChanges(this);
  }
  override render() {
    return html`<span class=${kinds[this.state] ?? ""}><span aria-hidden="true">${signs[this.state] ?? "○"}</span> ${stateName(this.state)}</span>`;
  }
}
customElements.define("zy-state", StateBadge);
