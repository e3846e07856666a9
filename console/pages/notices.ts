import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import { type Notice, noticeText, type Unread } from "../../control-plane/contract/notices.ts";
import { Paged, post } from "../client/index.ts";
import { time } from "../format.ts";
import { getLocale } from "../locales/index.ts";
import { api, pages } from "../paths.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";

/** Where it is to be dealt with. */
const target = ({ kind, request, subject, data }: Notice): string =>
  kind.startsWith("revert.")
    ? pages.snapshots(String(data["volumeId"]))
    : kind === "calendar.missing"
      ? pages.calendars()
      : subject?.startsWith("scd_")
        ? pages.supervisionCard(subject)
        : request
          ? pages.request(request)
          : "";

/** What one was told (通知), the newest first. */
export class NoticesPage extends Page {
  readonly #notices = new Paged<Notice>((cursor) => api.notices({ cursor }));

  override load(): Promise<void> {
    return this.#notices.load();
  }
  async #read(which: { ids: string[] } | { upTo: string }): Promise<void> {
    await this.act(async () => {
      const { unread } = await post<Unread>(api.readNotices, which);
      globalThis.dispatchEvent(new CustomEvent("zy-unread", { detail: unread }));
    });
  }

  override show(): TemplateResult {
    const newest = this.#notices.items[0];
    const unread = this.#notices.items.some((row) => row.readAt === null);
    return html`<h1>${msg("通知", { id: "notices" })}</h1>
      <div class="card" tabindex="0">
        ${
          newest && unread
            ? html`<div class="bar"><button @click=${() => this.#read({ upTo: newest.id })}>${msg("全部标为已读", { id: "read-all" })}</button></div>`
            : nothing
        }
        ${newest ? this.#table() : html`<p>${msg("还没有通知。", { id: "no-notices" })}</p>`} ${this.more(this.#notices)}
      </div>
      <p><a href=${pages.account()}>${msg("邮件通知设置", { id: "mail-settings-link" })}</a></p>
      <zy-command .command=${"zhengyun notices list"}></zy-command>`;
  }

  #table(): TemplateResult {
    return html`<table>
      <thead>
        <tr>
          <th scope="col">${msg("时间", { id: "time" })}</th>
          <th scope="col">${msg("内容", { id: "notice-text" })}</th>
          <th scope="col">${msg("状态", { id: "state" })}</th>
        </tr>
      </thead>
      <tbody>
        ${this.#notices.items.map((row) => {
          const text = noticeText(row.kind, row.data, getLocale() === "en" ? "en" : "zh-CN");
          return html`<tr>
            <td>${time(row.at)}</td>
            <th scope="row" class="text">${target(row) ? html`<a href=${target(row)} @click=${() => this.#read({ ids: [row.id] })}>${text}</a>` : text}</th>
            <td>
              ${
                row.readAt
                  ? html`<span class="muted">✓ ${msg("已读", { id: "read" })}</span>`
                  : html`<button @click=${() => this.#read({ ids: [row.id] })} aria-label=${`${msg("标为已读", { id: "mark-read" })}: ${text}`}>
                      ● ${msg("标为已读", { id: "mark-read" })}
                    </button>`
              }
            </td>
          </tr>`;
        })}
      </tbody>
    </table>`;
  }
}
customElements.define("zy-notices-page", NoticesPage);
