import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { DepartmentUsage } from "../../control-plane/contract/usage.ts";
import { get } from "../client/index.ts";
import type { Bar } from "../components/usage-chart.ts";
import { bytes, hours, number, percent } from "../format.ts";
import { getLocale } from "../locales/index.ts";
import { api, pages } from "../paths.ts";
import { go } from "../router.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";
import "../components/quota-bar.ts";
import "../components/usage-chart.ts";

type Dimension = keyof DepartmentUsage["tree"];
const chartBars = 24;

/** Usage against quota per department: a tree that opens and closes (state in the address), and a chart of the open level. */
export class UsagePage extends Page {
  static override properties = { open: {}, month: {} };
  declare open: string;
  declare month: string;
  #rows: DepartmentUsage[] = [];

  #period(): { from?: string; to?: string } {
    if (!this.month) return {};
    const [year = 0, month = 1] = this.month.split("-").map(Number);
    const start = (y: number, m: number) => new Date(Date.UTC(y, m - 1, 1) - 8 * 3_600_000).toISOString();
    return { from: start(year, month), to: start(year, month + 1) };
  }
  override async load(): Promise<void> {
    const { from, to } = this.#period();
    this.#rows = (await get<{ items: DepartmentUsage[] }>(api.usage({ ...(from ? { from } : {}), ...(to && new Date(to) < new Date() ? { to } : {}) }))).items;
  }
  override updated(changed: Map<string, unknown>): void {
    if (changed.has("month") && changed.get("month") !== undefined) void this.refresh();
  }

  get #opened(): Set<string> {
    return new Set(this.open ? this.open.split(",") : this.#roots().map((row) => row.code));
  }
  #roots(): DepartmentUsage[] {
    const known = new Set(this.#rows.map((row) => row.department));
    return this.#rows.filter((row) => row.parent === null || !known.has(row.parent));
  }
  #visible(): { row: DepartmentUsage; level: number }[] {
    const below = Map.groupBy(this.#rows, (row) => row.parent ?? "");
    const walk = (row: DepartmentUsage, level: number): { row: DepartmentUsage; level: number }[] => [
      { row, level },
      ...(this.#opened.has(row.code) ? (below.get(row.department) ?? []).flatMap((child) => walk(child, level + 1)) : []),
    ];
    return this.#roots().flatMap((row) => walk(row, 0));
  }
  #toggle(code: string): void {
    const opened = this.#opened;
    if (opened.has(code)) opened.delete(code);
    else opened.add(code);
    go(pages.usage({ open: [...opened].join(",") || "-", month: this.month }), { replace: true });
  }

  #name = (row: DepartmentUsage) => (getLocale() === "en" ? row.nameEn : row.nameZh);
  #limit = (row: DepartmentUsage, dimension: Dimension) => row.quota.find((one) => one.dimension === dimension)?.limit ?? null;
  /** The dimension of which the most is taken. */
  #fullest(row: DepartmentUsage) {
    const share = (one: DepartmentUsage["quota"][number]) => (one.used + one.reserved) / one.limit!;
    const limited = row.quota.filter((one) => one.limit !== null && one.limit > 0);
    const one = limited.toSorted((a, b) => share(b) - share(a))[0];
    return one && { ratio: share(one), soft: one.softLimit === null ? null : one.softLimit / one.limit!, borrowed: one.borrowed };
  }
  #of(row: DepartmentUsage, dimension: Dimension, factor = 1) {
    const limit = this.#limit(row, dimension);
    return html`${number(Math.round((row.tree[dimension] ?? 0) * factor))}${limit === null ? nothing : html`<span class="muted"> / ${number(Math.round(limit * factor))}</span>`}`;
  }

  override show(): TemplateResult {
    const visible = this.#visible();
    const bars: Bar[] = visible
      .filter(({ level, row }) => level > 0 || row.children === 0)
      .map(({ row }) => ({ name: this.#name(row), used: row.tree.hosts ?? 0, limit: this.#limit(row, "hosts") ?? 0 }))
      .toSorted((a, b) => b.used - a.used)
      .slice(0, chartBars);
    if (this.#rows.length === 0)
      return html`<h1>${msg("用量与配额", { id: "usage-title" })}</h1>
        <p>${msg("还没有部门。用 zhengyun city import 导入。", { id: "no-departments" })}</p>`;
    return html`<h1>${msg("用量与配额", { id: "usage-title" })}</h1>
      <div class="bar">
        <label
          >${msg("月份", { id: "month" })}<input
            type="month"
            .value=${this.month ?? ""}
            @change=${(event: Event) => go(pages.usage({ open: this.open, month: (event.target as HTMLInputElement).value }), { replace: true })}
        /></label>
        <a href=${api.register} download>${msg("导出资源台账 CSV", { id: "export-register" })}</a>
      </div>
      <div class="card">
        <h2>${msg("主机：已用与上限", { id: "chart-title" })}</h2>
        <zy-usage-chart .bars=${bars}></zy-usage-chart>
      </div>
      <div class="card" tabindex="0">
        <table>
          <caption>
            ${msg("各部门用量（含下级部门）：已用 / 上限", { id: "usage-caption" })}
          </caption>
          <thead>
            <tr>
              <th scope="col">${msg("部门", { id: "department" })}</th>
              <th scope="col" class="n">${msg("主机", { id: "hosts" })}</th>
              <th scope="col" class="n">vCPU</th>
              <th scope="col" class="n">${msg("内存 GiB", { id: "memory-gib" })}</th>
              <th scope="col" class="n">${msg("存储 GiB", { id: "storage-gib" })}</th>
              <th scope="col" class="n">${msg("备份", { id: "backups" })}</th>
              <th scope="col">${msg("配额使用", { id: "quota-used" })}</th>
              <th scope="col" class="n">${msg("在线率", { id: "uptime" })}</th>
            </tr>
          </thead>
          <tbody>
            ${visible.map(({ row, level }) => this.#row(row, level))}
          </tbody>
        </table>
      </div>
      <zy-command .command=${"zhengyun usage --depth 1"}></zy-command>`;
  }

  #row(row: DepartmentUsage, level: number) {
    const fullest = this.#fullest(row);
    const opened = this.#opened.has(row.code);
    const storage = (row.tree["storage_gib:standard"] ?? 0) + (row.tree["storage_gib:performance"] ?? 0) + (row.tree["storage_gib:capacity"] ?? 0);
    return html`<tr>
      <th scope="row">
        ${"\u2003".repeat(level)}${
          row.children > 0
            ? html`<button
                class="plain"
                aria-expanded=${opened}
                aria-label="${opened ? msg("收起", { id: "close" }) : msg("展开", { id: "open" })} ${this.#name(row)}"
                @click=${() => this.#toggle(row.code)}
              >
                ${opened ? "▾" : "▸"}
              </button>`
            : "\u2003"
        } <a href=${pages.department(row.department)}>${this.#name(row)}</a>
      </th>
      <td class="n">${this.#of(row, "hosts")}</td>
      <td class="n">${this.#of(row, "vcpu")}</td>
      <td class="n">${this.#of(row, "memory_mib", 1 / 1024)}</td>
      <td class="n">${number(storage)}</td>
      <td class="n">${row.backups.count === 0 ? "0" : html`${row.backups.count} (${bytes(row.backups.bytes)})`}</td>
      <td>
        <zy-quota-bar
          .ratio=${fullest?.ratio ?? null}
          .soft=${fullest?.soft ?? null}
          .borrowed=${fullest?.borrowed ?? 0}
          .label=${msg("配额使用", { id: "quota-used" })}
        ></zy-quota-bar>
      </td>
      <td class="n">
        ${percent(row.uptimeRatio)}${row.maintenanceSeconds > 0 ? html`<br /><span class="muted">${msg("维护", { id: "mw-time" })} ${hours(row.maintenanceSeconds)}</span>` : nothing}
      </td>
    </tr>`;
  }
}
customElements.define("zy-usage-page", UsagePage);
