import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { AdoptionScan, FoundInstance } from "../../control-plane/contract/adoptions.ts";
import type { Application } from "../../control-plane/contract/applications.ts";
import type { Pool } from "../../control-plane/contract/pools.ts";
import type { Project } from "../../control-plane/contract/projects.ts";
import { ApiProblem, everything, get, list, Paged, post } from "../client/index.ts";
import { time } from "../format.ts";
import { stateName } from "../locales/states.ts";
import { api, pages } from "../paths.ts";
import { fieldOf } from "./fields.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";
import "../components/state-badge.ts";

/** How often it is asked whether the look at an endpoint has ended. */
const askMs = 1000;

/** Adoption (纳管): what was on an endpoint before us, and the request by which it becomes a department's host, as it is. */
export class AdoptionsPage extends Page {
  static override properties = { pool: {} };
  /** Code of the pool whose endpoint is looked at. */
  declare pool: string;
  #pools: Pool[] = [];
  #applications: Application[] = [];
  #projects: Project[] = [];
  #scan: AdoptionScan | undefined;
  #chosen: FoundInstance | undefined;
  readonly #found = new Paged<FoundInstance>((cursor) => api.adoptions({ pool: this.pool, cursor }));

  override async load(): Promise<void> {
    this.#pools = (await everything<Pool>(api.pools)).filter((one) => one.kind === "compute");
    if (!this.pool) return;
    [this.#scan] = await Promise.all([
      get<AdoptionScan>(api.adoptionScan(this.pool)).catch((error: unknown) => {
        if (error instanceof ApiProblem && error.problem.status === 404) return undefined;
        throw error;
      }),
      this.#found.load(),
    ]);
  }
  override concerns(): boolean {
    return false;
  }
  override updated(changed: Map<string, unknown>): void {
    if (changed.has("pool") && changed.get("pool") !== undefined) void this.refresh();
  }

  async #look(): Promise<void> {
    await this.attempt(async () => {
      const asked = await post<AdoptionScan>(api.adoptionScans, { pool: this.pool });
      do {
        await new Promise((resolve) => setTimeout(resolve, askMs));
        await this.load();
        this.requestUpdate();
      } while (this.isConnected && (this.#scan === undefined || this.#scan.endedAt === null || this.#scan.askedAt < asked.askedAt));
    });
  }
  async #choose(row: FoundInstance): Promise<void> {
    await this.attempt(async () => {
      this.#applications = await everything<Application>((cursor) => api.applications(undefined, cursor));
      this.#chosen = row;
      await this.#pays(this.#applications[0]);
    });
  }
  async #pays(application: Application | undefined): Promise<void> {
    this.#projects = application ? await list<Project>(api.projects(application.department)) : [];
    this.requestUpdate();
  }
  async #propose(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const field = fieldOf(event.target as HTMLFormElement);
    const number = (name: string) => (field(name) === "" ? {} : { [name]: Number(field(name)) });
    const name = field("name");
    const ask = {
      instance: this.#chosen!.id,
      application: field("application"),
      project: field("project"),
      reason: field("reason"),
      ...(name === "" ? {} : { name }),
      ...number("vcpu"),
      ...number("memoryMib"),
      ...number("diskGib"),
    };
    await this.attempt(async () => {
      await post(api.adoptions(), ask);
      this.#chosen = undefined;
      await this.load();
    });
  }

  override show(): TemplateResult {
    return html`<h1>${msg("纳管", { id: "adoptions" })}</h1>
      <p>${msg("已在云上、不属于任何部门的实例，经申请按现状成为部门的主机：不重启、不改名、不迁移，照常计入配额与预算。", { id: "adoptions-how" })}</p>
      <nav class="bar" aria-label=${msg("资源池", { id: "pools" })}>
        ${this.#pools.map((one) => html`<a href=${pages.adoptions(one.code)} aria-current=${this.pool === one.code ? "page" : "false"}>${one.name}</a>`)}
      </nav>
      ${this.pool ? this.#list() : nothing} ${this.#chosen ? this.#form(this.#chosen) : nothing}
      <zy-command .command=${`zhengyun adoptions scan --pool ${this.pool || "POOL"}`}></zy-command>`;
  }

  #list(): TemplateResult {
    const looking = this.#scan !== undefined && this.#scan.endedAt === null;
    return html`<section class="card" tabindex="0">
      <div class="bar">
        <button class="primary" ?disabled=${looking} @click=${() => this.#look()}>
          ${looking ? msg("正在查找…", { id: "looking" }) : msg("查找", { id: "look-for" })}
        </button>
        <span role="status"
          >${
            this.#scan === undefined
              ? msg("尚未查找过。", { id: "never-looked" })
              : this.#scan.error !== null
                ? html`<span class="bad">✕ ${this.#scan.error}</span>`
                : html`${msg("上次查找", { id: "looked-at" })} ${time(this.#scan.endedAt)} · ${this.#scan.found ?? 0}`
          }</span
        >
      </div>
      ${this.#found.items.length === 0 ? html`<p>${msg("没有可纳管的实例。", { id: "nothing-to-adopt" })}</p>` : this.#table()} ${this.more(this.#found)}
    </section>`;
  }

  #table(): TemplateResult {
    const limit = (value: number | null) => value ?? msg("无限制", { id: "drift-none" });
    return html`<table>
      <thead>
        <tr>
          <th scope="col">${msg("实例", { id: "instance" })}</th>
          <th scope="col">${msg("服务器", { id: "member" })}</th>
          <th scope="col">vCPU</th>
          <th scope="col">${msg("内存 MiB", { id: "d-memory" })}</th>
          <th scope="col">${msg("磁盘 GiB", { id: "disk-gib" })}</th>
          <th scope="col">${msg("状态", { id: "state" })}</th>
          <th scope="col">${msg("地址", { id: "address" })}</th>
          <th scope="col">${msg("隔离弱项", { id: "weaknesses" })}</th>
          <th scope="col">${msg("操作", { id: "action" })}</th>
        </tr>
      </thead>
      <tbody>
        ${this.#found.items.map(
          (row) =>
            html`<tr>
              <th scope="row">${row.instance} <span class="muted">${row.project} · ${row.image}</span></th>
              <td>${row.member ?? "–"}</td>
              <td class="n">${limit(row.vcpu)}</td>
              <td class="n">${limit(row.memoryMib)}</td>
              <td class="n">${limit(row.diskGib)}</td>
              <td><zy-state .state=${row.state}></zy-state></td>
              <td>${row.addresses.join(" ") || "–"}</td>
              <td>${row.weaknesses.length === 0 ? "–" : html`<span class="warn">${row.weaknesses.join(", ")}</span>`}</td>
              <td>
                ${
                  row.request !== null
                    ? html`<a href=${pages.request(row.request)}>${msg("申请", { id: "requests" })}</a>`
                    : html`<button aria-label=${`${msg("提出纳管", { id: "propose-adoption" })}: ${row.instance}`} @click=${() => this.#choose(row)}>
                        ${msg("提出纳管", { id: "propose-adoption" })}
                      </button>`
                }
              </td>
            </tr>`,
        )}
      </tbody>
    </table>`;
  }

  /** What has no limit must be given one to be charged for. */
  #size(name: string, text: string, now: number | null): TemplateResult {
    return html`<label>${text}<input name=${name} type="number" min="1" ?required=${now === null} placeholder=${now ?? ""} /></label>`;
  }
  #form(row: FoundInstance): TemplateResult {
    return html`<section class="card">
      <h2>${msg("提出纳管", { id: "propose-adoption" })} <span class="muted">${row.instance}</span></h2>
      <form class="bar" @submit=${(event: SubmitEvent) => this.#propose(event)}>
        <label
          >${msg("业务系统", { id: "application" })}<select
            name="application"
            required
            @change=${(event: Event) => this.#pays(this.#applications.find((one) => one.id === (event.target as HTMLSelectElement).value))}
          >
            ${this.#applications.map((one) => html`<option value=${one.id}>${one.name}</option>`)}
          </select></label
        >
        <label
          >${msg("项目", { id: "project" })}<select name="project" required>
            ${this.#projects.map((one) => html`<option value=${one.id}>${one.code} ${one.name} · ${stateName(one.stage)}</option>`)}
          </select></label
        >
        <label>${msg("名称", { id: "name" })}<input name="name" placeholder=${row.instance} pattern="[a-z0-9]([a-z0-9\\-]*[a-z0-9])?" maxlength="63" /></label>
        ${this.#size("vcpu", "vCPU", row.vcpu)} ${this.#size("memoryMib", msg("内存 MiB", { id: "d-memory" }), row.memoryMib)}
        ${this.#size("diskGib", msg("磁盘 GiB", { id: "disk-gib" }), row.diskGib)}
        <label>${msg("理由", { id: "reason" })}<input name="reason" required maxlength="2000" size="40" /></label>
        <button class="primary">${msg("提出申请", { id: "ask-adoption" })}</button>
        <button
          type="button"
          @click=${() => {
            this.#chosen = undefined;
            this.requestUpdate();
          }}
        >
          ${msg("取消", { id: "cancel" })}
        </button>
      </form>
    </section>`;
  }
}
customElements.define("zy-adoptions-page", AdoptionsPage);
