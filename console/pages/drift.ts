import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { Event as Happened } from "../../control-plane/contract/access.ts";
import type { DriftFinding } from "../../control-plane/contract/drift.ts";
import { askReason } from "../components/reason-dialog.ts";
import { Paged, post } from "../client/index.ts";
import { time } from "../format.ts";
import { api, pages } from "../paths.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";

const states: Record<string, () => string> = {
  open: () => msg("待决定", { id: "drift-open" }),
  proposed: () => msg("待第二人同意", { id: "drift-proposed" }),
  "putting-back": () => msg("正在恢复", { id: "drift-putting-back" }),
  adopting: () => msg("已提出采纳申请", { id: "drift-adopting" }),
  accepted: () => msg("保持现状", { id: "drift-accepted" }),
};
const decidable = ({ state }: DriftFinding) => state === "open" || state === "proposed" || state === "accepted";

/** What is otherwise on the cloud than it was applied, property by property, and what operations staff decide on it. */
export class DriftPage extends Page {
  readonly #findings = new Paged<DriftFinding>((cursor) => api.drift({ state: "open", ...(cursor === undefined ? {} : { cursor }) }));

  override async load(): Promise<void> {
    await this.#findings.load();
  }
  override concerns(event: Happened): boolean {
    return event.type.startsWith("drift.");
  }

  async #decide(row: DriftFinding, how: "put-back" | "adopt" | "accept"): Promise<void> {
    const lost = how === "put-back" && row.lost !== null;
    if (lost && !confirm(`${msg("该资源已不存在：将重新创建，需第二人同意。", { id: "drift-loss" })}\n${row.lost}`)) return;
    const reason = await askReason(msg("理由（记入审计）", { id: "drift-reason" }));
    if (!reason) return;
    await this.attempt(async () => {
      await post(api.decideDrift(row.id, how), { reason, ...(lost ? { acceptLoss: true } : {}) }, row.revision);
      await this.load();
    });
  }

  override show(): TemplateResult {
    const { items } = this.#findings;
    return html`<h1>${msg("配置漂移", { id: "drift" })}</h1>
      <p>${msg("同一资源整体恢复或整体采纳；采纳即提出申请，由部门审批。", { id: "drift-how" })}</p>
      <section class="card" tabindex="0">
        ${items.length === 0 ? html`<p>${msg("云上一切与批准的一致。", { id: "no-drift" })}</p>` : this.#table(items)}
        <div class="bar">
          <button @click=${() => this.refresh()}>${msg("刷新", { id: "refresh" })}</button>
          ${!this.#findings.more ? nothing : html`<button @click=${() => this.attempt(() => this.#findings.loadMore())}>${msg("更多", { id: "more" })}</button>`}
        </div>
      </section>
      <zy-command .command=${"zhengyun drift list"}></zy-command>`;
  }

  #table(items: readonly DriftFinding[]): TemplateResult {
    return html`<table>
      <thead>
        <tr>
          <th scope="col">${msg("资源", { id: "resource" })}</th>
          <th scope="col">${msg("属性", { id: "property" })}</th>
          <th scope="col">${msg("批准值", { id: "applied" })}</th>
          <th scope="col">${msg("实际值", { id: "really" })}</th>
          <th scope="col">${msg("发现于", { id: "since" })}</th>
          <th scope="col">${msg("状态", { id: "state" })}</th>
          <th scope="col">${msg("操作", { id: "action" })}</th>
        </tr>
      </thead>
      <tbody>
        ${items.map(
          (row) =>
            html`<tr>
              <th scope="row"><a href=${pages.department(row.department)}>${row.name}</a> <code>${row.kind}</code></th>
              <td><code>${row.property}</code></td>
              <td>${this.#value(row, row.wanted)}</td>
              <td>${this.#value(row, row.actual)}</td>
              <td>${time(row.firstSeenAt)}</td>
              <td>
                ${states[row.state]?.() ?? row.state} ${row.request === null ? nothing : html`<a href=${pages.request(row.request)}>${row.request}</a>`}
                ${row.error === null ? nothing : html`<div class="bad">✕ ${row.error}</div>`}
                ${row.lost === null ? nothing : html`<div class="warn">${row.lost}</div>`}
              </td>
              <td>${decidable(row) ? this.#actions(row) : nothing}</td>
            </tr>`,
        )}
      </tbody>
    </table>`;
  }

  #value({ property }: DriftFinding, value: unknown): TemplateResult {
    if (property === "existence") return value === "missing" ? html`<strong class="bad">${msg("已不存在", { id: "drift-missing" })}</strong>` : html`–`;
    if (Array.isArray(value)) return value.length === 0 ? html`–` : html`${value.map((one) => html`<div>${String(one)}</div>`)}`;
    return value === null ? html`${msg("无限制", { id: "drift-none" })}` : html`${typeof value === "string" ? value : JSON.stringify(value)}`;
  }

  #actions(row: DriftFinding): TemplateResult {
    const button = (how: "put-back" | "adopt" | "accept", text: string) =>
      html`<button aria-label=${`${text}: ${row.name} ${row.property}`} @click=${() => this.#decide(row, how)}>${text}</button>`;
    return html`${button("put-back", msg("恢复", { id: "put-back" }))} ${row.adoptable ? button("adopt", msg("采纳", { id: "adopt-drift" })) : nothing}
    ${row.property === "existence" || row.state === "accepted" ? nothing : button("accept", msg("保持现状", { id: "accept-drift" }))}`;
  }
}
customElements.define("zy-drift-page", DriftPage);
