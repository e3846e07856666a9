import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { Event as Happened } from "../../control-plane/contract/access.ts";
import type { Backup, Restore } from "../../control-plane/contract/backups.ts";
import type { Project } from "../../control-plane/contract/projects.ts";
import type { Request } from "../../control-plane/contract/requests.ts";
import type { BackupPolicy, Host, Volume } from "../../control-plane/contract/resources.ts";
import type { DepartmentUsage } from "../../control-plane/contract/usage.ts";
import { get, list, post } from "../client/index.ts";
import { bytes, number, percent, time } from "../format.ts";
import { getLocale } from "../locales/index.ts";
import { dimensionName } from "../locales/states.ts";
import { api, pages } from "../paths.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";
import "../components/fund-table.ts";
import "../components/quota-bar.ts";
import "../components/state-badge.ts";

/** What a department holds, live: hosts, volumes, backups. */
export class DepartmentPage extends Page {
  static override properties = { department: {} };
  declare department: string;
  #usage: DepartmentUsage | undefined;
  #hosts: Host[] = [];
  #volumes: Volume[] = [];
  #backups: Backup[] = [];
  #policies: BackupPolicy[] = [];
  #requests: Request[] = [];
  #projects: Project[] = [];
  #restoring: Backup | undefined;
  #typed = "";

