import { html, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { msg } from "@lit/localize";
import type { z } from "zod";
import type { Application } from "../../control-plane/contract/applications.ts";
import type { Catalogue } from "../../control-plane/contract/catalogue.ts";
import type { Project } from "../../control-plane/contract/projects.ts";
import type { AskedItem } from "../../control-plane/contract/changes.ts";
import { endOfDay, type Request } from "../../control-plane/contract/requests.ts";
import type { Host } from "../../control-plane/contract/resources.ts";
import type { WhatIf } from "../../control-plane/contract/what-if.ts";
import type { DepartmentUsage } from "../../control-plane/contract/usage.ts";
import { everything, get, post } from "../client/index.ts";
import { number } from "../format.ts";
import { dimensionName, kindName } from "../locales/states.ts";
import { api, pages } from "../paths.ts";
import { go } from "../router.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";
import "../components/what-if.ts";

type Offer = z.infer<typeof Catalogue>;

interface Answers {
  application: string;
  project: string;
  title: string;
  reason: string;
  trialDays?: number;
  items: AskedItem[];
}
const text = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value));
const option = (value: string, label: string) => html`<option value=${value}>${label}</option>`;
const empty = (value: unknown) => value === "" || (Array.isArray(value) && value.length === 0);

/** One host has its group's name, several are numbered. */
const nameOf = (name: string, count: number, index: number) => (count === 1 ? name : `${name}-${index + 1}`);

/** A request for groups of hosts and for volumes, shown inside a host and backed up every night where wanted. What it would do is shown before it is sent. */
export class NewRequestPage extends Page {
  static override properties = { department: {} };
  declare department: string;
  #offer: Offer = { flavours: [], images: [] };
  #applications: Application[] = [];
  #projects: Project[] = [];
  /** Hosts that the application has, for new volumes to be attached to. */
  #hosts: Host[] = [];
  #usage: DepartmentUsage | undefined;
  #application = "";
  #checking: { answers: Answers; prospect: WhatIf } | undefined;
  #busy = false;
  /** Keys of the groups and volumes of the form, in their order: its fields are named by them. */
  #groups = ["h1"];
  #volumes: string[] = [];
  #made = 1;

