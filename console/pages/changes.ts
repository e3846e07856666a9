import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { z } from "zod";
import type { Catalogue } from "../../control-plane/contract/catalogue.ts";
import { type AskedItem, hostItems, together, volumeItems } from "../../control-plane/contract/changes.ts";
import type { Project } from "../../control-plane/contract/projects.ts";
import type { Request } from "../../control-plane/contract/requests.ts";
import type { BackupPolicy, Host, Volume } from "../../control-plane/contract/resources.ts";
import type { WhatIf } from "../../control-plane/contract/what-if.ts";
import { everything, get, post } from "../client/index.ts";
import { kindName } from "../locales/states.ts";
import { api, pages } from "../paths.ts";
import { go } from "../router.ts";
import { Page } from "./page.ts";
import { restartFields, restartOf, type When } from "./restart-time.ts";
import "../components/what-if.ts";

type Offer = z.infer<typeof Catalogue>;
type HostAction = "resize" | "stop" | "start" | "extend" | "attach" | "redeploy" | "retire";
type VolumeAction = "grow" | "extend" | "attach" | "detach" | "retire";
interface Asked {
  application: string;
  department: string;
  project: string;
  title: string;
  reason: string;
  items: AskedItem[];
}

const hostActions = (host: Host): HostAction[] => ["resize", host.power === "running" ? "stop" : "start", "extend", "attach", "redeploy", "retire"];
const volumeActions = (volume: Volume): VolumeAction[] => ["grow", "extend", volume.attachedTo ? "detach" : "attach", "retire"];

/** Changes of the hosts and volumes that were selected: chosen line by line, looked at (what-if), and sent as one request. */
export class Changes extends Page {
  static override properties = { hosts: { attribute: false }, volumes: { attribute: false }, known: { attribute: false } };
  /** What was selected. */
  declare hosts: readonly Host[];
  declare volumes: readonly Volume[];
  /** What there is besides, to be named when something is attached. */
  declare known: { hosts: readonly Host[]; volumes: readonly Volume[] };
  /** The page that this is a part of says when it was read. */
  override stamped = false;
  #offer: Offer = { flavours: [], images: [] };
  #projects: Project[] = [];
  /** What was chosen of each, by id. */
  readonly #actions = new Map<string, string>();
  /** When a host may be restarted for it, by id. */
  readonly #restarts = new Map<string, When>();
  #checking: { asked: Asked; prospect: WhatIf } | undefined;
  #busy = false;

