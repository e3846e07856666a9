import { html, nothing, type TemplateResult } from "lit";
import { keyed } from "lit/directives/keyed.js";
import { msg } from "@lit/localize";
import type { Event as Happened } from "../../control-plane/contract/access.ts";
import type { Backup, Restore } from "../../control-plane/contract/backups.ts";
import type { Project } from "../../control-plane/contract/projects.ts";
import type { Request } from "../../control-plane/contract/requests.ts";
import type { BackupPolicy, Host, Volume } from "../../control-plane/contract/resources.ts";
import type { MaintenanceWindow } from "../../control-plane/contract/maintenance.ts";
import type { DepartmentUsage } from "../../control-plane/contract/usage.ts";
import { get, list, Paged, post } from "../client/index.ts";
import { bytes, hours, number, percent, time } from "../format.ts";
import { getLocale } from "../locales/index.ts";
import { dimensionName } from "../locales/states.ts";
import { api, pages } from "../paths.ts";
import "./changes.ts";
import "./restore-new.ts";
import "./transfer.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";
import "../components/fund-table.ts";
import "../components/quota-bar.ts";
import "../components/maintenance-note.ts";
import "../components/state-badge.ts";

/** What a department holds, live: hosts, volumes, backups. Who may ask selects hosts and volumes, and asks that they are changed. */
export class DepartmentPage extends Page {
  static override properties = { department: {}, asks: { type: Boolean }, enters: { type: Boolean } };
  declare department: string;
  /** Whether who looks may try to open a terminal. */
  declare enters: boolean;
  /** Whether who looks may make requests. */
  declare asks: boolean;
  #usage: DepartmentUsage | undefined;
  #maintenance: MaintenanceWindow[] = [];
  readonly #held = <T>(noun: "hosts" | "volumes" | "backup-policies" | "backups") =>
    new Paged<T>((cursor) => api.held(noun, { department: this.department, ...(cursor === undefined ? {} : { cursor }) }));
  readonly #hosts = this.#held<Host>("hosts");
  readonly #volumes = this.#held<Volume>("volumes");
  readonly #backups = this.#held<Backup>("backups");
  readonly #policies = this.#held<BackupPolicy>("backup-policies");
  readonly #requests = new Paged<Request>((cursor) => api.requests({ department: this.department, ...(cursor === undefined ? {} : { cursor }) }));
  readonly #projects = new Paged<Project>((cursor) => api.projects(this.department, cursor));
  /** Ids of what was selected to be changed. */
  readonly #selected = new Set<string>();
  #restoring: Backup | undefined;
  /** A backup that a new volume is to be made with. */
  #copying: Backup | undefined;
  #typed = "";

  override async load(): Promise<void> {
    const lists = [this.#hosts, this.#volumes, this.#backups, this.#policies, this.#requests, this.#projects];
    const [usage, maintenance] = await Promise.all([
      get<{ items: DepartmentUsage[] }>(api.usage({ department: this.department, depth: "0" })),
      list<MaintenanceWindow>(api.maintenanceWindows({ department: this.department, state: "coming" })),
      ...lists.map((one) => one.load()),
    ]);
    this.#usage = usage.items[0];
    this.#maintenance = maintenance;
    this.#chosen = this.#chosenNow();
  }
  #select(id: string, chosen: boolean): void {
    if (chosen) this.#selected.add(id);
    else this.#selected.delete(id);
    this.#chosen = this.#chosenNow();
    this.requestUpdate();
  }
  /** Kept until the selection or what was selected is another, so that what is typed below stays. */
  #chosen: { hosts: Host[]; volumes: Volume[] } = { hosts: [], volumes: [] };
  #chosenNow() {
    const of = <T extends { id: string; phase: string; revision: number }>(list: readonly T[], before: readonly T[]) => {
      const now = list.filter((one) => this.#selected.has(one.id) && one.phase === "live");
      const same = now.length === before.length && now.every((one, index) => one.id === before[index]?.id && one.revision === before[index].revision);
      return same ? (before as T[]) : now;
    };
    return { hosts: of(this.#hosts.items, this.#chosen.hosts), volumes: of(this.#volumes.items, this.#chosen.volumes) };
  }
  #count = (list: Paged<unknown>) => `${list.items.length}${list.more ? "+" : ""}`;
  #box = (one: Host | Volume) =>
    html`<td>
      <input
        type="checkbox"
        aria-label=${`${msg("选择", { id: "select" })} ${one.name}`}
        .checked=${this.#selected.has(one.id)}
        ?disabled=${one.phase !== "live"}
        @change=${(event: Event) => this.#select(one.id, (event.target as HTMLInputElement).checked)}
      />
    </td>`;
  override concerns(event: Happened): boolean {
    return event.department === this.department;
  }
  #volumeName = (id: string) => this.#volumes.items.find((volume) => volume.id === id)?.name ?? id;
  async #backUp(volume: string): Promise<void> {
    if (await this.attempt(() => post<Backup>(api.backups, { volume }))) await this.refresh();
  }
  async #restore(): Promise<void> {
    const backup = this.#restoring;
    if (backup && (await this.attempt(() => post<Restore>(api.restores, { backup: backup.id })))) {
      this.#restoring = undefined;
      await this.refresh();
    }
  }

