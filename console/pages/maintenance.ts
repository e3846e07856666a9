import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { Event as Happened } from "../../control-plane/contract/access.ts";
import type { MaintenancePolicy, MaintenanceScope, MaintenanceState, MaintenanceWindow } from "../../control-plane/contract/maintenance.ts";
import { get, Paged, patch, post } from "../client/index.ts";
import { time } from "../format.ts";
import { api, pages } from "../paths.ts";
import { fieldOf } from "./fields.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";

/** What `datetime-local` gives is the clock of Shanghai, whatever the browser's own is. */
const shanghai = (local: string) => new Date(`${local}+08:00`).toISOString();
const local = (at: string) => new Date(Date.parse(at) + 8 * 3_600_000).toISOString().slice(0, 16);

/** Maintenance windows: what holds, comes and was; operations announce, move and cancel them here. */
export class MaintenancePage extends Page {
  static override properties = { changes: { type: Boolean } };
  /** Whether who looks may announce. */
  declare changes: boolean;
  readonly #windows = new Paged<MaintenanceWindow>((cursor) => api.maintenanceWindows(cursor === undefined ? {} : { cursor }));
  #policy: MaintenancePolicy | undefined;
  #kind: MaintenanceScope["kind"] = "pool";
  #emergency = false;
  /** The window that is being moved or cancelled. */
  #chosen: { window: MaintenanceWindow; act: "move" | "cancel" } | undefined;

