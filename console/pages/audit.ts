import { css, html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { AuditEntry } from "../../control-plane/contract/audit.ts";
import { get } from "../client/index.ts";
import { time } from "../format.ts";
import { resultName, roleName } from "../locales/states.ts";
import { api, type AuditSearch, pages } from "../paths.ts";
import { go } from "../router.ts";
import { shared } from "../styles.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";

const results = ["done", "denied", "failed"];
const searches = ["actor", "action", "result", "department", "subject", "correlation", "from", "to", "cursor"] as const;

/** A day as people in Beijing have it: from its beginning, or to its end. */
const beginning = (day: string) => new Date(`${day}T00:00:00+08:00`);
const end = (day: string) => new Date(+beginning(day) + 86_400_000);

/** The auditors' page: what was done and denied, by whom, from where; what is looked for stands in the address. */
export class AuditPage extends Page {
  static override styles = [
    shared,
    css`
      pre {
        margin: 0.3rem 0;
        white-space: pre-wrap;
        overflow-wrap: anywhere;
        max-width: 60rem;
      }
      td {
        vertical-align: top;
      }
      td.id {
        white-space: normal;
        overflow-wrap: anywhere;
        min-width: 9rem;
      }
      td.details {
        white-space: normal;
        overflow-wrap: anywhere;
        min-width: 18rem;
      }
      input {
        width: 11rem;
      }
      dl {
        display: grid;
        grid-template-columns: max-content auto;
        gap: 0.2rem 0.75rem;
        margin: 0.3rem 0;
      }
      dd {
        margin: 0;
        overflow-wrap: anywhere;
        white-space: normal;
      }
    `,
  ];
  static override properties = { search: {}, exports: {} };
  /** The address's query. */
  declare search: string;
  /** Whether the reader may have the chain as a whole. */
  declare exports: boolean;
  #rows: AuditEntry[] = [];
  #next: string | null = null;

  get #asked(): AuditSearch {
    const given = new URLSearchParams(this.search);
    const fits = (name: string, value: string | null) => value && ((name !== "from" && name !== "to") || Number.isFinite(+beginning(value)));
    return Object.fromEntries(searches.flatMap((name) => (fits(name, given.get(name)) ? [[name, given.get(name)!]] : [])));
  }
  /** As the API and the command line take it: days as moments. */
  get #sent(): AuditSearch {
    const { from, to, ...asked } = this.#asked;
    return { ...asked, ...(from ? { from: beginning(from).toISOString() } : {}), ...(to ? { to: end(to).toISOString() } : {}) };
  }
  override async load(): Promise<void> {
    const page = await get<{ items: AuditEntry[]; next: string | null }>(api.audit(this.#sent));
    this.#rows = page.items;
    this.#next = page.next;
  }
  /** Each reading may itself be an entry: it is read anew only when somebody asks. */
  override concerns(): boolean {
    return false;
  }
  override updated(changed: Map<string, unknown>): void {
    if (changed.has("search") && changed.get("search") !== undefined) void this.refresh();
  }

  override show(): TemplateResult {
    const { cursor, ...asked } = this.#asked;
    const flags = Object.entries({ ...this.#sent, cursor: undefined })
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `--${name} ${value}`);
    return html`<h1>${msg("审计记录", { id: "audit" })}</h1>
      ${this.#form(asked)}
      <div class="card" tabindex="0">
        ${this.#rows.length > 0 ? this.#table() : html`<p>${Object.keys(asked).length > 0 ? msg("没有符合条件的记录。", { id: "audit-no-match" }) : msg("还没有审计记录。", { id: "audit-none" })}</p>`}
      </div>
      <div class="bar">
        ${cursor ? html`<a href=${pages.audit(asked)}>${msg("最新一页", { id: "newest-page" })}</a>` : nothing}
        ${this.#next ? html`<a href=${pages.audit({ ...asked, cursor: this.#next })}>${msg("更早的记录", { id: "older" })}</a>` : nothing}
        ${this.exports ? html`<a href=${api.auditExport} download="audit.ndjson">${msg("导出审计链（可离线核验）", { id: "audit-export" })}</a>` : nothing}
      </div>
      <zy-command .command=${["zhengyun audit list", ...flags].join(" ")}></zy-command>
      ${this.exports ? html`<zy-command command="zhengyun audit verify"></zy-command>` : nothing}`;
  }

  #form(asked: AuditSearch): TemplateResult {
    const text = (name: keyof AuditSearch, label: string) => html`<label>${label}<input name=${name} .value=${asked[name] ?? ""} maxlength="64" /></label>`;
    const day = (name: "from" | "to", label: string) => html`<label>${label}<input type="date" name=${name} .value=${asked[name] ?? ""} /></label>`;
    return html`<form class="bar" role="search" @submit=${(event: SubmitEvent) => this.#find(event)}>
      ${text("actor", msg("操作者", { id: "actor" }))} ${text("action", msg("操作", { id: "action" }))}
      <label
        >${msg("结果", { id: "result" })}<select name="result">
          <option value="" ?selected=${!asked.result}>${msg("全部", { id: "all" })}</option>
          ${results.map((one) => html`<option value=${one} ?selected=${asked.result === one}>${resultName(one)}</option>`)}
        </select></label
      >
      ${text("department", msg("部门", { id: "department" }))} ${text("correlation", msg("关联编号", { id: "correlation" }))}
      ${day("from", msg("起始日期", { id: "from-day" }))} ${day("to", msg("截止日期", { id: "to-day" }))}
      <button class="primary">${msg("查询", { id: "find" })}</button>
      <a href=${pages.audit()}>${msg("清除条件", { id: "clear" })}</a>
    </form>`;
  }

  #find(event: SubmitEvent): void {
    event.preventDefault();
    const given = [...new FormData(event.target as HTMLFormElement)].filter((entry): entry is [string, string] => typeof entry[1] === "string");
    go(pages.audit(Object.fromEntries(given.map(([name, value]) => [name, value.trim()]))));
  }

  #table(): TemplateResult {
    return html`<table>
      <thead>
        <tr>
          <th scope="col" class="n">${msg("链上序号", { id: "chain-place" })}</th>
          <th scope="col">${msg("时间", { id: "at" })}</th>
          <th scope="col">${msg("操作者", { id: "actor" })}</th>
          <th scope="col">${msg("角色", { id: "role" })}</th>
          <th scope="col">${msg("来源", { id: "source" })}</th>
          <th scope="col">${msg("操作", { id: "action" })}</th>
          <th scope="col">${msg("结果", { id: "result" })}</th>
          <th scope="col">${msg("对象与详情", { id: "subject-details" })}</th>
        </tr>
      </thead>
      <tbody>
        ${this.#rows.map((row) => this.#row(row))}
      </tbody>
    </table>`;
  }

  #row(row: AuditEntry): TemplateResult {
    const sign =
      row.result === "done" ? html`<span class="good">● ${resultName(row.result)}</span>` : html`<span class="bad">✕ ${resultName(row.result)}</span>`;
    const json = (label: string, value: unknown) =>
      value === null || value === undefined
        ? nothing
        : html`<dt>${label}</dt>
            <dd><pre>${JSON.stringify(value, null, 2)}</pre></dd>`;
    return html`<tr>
      <td class="n">${row.sequence ?? html`<span class="muted">${msg("待入链", { id: "not-linked" })}</span>`}</td>
      <td>${time(row.at)}</td>
      <td class="id"><a href=${pages.audit({ actor: row.actor })}>${row.actor}</a></td>
      <td>${roleName(row.role)}</td>
      <td>${row.source}</td>
      <td>${row.action}</td>
      <td>${sign}</td>
      <td class="details">
        <details>
          <summary>${row.subject}</summary>
          <dl>
            ${json(msg("之前", { id: "before" }), row.before)} ${json(msg("之后", { id: "after" }), row.after)}
            <dt>${msg("关联编号", { id: "correlation" })}</dt>
            <dd><a href=${pages.audit({ correlation: row.correlationId })}>${row.correlationId}</a></dd>
            ${
              row.department
                ? html`<dt>${msg("部门", { id: "department" })}</dt>
                    <dd>${row.department}</dd>`
                : nothing
            }
            <dt>${msg("哈希", { id: "hash" })}</dt>
            <dd><code>${row.hash ? `${row.algorithm} ${row.hash}` : "–"}</code></dd>
          </dl>
        </details>
      </td>
    </tr>`;
  }
}
customElements.define("zy-audit-page", AuditPage);