  override show(): TemplateResult {
    const usage = this.#usage;
    if (!usage) return html``;
    const name = getLocale() === "en" ? usage.nameEn : usage.nameZh;
    return html`<nav>
        <a href=${pages.usage()}>${msg("用量与配额", { id: "usage-title" })}</a> › ${name} ·
        <a href=${pages.approvalPolicy(this.department)}>${msg("审批策略", { id: "approval-policy" })}</a>
      </nav>
      <h1>${name} <span class="muted">${usage.code}</span></h1>
      <zy-maintenance-note .windows=${this.#maintenance}></zy-maintenance-note>
      <div class="card bar">
        ${usage.quota.filter((one) => one.limit !== null).map((one) => html`<div>${dimensionName(one.dimension)} <strong>${number(one.used + one.reserved)}</strong> / ${number(one.limit!)}<br /><zy-quota-bar .ratio=${one.limit ? (one.used + one.reserved) / one.limit : null} .soft=${one.limit && one.softLimit !== null ? one.softLimit / one.limit : null} .borrowed=${one.borrowed} .label=${dimensionName(one.dimension)}></zy-quota-bar></div>`)}
      </div>
      <div class="bar"><a href=${pages.newRequest(this.department)}>${msg("新建申请", { id: "new-request" })}</a></div>
      <h2>${msg("主机", { id: "hosts" })} (${this.#count(this.#hosts)})</h2>
      <div class="card" tabindex="0">
        ${
          this.#hosts.items.length === 0
            ? html`<p>${msg("没有主机。", { id: "no-hosts" })}</p>`
            : html`<table>
                <thead>
                  <tr>
                    ${this.asks ? html`<th scope="col">${msg("选择", { id: "select" })}</th>` : nothing}
                    <th scope="col">${msg("名称", { id: "name" })}</th>
                    <th scope="col">${msg("状态", { id: "state" })}</th>
                    <th scope="col">${msg("规格", { id: "specification" })}</th>
                    <th scope="col">${msg("镜像", { id: "image" })}</th>
                    <th scope="col">${msg("资源池", { id: "pool" })}</th>
                    <th scope="col" class="n">${msg("在线率", { id: "uptime" })}</th>
                    <th scope="col">${msg("开通时间", { id: "opened" })}</th>
                    <th scope="col">${msg("使用至", { id: "kept-until" })}</th>
                    <th scope="col">${msg("申请", { id: "requests" })}</th>
                  </tr>
                </thead>
                <tbody>
                  ${this.#hosts.items.map(
                    (host) =>
                      html`<tr>
                        ${this.asks ? this.#box(host) : nothing}
                        <th scope="row">
                          ${host.name}${this.enters && host.phase === "live" ? html` <a href=${pages.terminal(host.id, host.name)}>${msg("终端", { id: "terminal" })}</a>` : nothing}
                        </th>
                        <td>
                          <zy-state .state=${host.phase === "live" ? host.observedState : host.phase}></zy-state>
                          ${host.inMaintenance ? html`<br /><span class="warn">▲ ${msg("正在维护", { id: "mw-holding" })}</span>` : nothing}
                        </td>
                        <td>${host.flavour.vcpu} vCPU · ${host.flavour.memoryMib / 1024} GiB · ${host.flavour.diskGib} GiB</td>
                        <td>${host.image}</td>
                        <td>${host.pool}</td>
                        <td class="n">
                          ${percent(host.uptimeRatio)}${host.maintenanceSeconds > 0 ? html`<br /><span class="muted">${msg("维护", { id: "mw-time" })} ${hours(host.maintenanceSeconds)}</span>` : nothing}
                        </td>
                        <td>${time(host.openedAt)}</td>
                        <td>${time(host.expiresAt)}</td>
                        <td><a href=${pages.request(host.request)}>${host.requestNumber}</a></td>
                      </tr>`,
                  )}
                </tbody>
              </table>`
        }
        ${this.more(this.#hosts as Paged<never>)}
      </div>
      <h2>${msg("存储卷", { id: "k-volume" })} (${this.#count(this.#volumes)})</h2>
      <div class="card" tabindex="0">
        ${
          this.#volumes.items.length === 0
            ? html`<p>${msg("没有存储卷。", { id: "no-volumes" })}</p>`
            : html`<table>
                <thead>
                  <tr>
                    ${this.asks ? html`<th scope="col">${msg("选择", { id: "select" })}</th>` : nothing}
                    <th scope="col">${msg("名称", { id: "name" })}</th>
                    <th scope="col">${msg("状态", { id: "state" })}</th>
                    <th scope="col" class="n">GiB</th>
                    <th scope="col">${msg("实际占用", { id: "really-used" })}</th>
                    <th scope="col">${msg("挂载于", { id: "attached-to" })}</th>
                    <th scope="col">${msg("使用至", { id: "kept-until" })}</th>
                    <th scope="col"></th>
                  </tr>
                </thead>
                <tbody>
                  ${this.#volumes.items.map(
                    (volume) =>
                      html`<tr>
                        ${this.asks ? this.#box(volume) : nothing}
                        <th scope="row">${volume.name}</th>
                        <td><zy-state .state=${volume.phase === "live" ? volume.observedState : volume.phase}></zy-state></td>
                        <td class="n">${volume.sizeGib}</td>
                        <td>${bytes(volume.usedBytes)}</td>
                        <td>${volume.attachedTo ? `${volume.attachedTo.hostName}:${volume.attachedTo.path}` : "–"}</td>
                        <td>${time(volume.expiresAt)}</td>
                        <td>
                          <button ?disabled=${volume.phase !== "live"} @click=${() => this.#backUp(volume.id)}>${msg("立即备份", { id: "back-up" })}</button>
                          <a href=${pages.snapshots(volume.id)} aria-label=${`${msg("快照", { id: "snapshots" })}: ${volume.name}`}
                            >${msg("快照", { id: "snapshots" })}</a
                          >
                        </td>
                      </tr>`,
                  )}
                </tbody>
              </table>`
        }
        ${this.more(this.#volumes as Paged<never>)}
      </div>
      ${
        this.#chosen.hosts.length + this.#chosen.volumes.length > 0
          ? html`<zy-changes
              .hosts=${this.#chosen.hosts}
              .volumes=${this.#chosen.volumes}
              .known=${{ hosts: this.#hosts.items, volumes: this.#volumes.items }}
            ></zy-changes>`
          : this.asks && this.#hosts.items.length + this.#volumes.items.length > 0
            ? html`<p class="muted">${msg("勾选主机或存储卷，可申请调整、启停、延期、挂载、卸载、扩容或回收；多项合为一份申请。", { id: "select-note" })}</p>`
            : nothing
      }
      <h2>${msg("备份", { id: "backups" })} (${this.#count(this.#backups)})</h2>
      <div class="card" tabindex="0">
        ${
          this.#backups.items.length === 0
            ? html`<p>${msg("还没有备份。", { id: "no-backups" })}</p>`
            : html`<table>
                <thead>
                  <tr>
                    <th scope="col">${msg("完成时间", { id: "completed" })}</th>
                    <th scope="col">${msg("存储卷", { id: "k-volume" })}</th>
                    <th scope="col">${msg("状态", { id: "state" })}</th>
                    <th scope="col">${msg("大小", { id: "size" })}</th>
                    <th scope="col">SHA-256</th>
                    <th scope="col">${msg("存放地点", { id: "site" })}</th>
                    <th scope="col"></th>
                  </tr>
                </thead>
                <tbody>
                  ${this.#backups.items.map(
                    (backup) =>
                      html`<tr>
                        <th scope="row">${time(backup.completedAt)}</th>
                        <td>${this.#volumeName(backup.volume)}</td>
                        <td><zy-state .state=${backup.state}></zy-state></td>
                        <td>${bytes(backup.sizeBytes)}</td>
                        <td><code>${backup.sha256?.slice(0, 12) ?? ""}</code></td>
                        <td>${backup.site}</td>
                        <td>
                          <button
                            ?disabled=${backup.state !== "complete"}
                            @click=${() => {
                              this.#restoring = backup;
                              this.#typed = "";
                              this.requestUpdate();
                            }}
                          >
                            ${msg("恢复…", { id: "restore" })}
                          </button>
                          ${
                            this.asks
                              ? html`<button
                                  ?disabled=${backup.state !== "complete"}
                                  @click=${() => {
                                    this.#copying = this.#copying === backup ? undefined : backup;
                                    this.requestUpdate();
                                  }}
                                >
                                  ${msg("恢复到新存储卷", { id: "restore-new" })}…
                                </button>`
                              : nothing
                          }
                        </td>
                      </tr>`,
                  )}
                </tbody>
              </table>`
        }
        ${this.more(this.#backups as Paged<never>)}
      </div>
      ${keyed(this.#copying?.id, this.#copying ? html`<zy-restore-new .backup=${this.#copying}></zy-restore-new>` : nothing)}
      ${this.asks ? html`<zy-transfer .department=${this.department}></zy-transfer>` : nothing}
      ${this.#projects.items.length > 0 ? this.#projectTable() : nothing} ${this.#policies.items.length > 0 ? this.#policyTable() : nothing}
      ${this.#requests.items.length > 0 ? this.#requestTable() : nothing} ${this.#restoring ? this.#confirm(this.#restoring) : nothing}
      <zy-command .command=${`zhengyun hosts list --department ${usage.code}`}></zy-command>`;
  }

  #policyTable() {
    return html`<h2>${msg("备份策略", { id: "k-policy" })} (${this.#count(this.#policies)})</h2>
      <div class="card" tabindex="0">
        <table>
          <thead>
            <tr>
              <th scope="col">${msg("名称", { id: "name" })}</th>
              <th scope="col">${msg("状态", { id: "state" })}</th>
              <th scope="col">${msg("存储卷", { id: "k-volume" })}</th>
              <th scope="col">${msg("计划", { id: "schedule" })}</th>
              <th scope="col" class="n">${msg("保留份数", { id: "keep" })}</th>
              <th scope="col">${msg("下次备份", { id: "next-due" })}</th>
              <th scope="col">${msg("最近成功", { id: "last-success" })}</th>
            </tr>
          </thead>
          <tbody>
            ${this.#policies.items.map(
              (policy) =>
                html`<tr>
                  <th scope="row">${policy.name}</th>
                  <td><zy-state .state=${policy.phase}></zy-state></td>
                  <td>${policy.volumeName}</td>
                  <td><code>${policy.schedule}</code> ${policy.timezone}</td>
                  <td class="n">${policy.keep}</td>
                  <td>${time(policy.nextDueAt)}</td>
                  <td>${time(policy.lastSuccessAt)}</td>
                </tr>`,
            )}
          </tbody>
        </table>
        ${this.more(this.#policies as Paged<never>)}
      </div>`;
  }

  #projectTable() {
    return html`<h2>${msg("项目", { id: "projects" })} (${this.#count(this.#projects)})</h2>
      <div class="card" tabindex="0">
        ${this.#projects.items
          .filter((row) => row.department === this.department)
          .map(
            (row) =>
              html`<h3><a href=${pages.project(row.id)}>${row.name}</a> <span class="muted">${row.code}</span> <zy-state .state=${row.stage}></zy-state></h3>
                <zy-funds .funds=${row.funds}></zy-funds>`,
          )}
        ${this.more(this.#projects as Paged<never>)}
      </div>`;
  }

  #requestTable() {
    return html`<h2>${msg("申请", { id: "requests" })}</h2>
      <div class="card" tabindex="0">
        <table>
          <thead>
            <tr>
              <th scope="col">${msg("编号", { id: "number" })}</th>
              <th scope="col">${msg("事项", { id: "title" })}</th>
              <th scope="col">${msg("状态", { id: "state" })}</th>
              <th scope="col">${msg("创建时间", { id: "created" })}</th>
            </tr>
          </thead>
          <tbody>
            ${this.#requests.items.map(
              (row) =>
                html`<tr>
                  <th scope="row"><a href=${pages.request(row.id)}>${row.number}</a></th>
                  <td>${row.title}</td>
                  <td><zy-state .state=${row.state}></zy-state></td>
                  <td>${time(row.createdAt)}</td>
                </tr>`,
            )}
          </tbody>
        </table>
        ${this.more(this.#requests as Paged<never>)}
      </div>`;
  }

  #confirm(backup: Backup) {
    const name = this.#volumeName(backup.volume);
    return html`<div class="error" role="alertdialog" aria-label=${msg("恢复…", { id: "restore" })}>
      <p>${msg("恢复会用备份内容替换存储卷现有内容，现有内容将丢失。请输入存储卷名称确认：", { id: "restore-warning" })} <strong>${name}</strong></p>
      <div class="bar">
        <label
          >${msg("名称", { id: "name" })}<input
            @input=${(event: InputEvent) => {
              this.#typed = (event.target as HTMLInputElement).value;
              this.requestUpdate();
            }}
        /></label>
        <button class="primary" ?disabled=${this.#typed !== name} @click=${() => this.#restore()}>${msg("替换内容", { id: "restore-now" })}</button>
        <button
          @click=${() => {
            this.#restoring = undefined;
            this.requestUpdate();
          }}
        >
          ${msg("取消", { id: "cancel" })}
        </button>
      </div>
    </div>`;
  }
}
customElements.define("zy-department-page", DepartmentPage);