  override async load(): Promise<void> {
    [this.#policy] = await Promise.all([get<MaintenancePolicy>(api.maintenancePolicy), this.#windows.load()]);
  }
  override concerns(event: Happened): boolean {
    return event.type.startsWith("maintenance.");
  }

  async #announce(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const form = event.target as HTMLFormElement;
    const field = fieldOf(form);
    const about = field("about");
    const scope: MaintenanceScope =
      this.#kind === "pool"
        ? { kind: "pool", pool: about }
        : this.#kind === "member"
          ? { kind: "member", pool: about, member: field("member") }
          : this.#kind === "application"
            ? { kind: "application", application: about }
            : { kind: "hosts", hosts: about.split(/[\s,]+/).filter((one) => one !== "") };
    const body = {
      scope,
      from: field("from") === "" ? null : shanghai(field("from")),
      to: shanghai(field("to")),
      reason: field("reason"),
      emergencyReason: this.#emergency ? field("emergency") : null,
    };
    if (!(await this.attempt(() => post<MaintenanceWindow>(api.maintenanceWindows(), body)))) return;
    form.reset();
    this.#emergency = false;
    await this.refresh();
  }
  async #change(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const chosen = this.#chosen;
    if (!chosen) return;
    const { window, act } = chosen;
    const field = fieldOf(event.target as HTMLFormElement);
    const moved = (name: "from" | "to") => (field(name) === "" || field(name) === local(window[name]) ? {} : { [name]: shanghai(field(name)) });
    const done = await this.attempt(() =>
      act === "cancel"
        ? post(api.cancelMaintenance(window.id), { reason: field("reason") }, window.revision)
        : patch(
            api.maintenanceWindow(window.id),
            { ...moved("from"), ...moved("to"), reason: field("reason"), emergencyReason: field("emergency") || null },
            window.revision,
          ),
    );
    if (!done) return;
    this.#chosen = undefined;
    await this.refresh();
  }
  #choose(window: MaintenanceWindow, act: "move" | "cancel"): void {
    this.#chosen = { window, act };
    this.requestUpdate();
  }

  #stateName(state: MaintenanceState): string {
    switch (state) {
      case "announced":
        return msg("已公告", { id: "mw-state-announced" });
      case "holding":
        return msg("正在维护", { id: "mw-holding" });
      case "ended":
        return msg("已结束", { id: "mw-state-ended" });
      case "cancelled":
        return msg("已取消", { id: "mw-state-cancelled" });
    }
  }
  #about({ scope }: MaintenanceWindow): string {
    switch (scope.kind) {
      case "pool":
        return `${msg("资源池", { id: "pool" })} ${scope.pool ?? ""}`;
      case "member":
        return `${msg("资源池", { id: "pool" })} ${scope.pool ?? ""} · ${msg("节点", { id: "mw-member" })} ${scope.member ?? ""}`;
      case "application":
        return `${msg("业务系统", { id: "application" })} ${scope.application ?? ""}`;
      case "hosts":
        return msg("选定的主机", { id: "mw-chosen-hosts" });
    }
  }

  override show(): TemplateResult {
    const rows = this.#windows.items;
    return html`<h1>${msg("维护窗口", { id: "mw-title" })}</h1>
      <p class="muted">
        ${msg("窗口到点自行开始、自行结束；期间主机中断记为维护，不计入故障时间。提前公告工作日数：", { id: "mw-how" })} ${this.#policy?.noticeDays};
        ${msg("最长小时数：", { id: "mw-longest" })} ${this.#policy?.longestHours}
      </p>
      <div class="card" tabindex="0">
        ${rows.length === 0 ? html`<p>${msg("没有维护窗口。", { id: "mw-none" })}</p>` : this.#table(rows)} ${this.more(this.#windows)}
      </div>
      ${this.#chosen ? this.#changeForm(this.#chosen) : nothing} ${this.changes ? this.#announceForm() : nothing}
      <zy-command .command=${"zhengyun maintenance list --state coming"}></zy-command>`;
  }

  #table(rows: readonly MaintenanceWindow[]): TemplateResult {
    return html`<table>
      <thead>
        <tr>
          <th scope="col">${msg("开始", { id: "mw-from" })}</th>
          <th scope="col">${msg("结束", { id: "mw-to" })}</th>
          <th scope="col">${msg("状态", { id: "state" })}</th>
          <th scope="col">${msg("范围", { id: "mw-scope" })}</th>
          <th scope="col">${msg("涉及主机", { id: "mw-hosts" })}</th>
          <th scope="col">${msg("事由", { id: "mw-reason" })}</th>
          <th scope="col">${msg("公告人", { id: "mw-by" })}</th>
          ${this.changes ? html`<th scope="col">${msg("操作", { id: "action" })}</th>` : nothing}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr>
              <th scope="row">${time(row.from)}</th>
              <td>${time(row.to)}</td>
              <td class=${row.state === "holding" ? "warn" : ""}>
                ${this.#stateName(row.state)}${row.cancelReason ? html`<br />${row.cancelReason}` : nothing}
              </td>
              <td>${this.#about(row)}</td>
              <td>${this.#hosts(row)}</td>
              <td>
                ${row.reason}${row.emergencyReason ? html`<br /><span class="warn">▲ ${msg("紧急", { id: "mw-emergency" })}</span>: ${row.emergencyReason}` : nothing}
              </td>
              <td>${row.announcedByName ?? row.announcedBy}<br />${time(row.announcedAt)}</td>
              ${this.changes ? html`<td>${this.#acts(row)}</td>` : nothing}
            </tr>`,
        )}
      </tbody>
    </table>`;
  }
  #hosts(row: MaintenanceWindow): TemplateResult {
    const departments = [...Map.groupBy(row.hosts, (host) => host.department)];
    return html`${departments.map(
      ([id, hosts]) =>
        html`<div>
          <a href=${pages.department(id)}>${hosts[0]!.departmentName}</a>:
          ${hosts
            .slice(0, 5)
            .map((host) => host.name)
            .join(", ")}${hosts.length > 5 ? ` … (${hosts.length})` : ""}
        </div>`,
    )}${departments.length === 0 ? "–" : nothing}`;
  }
  #acts(row: MaintenanceWindow): TemplateResult | typeof nothing {
    if (row.state === "ended" || row.state === "cancelled") return nothing;
    const [move, cancel] = [msg("改期或延长", { id: "mw-move" }), msg("取消维护", { id: "mw-cancel" })];
    return html`<div><button aria-label=${`${move}: ${time(row.from)}`} @click=${() => this.#choose(row, "move")}>${move}</button></div>
      <div><button aria-label=${`${cancel}: ${time(row.from)}`} @click=${() => this.#choose(row, "cancel")}>${cancel}</button></div>`;
  }

  #changeForm({ window, act }: { window: MaintenanceWindow; act: "move" | "cancel" }): TemplateResult {
    const title = act === "move" ? msg("改期或延长", { id: "mw-move" }) : msg("取消维护", { id: "mw-cancel" });
    return html`<section class="card">
      <h2>${title}: ${time(window.from)} – ${time(window.to)}</h2>
      <form @submit=${(event: SubmitEvent) => this.#change(event)}>
        <div class="bar">
          ${
            act === "move"
              ? html`${window.state === "announced" ? html`<label>${msg("开始（北京时间）", { id: "mw-from-local" })}<input name="from" type="datetime-local" .value=${local(window.from)} /></label>` : nothing}
                  <label>${msg("结束（北京时间）", { id: "mw-to-local" })}<input name="to" type="datetime-local" required .value=${local(window.to)} /></label>
                  <label>${msg("紧急原因（提前量不足时）", { id: "mw-late" })}<input name="emergency" size="30" maxlength="500" /></label>`
              : nothing
          }
          <label>${msg("事由", { id: "mw-reason" })}<input name="reason" required size="40" maxlength="500" /></label>
          <button class="primary">${title}</button>
          <button
            type="button"
            @click=${() => {
              this.#chosen = undefined;
              this.requestUpdate();
            }}
          >
            ${msg("不改了", { id: "mw-leave" })}
          </button>
        </div>
      </form>
    </section>`;
  }

  #announceForm(): TemplateResult {
    const kinds: Record<MaintenanceScope["kind"], string> = {
      pool: msg("资源池", { id: "pool" }),
      member: msg("集群节点", { id: "mw-cluster-member" }),
      application: msg("业务系统", { id: "application" }),
      hosts: msg("选定的主机", { id: "mw-chosen-hosts" }),
    };
    const about: Record<MaintenanceScope["kind"], string> = {
      pool: msg("资源池代码", { id: "mw-pool-code" }),
      member: msg("资源池代码", { id: "mw-pool-code" }),
      application: msg("业务系统编号", { id: "mw-application-id" }),
      hosts: msg("主机编号（逗号分隔）", { id: "mw-host-ids" }),
    };
    return html`<section class="card">
      <h2>${msg("公告维护", { id: "mw-announce" })}</h2>
      <form @submit=${(event: SubmitEvent) => this.#announce(event)}>
        <div class="bar">
          <label
            >${msg("范围", { id: "mw-scope" })}<select
              name="kind"
              @change=${(event: Event) => {
                this.#kind = (event.target as HTMLSelectElement).value as MaintenanceScope["kind"];
                this.requestUpdate();
              }}
            >
              ${Object.entries(kinds).map(([kind, name]) => html`<option value=${kind} ?selected=${kind === this.#kind}>${name}</option>`)}
            </select></label
          >
          <label>${about[this.#kind]}<input name="about" required size="30" /></label>
          ${this.#kind === "member" ? html`<label>${msg("节点", { id: "mw-member" })}<input name="member" required maxlength="63" /></label>` : nothing}
          <label>${msg("开始（北京时间）", { id: "mw-from-local" })}<input name="from" type="datetime-local" ?required=${!this.#emergency} /></label>
          <label>${msg("结束（北京时间）", { id: "mw-to-local" })}<input name="to" type="datetime-local" required /></label>
          <label>${msg("事由", { id: "mw-reason" })}<input name="reason" required size="40" maxlength="500" /></label>
          <label
            ><input
              type="checkbox"
              name="urgent"
              .checked=${this.#emergency}
              @change=${(event: Event) => {
                this.#emergency = (event.target as HTMLInputElement).checked;
                this.requestUpdate();
              }}
            />${msg("紧急", { id: "mw-emergency" })}</label
          >
          ${this.#emergency ? html`<label>${msg("紧急原因", { id: "mw-emergency-reason" })}<input name="emergency" required size="40" maxlength="500" /></label>` : nothing}
          <button class="primary">${msg("公告维护", { id: "mw-announce" })}</button>
        </div>
      </form>
    </section>`;
  }
}
customElements.define("zy-maintenance-page", MaintenancePage);