  override async load(): Promise<void> {
    [this.#offer, this.#applications] = await Promise.all([
      get<Offer>(api.catalogue),
      everything<Application>((cursor) => api.applications(this.department || undefined, cursor)),
    ]);
    await this.#choose(this.#applications[0]?.id ?? "");
  }
  override concerns(): boolean {
    return false;
  }
  async #choose(id: string): Promise<void> {
    this.#application = id;
    const department = this.#applications.find((one) => one.id === id)?.department;
    if (!department) return;
    const [projects, usage, hosts] = await Promise.all([
      everything<Project>((cursor) => api.projects(department, cursor)),
      get<{ items: DepartmentUsage[] }>(api.usage({ department, depth: "0" })),
      everything<Host>((cursor) => api.held("hosts", { application: id, limit: "500", ...(cursor === undefined ? {} : { cursor }) })),
    ]);
    this.#hosts = hosts.filter((one) => one.phase === "live");
    this.#projects = projects.filter((one) => one.stage === "approved" || one.stage === "operating");
    this.#usage = usage.items[0];
    this.requestUpdate();
  }

  #answers(form: HTMLFormElement): Answers {
    const values = new FormData(form);
    const field = (name: string) => {
      const value = values.get(name);
      return typeof value === "string" ? value.trim() : "";
    };
    const lines = (name: string) =>
      field(name)
        .split("\n")
        .map((line) => line.trim())
        .filter(Boolean);
    const term = field("until") === "" ? {} : { expiresAt: endOfDay(field("until")) };
    const trial = Number(field("trial") || "0");
    const hosts = this.#groups.flatMap((key) => {
      const of = (name: string) => field(`${key}/${name}`);
      const count = Number(of("count"));
      const ports = of("ports")
        .split(/[\s,]+/)
        .filter(Boolean)
        .map((port) => ({ protocol: "tcp" as const, port: Number(port) }));
      const [sshKeys, addresses] = [lines(`${key}/sshKeys`), lines(`${key}/addresses`)];
      return Array.from({ length: count }, (_, index): AskedItem => ({
        action: "create",
        kind: "host",
        spec: { name: nameOf(of("name"), count, index), flavour: of("flavour"), image: of("image"), sshKeys, addresses, ports, ...term },
      }));
    });
    const volumes = this.#volumes.flatMap((key): AskedItem[] => {
      const of = (name: string) => field(`${key}/${name}`);
      const volume = of("name");
      return [
        { action: "create", kind: "volume", spec: { name: volume, sizeGib: Number(of("size")), tier: of("tier") as "standard", ...term } },
        ...(of("host") === "" ? [] : [{ action: "create" as const, kind: "attachment" as const, spec: { host: of("host"), volume, path: of("path") } }]),
        ...(values.get(`${key}/backup`) ? [{ action: "create" as const, kind: "backup-policy" as const, spec: { name: `${volume}-nightly`, volume } }] : []),
      ];
    });
    return {
      application: this.#application,
      project: field("project"),
      title: field("title"),
      reason: field("reason"),
      ...(trial > 0 ? { trialDays: trial } : {}),
      items: [...hosts, ...volumes],
    };
  }
  /** What it would do is looked at before it is sent; the form stays as it was filled. */
  async #check(answers: Answers): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    await this.attempt(async () => {
      this.#checking = { answers, prospect: await post<WhatIf>(api.whatIf, answers) };
    });
    this.#busy = false;
  }
  #back(): void {
    this.#checking = undefined;
    this.requestUpdate();
  }
  async #send(answers: Answers): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    await this.attempt(async () => {
      const made = await post<Request>(api.requests(), answers);
      go(pages.request(made.id));
    });
    this.#busy = false;
  }
  #add(what: "groups" | "volumes"): void {
    const key = `${what === "groups" ? "h" : "v"}${++this.#made}`;
    if (what === "groups") this.#groups = [...this.#groups, key];
    else this.#volumes = [...this.#volumes, key];
    this.requestUpdate();
  }
  #drop(key: string): void {
    this.#groups = this.#groups.filter((one) => one !== key);
    this.#volumes = this.#volumes.filter((one) => one !== key);
    this.requestUpdate();
  }
  /** Names of the hosts that the form asks for as it stands, and of those that are there. */
  #hostNames(): string[] {
    const form = this.renderRoot.querySelector("form");
    const values = form ? new FormData(form) : undefined;
    const field = (name: string, otherwise: string) => {
      const value = values?.get(name);
      return typeof value === "string" ? value.trim() : otherwise;
    };
    const asked = this.#groups.flatMap((key) => {
      const count = Math.min(200, Number(field(`${key}/count`, "1")) || 0);
      return Array.from({ length: count }, (_, index) => nameOf(field(`${key}/name`, "web"), count, index));
    });
    return [...asked, ...this.#hosts.map((one) => one.name)];
  }

  override show(): TemplateResult {
    if (this.#applications.length === 0)
      return html`<h1>${msg("新建申请", { id: "new-request" })}</h1>
        <p>${msg("还没有业务系统，请联系运维管理人员登记。", { id: "no-applications" })}</p>`;
    return html`<h1>${msg("新建申请", { id: "new-request" })}</h1>
      <form
        class="card"
        ?hidden=${this.#checking !== undefined}
        @submit=${(event: SubmitEvent) => {
          event.preventDefault();
          void this.#check(this.#answers(event.target as HTMLFormElement));
        }}
        @input=${() => this.requestUpdate()}
      >
        <div class="bar">
          <label
            >${msg("业务系统", { id: "application" })}<select
              name="application"
              @change=${(event: Event) => this.#choose((event.target as HTMLSelectElement).value)}
            >
              ${this.#applications.map((one) => option(one.id, `${one.name} (${one.code})`))}
            </select></label
          >
          <label
            >${msg("项目", { id: "project" })}<select name="project" required>
              ${this.#projects.map((one) => option(one.id, `${one.code} ${one.name}`))}
            </select></label
          >
        </div>
        <div class="bar">
          <label>${msg("事项", { id: "title" })}<input name="title" required maxlength="200" size="40" /></label>
        </div>
        <div class="bar">
          <label>${msg("理由", { id: "reason" })}<textarea name="reason" rows="2" cols="60" maxlength="2000"></textarea></label>
        </div>
        ${repeat(
          this.#groups,
          (key) => key,
          (key, index) => this.#group(key, index),
        )}
        ${repeat(
          this.#volumes,
          (key) => key,
          (key, index) => this.#volume(key, index),
        )}
        <div class="bar">
          <button type="button" @click=${() => this.#add("groups")}>${msg("添加一组主机", { id: "add-hosts" })}</button>
          <button type="button" @click=${() => this.#add("volumes")}>${msg("添加存储卷", { id: "add-volume" })}</button>
        </div>
        <h2>${msg("使用期限", { id: "term" })}</h2>
        <div class="bar">
          <label>${msg("使用至（不填为长期）", { id: "until-day" })}<input name="until" type="date" min=${new Date().toISOString().slice(0, 10)} /></label>
          <label>${msg("试运行天数（0 为不需要）", { id: "trial-days" })}<input name="trial" type="number" min="0" max="180" value="0" /></label>
        </div>
        ${
          this.#usage
            ? html`<p class="muted">
                ${msg("配额剩余", { id: "quota-left" })}:
                ${
                  this.#usage.quota
                    .filter((one) => one.limit !== null)
                    .map((one) => `${dimensionName(one.dimension)} ${number(one.limit! - one.used - one.reserved)}`)
                    .join(" · ") || "–"
                }
              </p>`
            : nothing
        }
        <button class="primary" ?disabled=${this.#projects.length === 0 || this.#groups.length + this.#volumes.length === 0}>
          ${msg("核对", { id: "check" })}
        </button>
        ${this.#projects.length === 0 ? html`<span class="warn">${msg("该部门没有已立项或运维中的项目。", { id: "no-project" })}</span>` : nothing}
      </form>
      ${this.#checking ? this.#confirm(this.#checking.answers, this.#checking.prospect) : nothing}
      <zy-command .command=${"zhengyun requests create FILE"}></zy-command>`;
  }

  #group(key: string, index: number): TemplateResult {
    return html`<fieldset>
      <legend>${msg("主机", { id: "hosts" })} ${index + 1}</legend>
      <div class="bar">
        <label
          >${msg("名称", { id: "name" })}<input name="${key}/name" required pattern="[a-z0-9]([a-z0-9\\-]{0,50}[a-z0-9])?" value=${index === 0 ? "web" : ""}
        /></label>
        <label>${msg("数量", { id: "count" })}<input name="${key}/count" type="number" min="1" max="50" value="1" required /></label>
        <label
          >${msg("规格", { id: "specification" })}<select name="${key}/flavour">
            ${this.#offer.flavours.map((one) => option(one.code, `${one.name}: ${one.vcpu} vCPU, ${one.memoryMib / 1024} GiB, ${one.diskGib} GiB`))}
          </select></label
        >
        <label
          >${msg("镜像", { id: "image" })}<select name="${key}/image">
            ${this.#offer.images.map((one) => option(one.code, one.name))}
          </select></label
        >
        <label>${msg("TCP 端口", { id: "ports" })}<input name="${key}/ports" placeholder="443, 8080" pattern="[0-9,\\s]*" /></label>
      </div>
      <div class="bar">
        <label>${msg("SSH 公钥（每行一个）", { id: "ssh-keys" })}<textarea name="${key}/sshKeys" rows="2" cols="50"></textarea></label>
        <label>${msg("地址（每行一个）", { id: "addresses" })}<textarea name="${key}/addresses" rows="2" cols="24"></textarea></label>
        <button type="button" @click=${() => this.#drop(key)}>${msg("去掉这组主机", { id: "drop-hosts" })}</button>
      </div>
    </fieldset>`;
  }
  #volume(key: string, index: number): TemplateResult {
    return html`<fieldset>
      <legend>${msg("存储卷", { id: "k-volume" })} ${index + 1}</legend>
      <div class="bar">
        <label>${msg("名称", { id: "name" })}<input name="${key}/name" required pattern="[a-z0-9]([a-z0-9\\-]{0,50}[a-z0-9])?" /></label>
        <label>${msg("大小 GiB", { id: "volume-size" })}<input name="${key}/size" type="number" min="1" max="65536" value="10" required /></label>
        <label
          >${msg("层级", { id: "tier" })}<select name="${key}/tier">
            ${["standard", "performance", "capacity"].map((one) => option(one, dimensionName(`storage_gib:${one}`).replace(" GiB", "")))}
          </select></label
        >
        <label
          >${msg("挂载于", { id: "attached-to" })}<select name="${key}/host">
            ${option("", msg("不挂载", { id: "not-attached" }))} ${this.#hostNames().map((name) => option(name, name))}
          </select></label
        >
        <label
          >${msg("挂载路径", { id: "mount-path" })}<input
            name="${key}/path"
            value="/data"
            required
            pattern="/(mnt|srv|data)(/[A-Za-z0-9_\\-][A-Za-z0-9._\\-]*)*"
        /></label>
        <label><span>${msg("每日备份", { id: "nightly" })}</span><input name="${key}/backup" type="checkbox" /></label>
        <button type="button" @click=${() => this.#drop(key)}>${msg("去掉此存储卷", { id: "drop-volume" })}</button>
      </div>
    </fieldset>`;
  }

  #confirm(answers: Answers, prospect: WhatIf) {
    return html`<section class="card" aria-label=${msg("核对", { id: "check" })}>
      <h2>${msg("核对后提交", { id: "check-title" })}</h2>
      ${answers.trialDays ? html`<p>${msg("试运行天数（0 为不需要）", { id: "trial-days" })}: ${answers.trialDays}</p>` : nothing}
      <p>${answers.title}${answers.reason ? html` · ${answers.reason}` : nothing}</p>
      <table>
        <thead>
          <tr>
            <th scope="col">${msg("类型", { id: "kind" })}</th>
            <th scope="col">${msg("规格", { id: "specification" })}</th>
          </tr>
        </thead>
        <tbody>
          ${answers.items.map(
            ({ kind, spec }) =>
              html`<tr>
                <th scope="row">${kindName(kind)}</th>
                <td>
                  ${Object.entries(spec ?? {})
                    .filter(([, value]) => !empty(value))
                    .map(([key, value]) => html`<div>${key}: ${text(value)}</div>`)}
                </td>
              </tr>`,
          )}
        </tbody>
      </table>
      <zy-what-if .prospect=${prospect}></zy-what-if>
      <div class="bar">
        <button class="primary" ?disabled=${prospect.outcome === "refused"} @click=${() => this.#send(answers)}>${msg("提交", { id: "submit" })}</button>
        <button @click=${() => this.#back()}>${msg("返回修改", { id: "back" })}</button>
      </div>
    </section>`;
  }
}
customElements.define("zy-new-request-page", NewRequestPage);