  override async load(): Promise<void> {
    const department = (this.hosts[0] ?? this.volumes[0])?.department;
    if (department === undefined) return;
    [this.#offer, this.#projects] = await Promise.all([
      get<Offer>(api.catalogue),
      everything<Project>((cursor) => api.projects(department, cursor)).then((all) => all.filter((one) => one.department === department)),
    ]);
  }
  override concerns(): boolean {
    return false;
  }
  /** Another selection is another request. */
  override willUpdate(changed: Map<string, unknown>): void {
    if (changed.has("hosts") || changed.has("volumes")) this.#checking = undefined;
  }

  get #selected(): readonly (Host | Volume)[] {
    return [...this.hosts, ...this.volumes];
  }
  #action = (id: string, choices: readonly string[]) => {
    const chosen = this.#actions.get(id);
    return chosen !== undefined && choices.includes(chosen) ? chosen : choices[0]!;
  };
  #choose(id: string, action: string): void {
    this.#actions.set(id, action);
    this.requestUpdate();
  }
  /** What the first of its kind does, all others do where they can. */
  #likewise(ids: readonly string[], action: string): void {
    for (const id of ids) this.#actions.set(id, action);
    this.requestUpdate();
  }

  async #asked(form: HTMLFormElement): Promise<Asked> {
    const values = new FormData(form);
    const field = (name: string) => {
      const value = values.get(name);
      return typeof value === "string" ? value.trim() : "";
    };
    const restarting = (id: string) => {
      const restart = restartOf(field, `${id}/restart`);
      return restart ? { restart } : {};
    };
    const titles: string[] = [];
    const items: AskedItem[] = [];
    for (const host of this.hosts) {
      const action = this.#action(host.id, hostActions(host)) as HostAction;
      const value = field(`${host.id}/value`);
      titles.push(`${kindName(action)} ${host.name}`);
      items.push(
        ...hostItems(
          host,
          action === "resize"
            ? { action, flavour: value, ...restarting(host.id) }
            : action === "extend"
              ? { action, until: value }
              : action === "attach"
                ? { action, volume: value, path: field(`${host.id}/path`) }
                : action === "redeploy"
                  ? { action, image: value }
                  : { action },
        ),
      );
    }
    const { application } = this.#selected[0]!;
    const goes = this.volumes.some((one) => this.#action(one.id, volumeActions(one)) === "retire");
    const policies = goes ? await everything<BackupPolicy>((cursor) => api.held("backup-policies", { application, cursor: cursor ?? "", limit: "500" })) : [];
    for (const volume of this.volumes) {
      const action = this.#action(volume.id, volumeActions(volume)) as VolumeAction;
      const value = field(`${volume.id}/value`);
      titles.push(`${kindName(action)} ${volume.name}`);
      items.push(
        ...volumeItems(
          volume,
          policies,
          action === "grow"
            ? { action, sizeGib: Number(value), ...restarting(volume.id) }
            : action === "extend"
              ? { action, until: value }
              : action === "attach"
                ? { action, host: value, path: field(`${volume.id}/path`) }
                : { action },
        ),
      );
    }
    return {
      application,
      department: this.#selected[0]!.department,
      project: field("project"),
      title: (field("title") || titles.join("、")).slice(0, 200),
      reason: field("reason"),
      items: together(items),
    };
  }
  async #check(form: HTMLFormElement): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    await this.attempt(async () => {
      const asked = await this.#asked(form);
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
  #back(): void {
    this.#checking = undefined;
    this.requestUpdate();
  }

  override show(): TemplateResult {
    const [first] = this.#selected;
    if (!first) return html``;
    const mixed = this.#selected.some((one) => one.application !== first.application);
    return html`<section class="card" aria-label=${msg("变更所选", { id: "change-selected" })}>
      <h2>${msg("变更所选", { id: "change-selected" })} (${this.#selected.length})</h2>
      ${
        mixed
          ? html`<p class="warn">▲ ${msg("所选资源属于不同的业务系统：一份申请只能变更一个业务系统的资源。", { id: "one-application" })}</p>`
          : html`${this.#form(first)} ${this.#checking ? this.#confirm(this.#checking.asked, this.#checking.prospect) : nothing}`
      }
    </section>`;
  }

  #form(first: Host | Volume): TemplateResult {
    // What runs is stopped and retired under any stage: the API says which projects let it grow.
    const projects = this.#projects.toSorted((a, b) => Number(b.id === first.project) - Number(a.id === first.project));
    return html`<form
      ?hidden=${this.#checking !== undefined}
      @submit=${(event: SubmitEvent) => {
        event.preventDefault();
        void this.#check(event.target as HTMLFormElement);
      }}
    >
      ${this.hosts.map((host, index) => this.#line(host, "host", hostActions(host), index === 0 ? this.hosts.map((one) => one.id) : []))}
      ${this.volumes.map((volume, index) => this.#line(volume, "volume", volumeActions(volume), index === 0 ? this.volumes.map((one) => one.id) : []))}
      <datalist id="known-hosts">
        ${this.known.hosts.filter((one) => one.application === first.application && one.phase === "live").map((one) => html`<option value=${one.name}></option>`)}
      </datalist>
      <datalist id="known-volumes">
        ${this.known.volumes
          .filter((one) => one.application === first.application && one.phase === "live" && !one.attachedTo)
          .map((one) => html`<option value=${one.name}></option>`)}
      </datalist>
      <div class="bar">
        <label
          >${msg("项目", { id: "project" })}<select name="project" required>
            ${projects.map((one) => html`<option value=${one.id}>${one.code} ${one.name}</option>`)}
          </select></label
        >
        <label>${msg("事项（不填则自动生成）", { id: "title-made" })}<input name="title" maxlength="200" size="40" /></label>
      </div>
      <div class="bar">
        <label>${msg("理由", { id: "reason" })}<textarea name="reason" rows="2" cols="60" maxlength="2000"></textarea></label>
      </div>
      <button class="primary">${msg("核对", { id: "check" })}</button>
    </form>`;
  }

  #line(one: Host | Volume, kind: "host" | "volume", choices: readonly string[], all: readonly string[]): TemplateResult {
    const chosen = this.#action(one.id, choices);
    return html`<div class="bar" role="group" aria-label=${one.name}>
      <strong>${kindName(kind)} ${one.name}</strong>
      <label
        >${msg("操作", { id: "action" })}<select @change=${(event: Event) => this.#choose(one.id, (event.target as HTMLSelectElement).value)}>
          ${choices.map((action) => html`<option value=${action} ?selected=${action === chosen}>${kindName(action)}</option>`)}
        </select></label
      >
      ${kind === "host" ? this.#hostValue(one as Host, chosen) : this.#volumeValue(one as Volume, chosen)}
      ${all.length > 1 ? html`<button type="button" @click=${() => this.#likewise(all, chosen)}>${msg("以下同此操作", { id: "likewise" })}</button>` : nothing}
    </div>`;
  }
  #restart = (one: Host | Volume) =>
    restartFields(
      `${one.id}/restart`,
      this.#restarts.get(one.id) ?? "",
      (when) => {
        this.#restarts.set(one.id, when);
        this.requestUpdate();
      },
      true,
    );
  #day = (one: Host | Volume) =>
    html`<label
      >${msg("延期至", { id: "extend-until" })}<input
        name="${one.id}/value"
        type="date"
        required
        min=${(one.expiresAt ?? new Date().toISOString()).slice(0, 10)}
    /></label>`;
  #path = (one: Host | Volume) =>
    html`<label
      >${msg("挂载路径", { id: "mount-path" })}<input
        name="${one.id}/path"
        value="/data"
        required
        pattern="/(mnt|srv|data)(/[A-Za-z0-9_\\-][A-Za-z0-9._\\-]*)*"
    /></label>`;

  #hostValue(host: Host, action: string): TemplateResult | typeof nothing {
    const name = `${host.id}/value`;
    const { vcpu, memoryMib, diskGib } = host.flavour;
    if (action === "resize")
      return html`<label
          >${msg("规格", { id: "specification" })}<select name=${name}>
            ${this.#offer.flavours.map(
              (one) =>
                html`<option value=${one.code} ?selected=${one.vcpu === vcpu && one.memoryMib === memoryMib}>
                  ${one.name}: ${one.vcpu} vCPU, ${one.memoryMib / 1024} GiB, ${Math.max(one.diskGib, diskGib)} GiB
                </option>`,
            )}
          </select></label
        ><span class="muted"
          >${msg("现为", { id: "is-now" })} ${vcpu} vCPU · ${memoryMib / 1024} GiB · ${diskGib} GiB${msg("；系统盘不缩小", { id: "disk-stays" })}</span
        >${this.#restart(host)}`;
    if (action === "extend") return this.#day(host);
    if (action === "attach")
      return html`<label>${msg("存储卷", { id: "k-volume" })}<input name=${name} list="known-volumes" required /></label>${this.#path(host)}`;
    if (action === "redeploy")
      return html`<label
          >${msg("镜像", { id: "image" })}<select name=${name}>
            ${this.#offer.images.map((one) => html`<option value=${one.code} ?selected=${one.code === host.image}>${one.name}</option>`)}
          </select></label
        ><span class="warn">▲ ${msg("系统盘将清除并由镜像重新生成；名称、地址和所挂存储卷保留。", { id: "redeploy-note" })}</span>`;
    if (action === "retire") return html`<span class="warn">▲ ${msg("主机及其系统盘将删除；所挂存储卷先卸载，予以保留。", { id: "retire-host-note" })}</span>`;
    return nothing;
  }
  #volumeValue(volume: Volume, action: string): TemplateResult | typeof nothing {
    const name = `${volume.id}/value`;
    if (action === "grow")
      return html`<label
          >${msg("扩容至 GiB", { id: "grow-to" })}<input
            name=${name}
            type="number"
            required
            min=${volume.sizeGib + 1}
            max="65536"
            value=${volume.sizeGib + 1} /></label
        >${this.#restart(volume)}`;
    if (action === "extend") return this.#day(volume);
    if (action === "attach")
      return html`<label>${msg("主机", { id: "k-host" })}<input name=${name} list="known-hosts" required /></label>${this.#path(volume)}`;
    if (action === "retire")
      return html`<span class="warn">▲ ${msg("存储卷及其数据将删除；其快照、挂载与备份策略一并回收。", { id: "retire-volume-note" })}</span>`;
    return nothing;
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
        <button @click=${() => this.#back()}>${msg("返回修改", { id: "back" })}</button>
      </div>`;
  }
}
customElements.define("zy-changes", Changes);