  override async load(): Promise<void> {
    const [usage, hosts, volumes, backups, policies, requests, projects] = await Promise.all([
      get<{ items: DepartmentUsage[] }>(api.usage({ department: this.department, depth: "0" })),
      list<Host>(api.held("hosts", this.department)),
      list<Volume>(api.held("volumes", this.department)),
      list<Backup>(api.held("backups", this.department)),
      list<BackupPolicy>(api.held("backup-policies", this.department)),
      list<Request>(api.requests({ department: this.department })),
      list<Project>(api.projects(this.department)),
    ]);
    this.#usage = usage.items[0];
    this.#hosts = hosts;
    this.#volumes = volumes;
    this.#backups = backups;
    this.#policies = policies;
    this.#requests = requests;
    this.#projects = projects.filter((one) => one.department === this.department);
  }
  override concerns(event: Happened): boolean {
    return event.department === this.department;
  }
  #volumeName = (id: string) => this.#volumes.find((volume) => volume.id === id)?.name ?? id;
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
    return html`<nav><a href=${pages.usage()}>${msg("用量与配额", { id: "usage-title" })}</a> › ${name}</nav>
      <h1>${name} <span class="muted">${usage.code}</span></h1>
      <div class="card bar">
        ${usage.quota.filter((one) => one.limit !== null).map((one) => html`<div>${dimensionName(one.dimension)} <strong>${number(one.used + one.reserved)}</strong> / ${number(one.limit!)}<br /><zy-quota-bar .ratio=${one.limit ? (one.used + one.reserved) / one.limit : null} .soft=${one.limit && one.softLimit !== null ? one.softLimit / one.limit : null} .borrowed=${one.borrowed} .label=${dimensionName(one.dimension)}></zy-quota-bar></div>`)}
      </div>
      <div class="bar"><a href=${pages.newRequest(this.department)}>${msg("新建申请", { id: "new-request" })}</a></div>
      <h2>${msg("主机", { id: "hosts" })} (${this.#hosts.length})</h2>
      <div class="card" tabindex="0">
        ${
          this.#hosts.length === 0
            ? html`<p>${msg("没有主机。", { id: "no-hosts" })}</p>`
            : html`<table>
                <thead>
                  <tr>
                    <th scope="col">${msg("名称", { id: "name" })}</th>
                    <th scope="col">${msg("状态", { id: "state" })}</th>
                    <th scope="col">${msg("规格", { id: "specification" })}</th>
                    <th scope="col">${msg("镜像", { id: "image" })}</th>
                    <th scope="col">${msg("资源池", { id: "pool" })}</th>
                    <th scope="col" class="n">${msg("在线率", { id: "uptime" })}</th>
                    <th scope="col">${msg("开通时间", { id: "opened" })}</th>
                    <th scope="col">${msg("申请", { id: "requests" })}</th>
                  </tr>
                </thead>
                <tbody>
                  ${this.#hosts.map(
                    (host) =>
                      html`<tr>
                        <th scope="row">${host.name}</th>
                        <td><zy-state .state=${host.phase === "live" ? host.observedState : host.phase}></zy-state></td>
                        <td>${host.flavour.vcpu} vCPU · ${host.flavour.memoryMib / 1024} GiB · ${host.flavour.diskGib} GiB</td>
                        <td>${host.image}</td>
                        <td>${host.pool}</td>
                        <td class="n">${percent(host.uptimeRatio)}</td>
                        <td>${time(host.openedAt)}</td>
                        <td><a href=${pages.request(host.request)}>${host.requestNumber}</a></td>
                      </tr>`,
                  )}
                </tbody>
              </table>`
        }
      </div>
      <h2>${msg("存储卷", { id: "k-volume" })} (${this.#volumes.length})</h2>
      <div class="card" tabindex="0">
        ${
          this.#volumes.length === 0
            ? html`<p>${msg("没有存储卷。", { id: "no-volumes" })}</p>`
            : html`<table>
                <thead>
                  <tr>
                    <th scope="col">${msg("名称", { id: "name" })}</th>
                    <th scope="col">${msg("状态", { id: "state" })}</th>
                    <th scope="col" class="n">GiB</th>
                    <th scope="col">${msg("实际占用", { id: "really-used" })}</th>
                    <th scope="col">${msg("挂载于", { id: "attached-to" })}</th>
                    <th scope="col"></th>
                  </tr>
                </thead>
                <tbody>
                  ${this.#volumes.map(
                    (volume) =>
                      html`<tr>
                        <th scope="row">${volume.name}</th>
                        <td><zy-state .state=${volume.phase === "live" ? volume.observedState : volume.phase}></zy-state></td>
                        <td class="n">${volume.sizeGib}</td>
                        <td>${bytes(volume.usedBytes)}</td>
                        <td>${volume.attachedTo ? `${volume.attachedTo.hostName}:${volume.attachedTo.path}` : "–"}</td>
                        <td>
                          <button ?disabled=${volume.phase !== "live"} @click=${() => this.#backUp(volume.id)}>${msg("立即备份", { id: "back-up" })}</button>
                        </td>
                      </tr>`,
                  )}
                </tbody>
              </table>`
        }
      </div>
      <h2>${msg("备份", { id: "backups" })} (${this.#backups.length})</h2>
      <div class="card" tabindex="0">
        ${
          this.#backups.length === 0
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
                  ${this.#backups.map(
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
                        </td>
                      </tr>`,
                  )}
                </tbody>
              </table>`
        }
      </div>
      ${this.#projects.length > 0 ? this.#projectTable() : nothing} ${this.#policies.length > 0 ? this.#policyTable() : nothing}
      ${this.#requests.length > 0 ? this.#requestTable() : nothing} ${this.#restoring ? this.#confirm(this.#restoring) : nothing}
      <zy-command .command=${`zhengyun hosts list --department ${usage.code}`}></zy-command>`;
  }

  #policyTable() {
    return html`<h2>${msg("备份策略", { id: "k-policy" })} (${this.#policies.length})</h2>
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
            ${this.#policies.map(
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
      </div>`;
  }

  #projectTable() {
    return html`<h2>${msg("项目", { id: "projects" })} (${this.#projects.length})</h2>
      <div class="card" tabindex="0">
        ${this.#projects.map(
          (row) =>
            html`<h3><a href=${pages.project(row.id)}>${row.name}</a> <span class="muted">${row.code}</span> <zy-state .state=${row.stage}></zy-state></h3>
              <zy-funds .funds=${row.funds}></zy-funds>`,
        )}
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
            ${this.#requests.map(
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
