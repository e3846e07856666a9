import { css, html, LitElement, nothing } from "lit";
import { msg, updateWhenLocaleChanges } from "@lit/localize";
import { shared } from "../styles.ts";

/**
 * The command that does the same in a terminal, to be copied.
 * @property command - as it is typed
 */
export class CommandLine extends LitElement {
  static override properties = { command: {} };
  declare command: string;
  #copied = false;
  static override styles = [
    shared,
    css`
      p {
        display: flex;
        flex-wrap: wrap;
        gap: 0.5rem;
        align-items: center;
      }
      .link {
        min-height: 1.5rem;
        padding: 0 0.5rem;
      }
      code {
        overflow-wrap: anywhere;
      }
    `,
  ];
  constructor() {
    super();
    updateWhenLocaleChanges(this);
  }
  async #copy(): Promise<void> {
    await navigator.clipboard.writeText(this.command);
    this.#copied = true;
    this.requestUpdate();
  }
  override willUpdate(changed: Map<string, unknown>): void {
    if (changed.has("command")) this.#copied = false;
  }
  override render() {
    // A browser lends its clipboard only to https and to this machine.
    const copy = navigator.clipboard ? html`<button class="link" @click=${() => this.#copy()}>${msg("复制命令", { id: "copy" })}</button>` : nothing;
    return html`<p class="muted">
      <code>${this.command}</code>${copy}<span role="status">${this.#copied ? `✓ ${msg("已复制", { id: "copied" })}` : nothing}</span>
    </p>`;
  }
}
customElements.define("zy-command", CommandLine);
