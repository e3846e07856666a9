import { html, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { Event as Happened } from "../../control-plane/contract/access.ts";
import type { InboxItem } from "../../control-plane/contract/approvals.ts";
import { Paged } from "../client/index.ts";
import { time } from "../format.ts";
import { getLocale } from "../locales/index.ts";
import { timeLeft } from "../locales/states.ts";
import { api, pages } from "../paths.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";
import "../components/state-badge.ts";

/** What an approver is asked to decide (待办), the most urgent first, and what they have decided (已办). */
export class InboxPage extends Page {
  static override properties = { state: {} };
  declare state: string;
  readonly #items = new Paged<InboxItem>((cursor) => api.inbox({ state: this.#which, cursor }));
  get #which(): "todo" | "done" {
    return this.state === "done" ? "done" : "todo";
  }

  override load(): Promise<void> {
    return this.#items.load();
  }
  override concerns(event: Happened): boolean {
    return event.type.startsWith("request.") || event.type.startsWith("approval.");
  }
  override updated(changed: Map<string, unknown>): void {
    if (changed.has("state") && changed.get("state") !== undefined) void this.refresh();
  }

  override show(): TemplateResult {
    const which = this.#which;
    const tab = (state: "todo" | "done", name: string) => html`<a href=${pages.inbox(state)} aria-current=${which === state ? "page" : "false"}>${name}</a>`;
    return html`<h1>${msg("审批", { id: "inbox" })}</h1>
      <nav class="bar" aria-label=${msg("状态", { id: "state" })}>${tab("todo", msg("待办", { id: "todo" }))}${tab("done", msg("已办", { id: "done" }))}</nav>
      <div class="card" tabindex="0">
        ${this.#items.items.length === 0 ? html`<p>${which === "todo" ? msg("没有待办事项。", { id: "no-todo" }) : msg("还没有已办事项。", { id: "no-done" })}</p>` : this.#table()}
        ${this.more(this.#items)}
      </div>
      <zy-command .command=${`zhengyun inbox${which === "done" ? " --done" : ""}`}></zy-command>`;
  }

  #table(): TemplateResult {
    const todo = this.#which === "todo";
    return html`<table>
      <thead>
        <tr>
          <th scope="col">${msg("编号", { id: "number" })}</th>
          <th scope="col">${msg("事项", { id: "title" })}</th>
          <th scope="col">${msg("部门", { id: "department" })}</th>
          <th scope="col">${msg("环节", { id: "stage" })}</th>
          ${
            todo
              ? html`<th scope="col">${msg("截止", { id: "due" })}</th>
                  <th scope="col">${msg("剩余", { id: "left" })}</th>`
              : html`<th scope="col">${msg("决定", { id: "decided" })}</th>
                  <th scope="col">${msg("办理时间", { id: "decided-at" })}</th>
                  <th scope="col">${msg("申请状态", { id: "request-state" })}</th>`
          }
          <th scope="col">${msg("代理", { id: "on-behalf-of" })}</th>
        </tr>
      </thead>
      <tbody>
        ${this.#items.items.map(
          (row) =>
            html`<tr>
              <th scope="row"><a href=${pages.request(row.request.id)}>${row.request.number}</a></th>
              <td>${row.request.title}</td>
              <td>${getLocale() === "en" ? row.request.departmentNameEn : row.request.departmentNameZh}</td>
              <td>${row.step.name}</td>
              ${
                todo
                  ? html`<td>${time(row.step.dueAt)}</td>
                      <td class=${row.overdue ? "bad" : row.workingDaysLeft === 0 ? "warn" : ""}>${timeLeft(row)}</td>`
                  : html`<td><zy-state .state=${row.step.state}></zy-state></td>
                      <td>${time(row.step.decidedAt)}</td>
                      <td><zy-state .state=${row.request.state}></zy-state></td>`
              }
              <td>${(todo ? row.onBehalfOf?.name : row.step.onBehalfOfName) ?? ""}</td>
            </tr>`,
        )}
      </tbody>
    </table>`;
  }
}
customElements.define("zy-inbox-page", InboxPage);
