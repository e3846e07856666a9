import { html, LitElement, nothing } from "lit";
import { msg, updateWhenLocaleChanges } from "@lit/localize";
import type { MaintenanceWindow } from "../../control-plane/contract/maintenance.ts";
import { time } from "../format.ts";
import { shared } from "../styles.ts";

/**
 * Tells a department of maintenance that holds or comes.
 * @property windows - those that concern it, newest first
 */
export class MaintenanceNote extends LitElement {
  static override properties = { windows: { attribute: false } };
  static override styles = shared;
  declare windows: MaintenanceWindow[];
  constructor() {
    super();
    this.windows = [];
    updateWhenLocaleChanges(this);
  }
  override render() {
    const byStart = this.windows.toSorted((a, b) => a.from.localeCompare(b.from));
    return html`${byStart.map(
      (one) =>
        html`<p class="card warn" role="status">
          ▲
          <strong>${one.state === "holding" ? msg("正在维护", { id: "mw-holding" }) : msg("维护公告", { id: "mw-announced" })}</strong>
          ${time(one.from)} – ${time(one.to)} ·
          ${one.reason}${one.emergencyReason ? html` · ${msg("紧急", { id: "mw-emergency" })}: ${one.emergencyReason}` : nothing}
          <br />${msg("涉及主机", { id: "mw-hosts" })} (${one.hosts.length}):
          ${one.hosts
            .slice(0, 10)
            .map((host) => host.name)
            .join(", ")}${one.hosts.length > 10 ? " …" : ""}.
          ${msg("期间中断不计入故障时间。", { id: "mw-no-downtime" })}
        </p>`,
    )}`;
  }
}
customElements.define("zy-maintenance-note", MaintenanceNote);
