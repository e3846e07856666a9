import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { Application } from "../../control-plane/contract/applications.ts";
import type { Backup } from "../../control-plane/contract/backups.ts";
import { type AskedItem, restoredItems } from "../../control-plane/contract/changes.ts";
import type { Project } from "../../control-plane/contract/projects.ts";
import type { Request } from "../../control-plane/contract/requests.ts";
import type { Host, Volume } from "../../control-plane/contract/resources.ts";
import type { WhatIf } from "../../control-plane/contract/what-if.ts";
import { everything, get, post } from "../client/index.ts";
import { fieldOf } from "./fields.ts";
import { time } from "../format.ts";
import { dimensionName, kindName } from "../locales/states.ts";
import { api, pages } from "../paths.ts";
import { go } from "../router.ts";
import { Page } from "./page.ts";
import "../components/what-if.ts";

interface Asked {
  application: string;
  department: string;
  project: string;
  title: string;
  reason: string;
  items: AskedItem[];
}

/** Asks for a new volume with a backup's content: a request like any other, looked at before it is sent. */
export class RestoreNew extends Page {
  static override properties = { backup: { attribute: false } };
  declare backup: Backup;
  /** The page that this is a part of says when it was read. */
  override stamped = false;
  #source: Volume | undefined;
  #applications: Application[] = [];
  #projects: Project[] = [];
  #hosts: Host[] = [];
  #checking: { asked: Asked; prospect: WhatIf } | undefined;
  #busy = false;

  override async load(): Promise<void> {
    const { department } = this.backup;
    [this.#source, this.#applications, this.#projects, this.#hosts] = await Promise.all([
      get<Volume>(api.volume(this.backup.volume)),
      everything<Application>((cursor) => api.applications(department, cursor)),
      everything<Project>((cursor) => api.projects(department, cursor)),
      everything<Host>((cursor) => api.held("hosts", { department, limit: "500", ...(cursor === undefined ? {} : { cursor }) })),
    ]);
    const level = this.backup.protectionLevel ?? 0;
    this.#applications = this.#applications.filter((one) => one.department === department && one.protectionLevel >= level);
    this.#projects = this.#projects.filter((one) => one.department === department && (one.stage === "approved" || one.stage === "operating"));
  }
  override concerns(): boolean {
    return false;
  }
  async #check(form: HTMLFormElement): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    const field = fieldOf(form);
    await this.attempt(async () => {
      const asked: Asked = {
        application: field("application"),
        department: this.backup.department,
        project: field("project"),
        title: `${msg("恢复到新存储卷", { id: "restore-new" })} ${field("name")}`.slice(0, 200),
        reason: field("reason"),
        items: restoredItems(this.backup.id, {
          name: field("name"),
          sizeGib: Number(field("size")),
          tier: field("tier") as Volume["tier"],
          host: field("host"),
          path: field("path"),
        }),
      };
      this.#checking = { asked, prospect: await post<WhatIf>(api.whatIf, asked) };
    });
    this.#busy = false;
  }
  async #send(asked: Asked): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    await this.attempt(async () => {
      const made = await post<Request>(api.requests(), asked);
      go(pages.request(made.id));
    });
    this.#busy = false;
  }

  override show(): TemplateResult {
    const source = this.#source;
    if (!source) return html``;
    return html`<section class="card" aria-label=${msg("恢复到新存储卷", { id: "restore-new" })}>
      <h2>${msg("恢复到新存储卷", { id: "restore-new" })}</h2>
      <p>
        ${source.name} · ${time(this.backup.completedAt)} · ${msg("等保", { id: "level" })} ${this.backup.protectionLevel ?? "–"}
        <span class="muted">${msg("原存储卷及其内容不受影响；按新建存储卷审批、计入配额和预算。", { id: "restore-new-note" })}</span>
      </p>
      ${
        this.#applications.length === 0
          ? html`<p class="warn">▲ ${msg("没有等保级别不低于此备份的业务系统。", { id: "no-level" })}</p>`
          : html`${this.#form(source)} ${this.#checking ? this.#confirm(this.#checking.asked, this.#checking.prospect) : nothing}`
      }
    </section>`;
  }

  #form(source: Volume): TemplateResult {
    const size = Math.max(this.backup.volumeGib ?? 1, 1);
    return html`<form
      ?hidden=${this.#checking !== undefined}
      @submit=${(event: SubmitEvent) => {
        event.preventDefault();
        void this.#check(event.target as HTMLFormElement);
      }}
    >
      <div class="bar">
        <label
          >${msg("业务系统", { id: "application" })}<select name="application">
            ${this.#applications.map((one) => html`<option value=${one.id} ?selected=${one.id === source.application}>${one.name} (${one.code})</option>`)}
          </select></label
        >
        <label
          >${msg("项目", { id: "project" })}<select name="project" required>
            ${this.#projects.map((one) => html`<option value=${one.id} ?selected=${one.id === source.project}>${one.code} ${one.name}</option>`)}
          </select></label
        >
      </div>
      <div class="bar">
        <label
          >${msg("新存储卷名称", { id: "new-volume-name" })}<input
            name="name"
            required
            pattern="[a-z0-9]([a-z0-9\\-]{0,61}[a-z0-9])?"
            value=${`${source.name}-restored`.slice(-63)}
        /></label>
        <label>${msg("大小 GiB", { id: "volume-size" })}<input name="size" type="number" required min=${size} max="65536" value=${size} /></label>
        <label
          >${msg("层级", { id: "tier" })}<select name="tier">
            ${["standard", "performance", "capacity"].map(
              (one) => html`<option value=${one} ?selected=${one === source.tier}>${dimensionName(`storage_gib:${one}`).replace(" GiB", "")}</option>`,
            )}
          </select></label
        >
        <label>${msg("挂载到主机（不填则不挂载）", { id: "attach-to-host" })}<input name="host" list="restore-hosts" /></label>
        <label
          >${msg("挂载路径", { id: "mount-path" })}<input
            name="path"
            value="/srv/restored"
            required
            pattern="/(mnt|srv|data)(/[A-Za-z0-9_\\-][A-Za-z0-9._\\-]*)*"
        /></label>
        <datalist id="restore-hosts">
          ${this.#hosts.filter((one) => one.phase === "live" && one.application === source.application).map((one) => html`<option value=${one.name}></option>`)}
        </datalist>
      </div>
      <div class="bar">
        <label>${msg("理由", { id: "reason" })}<textarea name="reason" rows="2" cols="60" maxlength="2000"></textarea></label>
      </div>
      <button class="primary">${msg("核对", { id: "check" })}</button>
    </form>`;
  }

  #confirm(asked: Asked, prospect: WhatIf): TemplateResult {
    return html`<h3>${msg("核对后提交", { id: "check-title" })}</h3>
      <p>${asked.title}${asked.reason ? html` · ${asked.reason}` : nothing}</p>
      <ul>
        ${prospect.items.map((item) => html`<li>${kindName(item.action)} ${kindName(item.kind)} <strong>${item.name}</strong></li>`)}
      </ul>
      <zy-what-if .prospect=${prospect}></zy-what-if>
      <div class="bar">
        <button class="primary" ?disabled=${prospect.outcome === "refused"} @click=${() => this.#send(asked)}>${msg("提交", { id: "submit" })}</button>
        <button
          @click=${() => {
            this.#checking = undefined;
            this.requestUpdate();
          }}
        >
          ${msg("返回修改", { id: "back" })}
        </button>
      </div>`;
  }
}
customElements.define("zy-restore-new", RestoreNew);
