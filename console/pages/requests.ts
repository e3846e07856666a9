import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { Event as Happened } from "../../control-plane/contract/access.ts";
import type { Request } from "../../control-plane/contract/requests.ts";
import { list } from "../client/index.ts";
import { time } from "../format.ts";
import { stateName } from "../locales/states.ts";
import { api, pages } from "../paths.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";
import "../components/state-badge.ts";

const tabs = [
  "department-approval",
  "authority-approval",
  "needs-information",
  "submitted",
  "waiting",
  "applying",
  "scheduled",
  "on-trial",
  "active",
  "expiring",
  "reclaimed",
  "failed",
  "rejected",
  "draft",
];

/** Requests by state, the state in the address. What one is asked to decide is in the inbox. */
export class RequestsPage extends Page {
  static override properties = { state: {} };
  declare state: string;
  #rows: Request[] = [];
  override async load(): Promise<void> {
    const rows = await list<Request>(api.requests({ state: this.state || tabs[0] }));
    // The queue for capacity is shown in the order in which it is served.
    this.#rows = this.state === "waiting" ? rows.toSorted((a, b) => ((a.decidedAt ?? "") < (b.decidedAt ?? "") ? -1 : 1)) : rows;
  }
  override concerns(event: Happened): boolean {
    return event.type.startsWith("request.");
  }
  override updated(changed: Map<string, unknown>): void {
    if (changed.has("state") && changed.get("state") !== undefined) void this.refresh();
  }
  override show(): TemplateResult {
    const now = this.state || tabs[0]!;
    return html`<h1>${msg("申请", { id: "requests" })}</h1>
      <nav class="bar" aria-label=${msg("状态", { id: "state" })}>
        ${tabs.map((tab) => html`<a href=${pages.requests(tab)} aria-current=${tab === now ? "page" : "false"}>${stateName(tab)}</a>`)}<a
          href=${pages.newRequest()}
          >${msg("新建申请", { id: "new-request" })}</a
        >
      </nav>
      <div class="card" tabindex="0">
        ${
          this.#rows.length === 0
            ? html`<p>${msg("没有处于此状态的申请。", { id: "no-requests" })}</p>`
            : html`<table>
                <thead>
                  <tr>
                    <th scope="col">${msg("编号", { id: "number" })}</th>
                    <th scope="col">${msg("事项", { id: "title" })}</th>
                    <th scope="col">${msg("状态", { id: "state" })}</th>
                    <th scope="col" class="n">${msg("项数", { id: "items" })}</th>
                    ${now === "waiting" ? html`<th scope="col">${msg("批准时间", { id: "approved-at" })}</th>` : nothing}
                    <th scope="col">${msg("创建时间", { id: "created" })}</th>
                  </tr>
                </thead>
                <tbody>
                  ${this.#rows.map(
                    (row) =>
                      html`<tr>
                        <th scope="row"><a href=${pages.request(row.id)}>${row.number}</a></th>
                        <td>${row.title}</td>
                        <td><zy-state .state=${row.state}></zy-state></td>
                        <td class="n">${row.items.length}</td>
                        ${now === "waiting" ? html`<td>${time(row.decidedAt)}</td>` : nothing}
                        <td>${time(row.createdAt)}</td>
                      </tr>`,
                  )}
                </tbody>
              </table>`
        }
      </div>
      <zy-command .command=${`zhengyun requests list --state ${now}`}></zy-command>`;
  }
}
customElements.define("zy-requests-page", RequestsPage);
