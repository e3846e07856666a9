import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { Event as Happened } from "../../control-plane/contract/access.ts";
import type { Project, ProjectStep } from "../../control-plane/contract/projects.ts";
import type { Role } from "../../control-plane/contract/roles.ts";
import { get, list, post } from "../client/index.ts";
import type { AdvanceEvent } from "../components/project-advance.ts";
import { time, yuan } from "../format.ts";
import { stateName } from "../locales/states.ts";
import { api, pages } from "../paths.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";
import "../components/fund-table.ts";
import "../components/project-advance.ts";
import "../components/state-badge.ts";

/** A project of the annual plan: its stage, its funds, and what was decided about it. */
export class ProjectPage extends Page {
  static override properties = { project: {}, roles: { attribute: false } };
  declare project: string;
  /** Of the reader; where they hold, the server knows. */
  declare roles: readonly Role[];
  #row: Project | undefined;
  #steps: ProjectStep[] = [];

  override async load(): Promise<void> {
    [this.#row, this.#steps] = await Promise.all([get<Project>(api.project(this.project)), list<ProjectStep>(api.projectSteps(this.project))]);
  }
  override concerns(event: Happened): boolean {
    return event.department === this.#row?.department;
  }

  async #advance(event: AdvanceEvent): Promise<void> {
    await this.attempt(async () => {
      await post(api.advanceProject(this.project), event.detail, this.#row!.revision);
      await this.load();
    });
  }

  override show(): TemplateResult {
    const row = this.#row;
    if (!row) return html``;
    return html`<nav><a href=${pages.department(row.department)}>${msg("部门", { id: "department" })}</a> › ${row.code}</nav>
      <h1>${row.name} <span class="muted">${row.code}</span></h1>
      <p>
        <zy-state .state=${row.stage}></zy-state> · ${msg("年度", { id: "fiscal-year" })} ${row.fiscalYear} · ${msg("预算（元）", { id: "budget" })}
        <strong>${yuan(row.budgetFen)}</strong>${row.supervisor ? html` · ${msg("监理单位", { id: "supervisor" })} ${row.supervisor.name}` : nothing}
      </p>
      <h2>${msg("资金", { id: "fund" })}</h2>
      <div class="card" tabindex="0"><zy-funds .funds=${row.funds}></zy-funds></div>
      <zy-project-advance .project=${row} .roles=${this.roles ?? []} @zy-advance=${(event: AdvanceEvent) => this.#advance(event)}></zy-project-advance>
      <h2>${msg("进展", { id: "timeline" })}</h2>
      <div class="card" tabindex="0">
        ${
          this.#steps.length === 0
            ? html`<p>${msg("尚无记录。", { id: "no-events" })}</p>`
            : html`<ol>
                ${this.#steps.map(
                  (step) =>
                    html`<li>
                      ${time(step.at)} · <zy-state .state=${step.to}></zy-state> · ${step.reason}
                      ${step.opinions.map((one) => html`<div>${one.expert}（${one.organisation}）: ${stateName(one.verdict)} ${one.opinion}</div>`)}
                      ${step.evidence.map((one) => html`<div class="muted">${one.name} ${one.reference}</div>`)}
                    </li>`,
                )}
              </ol>`
        }
      </div>
      <zy-command .command=${`zhengyun plans show ${row.id}`}></zy-command>`;
  }
}
customElements.define("zy-project-page", ProjectPage);
