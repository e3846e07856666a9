import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { z } from "zod";
import type { Application } from "../../control-plane/contract/applications.ts";
import type { Catalogue } from "../../control-plane/contract/catalogue.ts";
import type { Project } from "../../control-plane/contract/projects.ts";
import type { Request } from "../../control-plane/contract/requests.ts";
import type { DepartmentUsage } from "../../control-plane/contract/usage.ts";
import { get, list, post } from "../client/index.ts";
import { number } from "../format.ts";
import { dimensionName, kindName } from "../locales/states.ts";
import { api, pages } from "../paths.ts";
import { go } from "../router.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";

type Offer = z.infer<typeof Catalogue>;

interface Answers {
  application: string;
  project: string;
  title: string;
  reason: string;
  trialDays?: number;
  items: { action: string; kind: string; spec: Record<string, unknown> }[];
}
const text = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value));
const empty = (value: unknown) => value === "" || (Array.isArray(value) && value.length === 0);

/** A request for hosts, with a volume and a nightly backup where wanted. What is left of the quota stands beside it. */
export class NewRequestPage extends Page {
  static override properties = { department: {} };
  declare department: string;
  #offer: Offer = { flavours: [], images: [] };
  #applications: Application[] = [];
  #projects: Project[] = [];
  #usage: DepartmentUsage | undefined;
  #application = "";
  #checking: Answers | undefined;

  override async load(): Promise<void> {
    [this.#offer, this.#applications] = await Promise.all([get<Offer>(api.catalogue), list<Application>(api.applications(this.department || undefined))]);
    await this.#choose(this.#applications[0]?.id ?? "");
  }
  override concerns(): boolean {
    return false;
  }
  async #choose(id: string): Promise<void> {
    this.#application = id;
    const department = this.#applications.find((one) => one.id === id)?.department;
    if (!department) return;
    const [projects, usage] = await Promise.all([
      list<Project>(api.projects(department)),
      get<{ items: DepartmentUsage[] }>(api.usage({ department, depth: "0" })),
    ]);
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
    const count = Number(field("count"));
    const names = Array.from({ length: count }, (_, index) => (count === 1 ? field("name") : `${field("name")}-${index + 1}`));
    const ports = field("ports")
      .split(/[\s,]+/)
      .filter(Boolean)
      .map((port) => ({ protocol: "tcp", port: Number(port) }));
    // Until the end of that day in Beijing.
    const term = field("until") === "" ? {} : { expiresAt: `${field("until")}T15:59:59.999Z` };
    const trial = Number(field("trial") || "0");
    const size = Number(field("size") || "0");
    const items: Answers["items"] = names.map((name) => ({
      action: "create",
      kind: "host",
      spec: { name, flavour: field("flavour"), image: field("image"), sshKeys: lines("sshKeys"), addresses: lines("addresses"), ports, ...term },
    }));
    if (size > 0) {
      const volume = `${field("name")}-data`;
      items.push(
        { action: "create", kind: "volume", spec: { name: volume, sizeGib: size, tier: field("tier"), ...term } },
        { action: "create", kind: "attachment", spec: { host: names[0], volume, path: "/data" } },
      );
      if (values.get("backup")) items.push({ action: "create", kind: "backup-policy", spec: { name: `${volume}-nightly`, volume } });
    }
    return {
      application: this.#application,
      project: field("project"),
      title: field("title"),
      reason: field("reason"),
      ...(trial > 0 ? { trialDays: trial } : {}),
      items,
    };
  }
  /** Answers are looked at once more before they are sent; the form stays as it was filled. */
  #check(answers: Answers | undefined): void {
    this.#checking = answers;
    if (answers) this.problem = undefined;
    this.requestUpdate();
  }
  async #send(answers: Answers): Promise<void> {
    await this.attempt(async () => {
      const made = await post<Request>(api.requests(), answers);
      go(pages.request(made.id));
    });
  }

  override show(): TemplateResult {
    if (this.#applications.length === 0)
      return html`<h1>${msg("新建申请", { id: "new-request" })}</h1>
        <p>${msg("还没有业务系统，请联系运维管理人员登记。", { id: "no-applications" })}</p>`;
    const option = (value: string, text: string) => html`<option value=${value}>${text}</option>`;
    return html`<h1>${msg("新建申请", { id: "new-request" })}</h1>
      <form
        class="card"
        ?hidden=${this.#checking !== undefined}
        @submit=${(event: SubmitEvent) => {
          event.preventDefault();
          this.#check(this.#answers(event.target as HTMLFormElement));
        }}
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
        <h2>${msg("主机", { id: "hosts" })}</h2>
        <div class="bar">
          <label>${msg("名称", { id: "name" })}<input name="name" required pattern="[a-z0-9]([a-z0-9\\-]{0,50}[a-z0-9])?" value="web" /></label>
          <label>${msg("数量", { id: "count" })}<input name="count" type="number" min="1" max="50" value="1" required /></label>
          <label
            >${msg("规格", { id: "specification" })}<select name="flavour">
              ${this.#offer.flavours.map((one) => option(one.code, `${one.name}: ${one.vcpu} vCPU, ${one.memoryMib / 1024} GiB, ${one.diskGib} GiB`))}
            </select></label
          >
          <label
            >${msg("镜像", { id: "image" })}<select name="image">
              ${this.#offer.images.map((one) => option(one.code, one.name))}
            </select></label
          >
          <label>${msg("TCP 端口", { id: "ports" })}<input name="ports" placeholder="443, 8080" pattern="[0-9,\\s]*" /></label>
        </div>
        <div class="bar">
          <label>${msg("SSH 公钥（每行一个）", { id: "ssh-keys" })}<textarea name="sshKeys" rows="2" cols="50"></textarea></label>
          <label>${msg("地址（每行一个）", { id: "addresses" })}<textarea name="addresses" rows="2" cols="24"></textarea></label>
        </div>
        <h2>${msg("存储卷", { id: "k-volume" })}</h2>
        <div class="bar">
          <label>${msg("大小 GiB（0 为不需要）", { id: "volume-size" })}<input name="size" type="number" min="0" max="65536" value="0" /></label>
          <label
            >${msg("层级", { id: "tier" })}<select name="tier">
              ${["standard", "performance", "capacity"].map((one) => option(one, one))}
            </select></label
          >
          <label><span>${msg("每日备份", { id: "nightly" })}</span><input name="backup" type="checkbox" /></label>
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
        <button class="primary" ?disabled=${this.#projects.length === 0}>${msg("核对", { id: "check" })}</button>
        ${this.#projects.length === 0 ? html`<span class="warn">${msg("该部门没有已立项或运维中的项目。", { id: "no-project" })}</span>` : nothing}
      </form>
      ${this.#checking ? this.#confirm(this.#checking) : nothing}
      <zy-command .command=${"zhengyun requests create FILE"}></zy-command>`;
  }

  #confirm(answers: Answers) {
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
                  ${Object.entries(spec)
                    .filter(([, value]) => !empty(value))
                    .map(([key, value]) => html`<div>${key}: ${text(value)}</div>`)}
                </td>
              </tr>`,
          )}
        </tbody>
      </table>
      <div class="bar">
        <button class="primary" @click=${() => this.#send(answers)}>${msg("提交", { id: "submit" })}</button>
        <button @click=${() => this.#check(undefined)}>${msg("返回修改", { id: "back" })}</button>
      </div>
    </section>`;
  }
}
customElements.define("zy-new-request-page", NewRequestPage);
