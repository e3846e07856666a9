import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { Application } from "../../control-plane/contract/applications.ts";
import { transferred } from "../../control-plane/contract/changes.ts";
import type { Project } from "../../control-plane/contract/projects.ts";
import type { Request } from "../../control-plane/contract/requests.ts";
import type { WhatIf } from "../../control-plane/contract/what-if.ts";
import { everything, post } from "../client/index.ts";
import { fieldOf } from "./fields.ts";
import { api, pages } from "../paths.ts";
import { go } from "../router.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";
import "../components/transfer-sides.ts";
import "../components/what-if.ts";

type Asked = ReturnType<typeof transferred>;

/** A department's business systems; one of them is passed to another department: looked at (what-if), and sent as a request. */
export class ApplicationTransfer extends Page {
  static override properties = { department: {} };
  declare department: string;
  /** The page that this is a part of says when it was read. */
  override stamped = false;
  #applications: Application[] = [];
  #projects: Project[] = [];
  #chosen: Application | undefined;
  #checking: { asked: Asked; prospect: WhatIf } | undefined;
  #busy = false;

  override async load(): Promise<void> {
    const { department } = this;
    [this.#applications, this.#projects] = await Promise.all([
      everything<Application>((cursor) => api.applications(department, cursor)),
      everything<Project>((cursor) => api.projects(department, cursor)),
    ]);
    this.#applications = this.#applications.filter((one) => one.department === department);
  }
  override concerns(event: { type: string }): boolean {
    return event.type === "application.transferred";
  }
  async #check(form: HTMLFormElement, application: Application): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    const field = fieldOf(form);
    await this.attempt(async () => {
      const title = `${msg("移交业务系统", { id: "transfer-application" })} ${application.name} → ${field("to")}`.slice(0, 200);
      const asked = transferred(application, { department: field("to"), project: field("to-project") }, { title, reason: field("reason") });
      this.#checking = { asked, prospect: await post<WhatIf>(api.whatIf, asked) };
    });
    this.#busy = false;
    this.requestUpdate();
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
  #choose(application: Application | undefined): void {
    this.#chosen = application;
    this.#checking = undefined;
    this.requestUpdate();
  }

  override show(): TemplateResult {
    if (this.#applications.length === 0) return html``;
    const projects = new Map(this.#projects.map((one) => [one.id, one.code]));
    return html`<h2>${msg("业务系统", { id: "application" })} (${this.#applications.length})</h2>
      <div class="card" tabindex="0">
        <table>
          <thead>
            <tr>
              <th scope="col">${msg("名称", { id: "name" })}</th>
              <th scope="col">${msg("项目", { id: "project" })}</th>
              <th scope="col">${msg("等保", { id: "level" })}</th>
              <th scope="col"></th>
            </tr>
          </thead>
          <tbody>
            ${this.#applications.map(
              (one) =>
                html`<tr>
                  <th scope="row">${one.name} <span class="muted">${one.code}</span></th>
                  <td>${projects.get(one.project) ?? ""}</td>
                  <td>${one.protectionLevel}</td>
                  <td>
                    <button
                      aria-label=${`${msg("移交…", { id: "transfer" })} ${one.name}`}
                      @click=${() => this.#choose(this.#chosen === one ? undefined : one)}
                    >
                      ${msg("移交…", { id: "transfer" })}
                    </button>
                  </td>
                </tr>`,
            )}
          </tbody>
        </table>
      </div>
      ${this.#chosen ? this.#form(this.#chosen) : nothing}`;
  }

  #form(application: Application): TemplateResult {
    return html`<section class="card" aria-label=${msg("移交业务系统", { id: "transfer-application" })}>
      <h2>${msg("移交业务系统", { id: "transfer-application" })} · ${application.name}</h2>
      <p class="muted">
        ${msg("连同其主机、存储卷、备份和期限整体移交给另一部门；由移出方、接收方先后审批，再由共同上级的主管部门审批。", { id: "transfer-how" })}
      </p>
      <form
        ?hidden=${this.#checking !== undefined}
        @submit=${(event: SubmitEvent) => {
          event.preventDefault();
          void this.#check(event.target as HTMLFormElement, application);
        }}
      >
        <div class="bar">
          <label>${msg("接收部门代码", { id: "receiver-code" })}<input name="to" required maxlength="64" /></label>
          <label>${msg("接收部门的项目代码", { id: "receiver-project" })}<input name="to-project" required maxlength="64" /></label>
        </div>
        <div class="bar">
          <label>${msg("理由", { id: "reason" })}<textarea name="reason" rows="2" cols="60" maxlength="2000"></textarea></label>
        </div>
        <button class="primary">${msg("核对", { id: "check" })}</button>
      </form>
      ${this.#checking ? this.#confirm(this.#checking.asked, this.#checking.prospect) : nothing}
      <zy-command .command=${`zhengyun applications transfer ${application.id} --to DEPARTMENT --to-project PROJECT`}></zy-command>
    </section>`;
  }

  #confirm(asked: Asked, prospect: WhatIf): TemplateResult {
    return html`<h3>${msg("核对后提交", { id: "check-title" })}</h3>
      <p>${asked.title}${asked.reason ? html` · ${asked.reason}` : nothing}</p>
      <zy-transfer-sides .transfer=${prospect.transfer ?? undefined} .cost=${prospect.cost}></zy-transfer-sides>
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
customElements.define("zy-transfer", ApplicationTransfer);
