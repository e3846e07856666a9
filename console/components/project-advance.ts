import { html, LitElement, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import { stages, takenBy } from "../../control-plane/contract/project-stages.ts";
import type { Project, ProjectAdvance, ProjectEvent } from "../../control-plane/contract/projects.ts";
import type { Role } from "../../control-plane/contract/roles.ts";
import { stateName } from "../locales/states.ts";
import { shared } from "../styles.ts";

const eventNames: Record<ProjectEvent, () => string> = {
  review: () => msg("评审", { id: "pe-review" }),
  return: () => msg("退回申报单位", { id: "pe-return" }),
  approve: () => msg("立项批复", { id: "pe-approve" }),
  accept: () => msg("验收", { id: "pe-accept" }),
  operate: () => msg("转入运维（或下一年度）", { id: "pe-operate" }),
  evaluate: () => msg("绩效评价", { id: "pe-evaluate" }),
  close: () => msg("关闭", { id: "pe-close" }),
};
/** Steps that may set funds; the rule itself is the server's. */
const funding: readonly ProjectEvent[] = ["approve", "accept", "operate"];

/** What the reader decided about the project: `detail` is the body of the step. */
export class AdvanceEvent extends CustomEvent<ProjectAdvance> {
  constructor(detail: ProjectAdvance) {
    super("zy-advance", { detail });
  }
}

/**
 * The next step of a project of the annual plan: what may follow its stage, by whom, with what it needs.
 * @fires zy-advance
 */
export class ProjectAdvanceForm extends LitElement {
  static override properties = {
    project: { attribute: false },
    roles: { attribute: false },
    event: { state: true },
    opinions: { state: true },
    funds: { state: true },
  };
  static override styles = shared;
  declare project: Project;
  declare roles: readonly Role[];
  declare event: ProjectEvent | undefined;
  declare opinions: number;
  declare funds: number;

  constructor() {
    super();
    this.opinions = 1;
    this.funds = 1;
  }

  get #offered(): ProjectEvent[] {
    return (Object.keys(stages[this.project.stage]) as ProjectEvent[]).filter((event) => takenBy[event].some((role) => this.roles.includes(role)));
  }

  #submit(submitted: SubmitEvent): void {
    submitted.preventDefault();
    const data = new FormData(submitted.target as HTMLFormElement);
    const text = (name: string) => {
      const value = data.get(name);
      return typeof value === "string" ? value.trim() : "";
    };
    const rows = (count: number) => Array.from({ length: count }, (_, index) => index);
    const event = this.event ?? this.#offered[0]!;
    this.dispatchEvent(
      new AdvanceEvent({
        event,
        reason: text("reason"),
        evidence: text("evidence") === "" ? [] : [{ name: text("evidence"), reference: text("reference"), sha256: null }],
        opinions:
          event === "review"
            ? rows(this.opinions).map((row) => ({
                expert: text(`expert-${row}`),
                organisation: text(`organisation-${row}`),
                verdict: text(`verdict-${row}`) as "support",
                opinion: text(`opinion-${row}`),
              }))
            : [],
        funds: funding.includes(event)
          ? rows(this.funds)
              .filter((row) => text(`amount-${row}`) !== "")
              .map((row) => ({
                kind: text(`fund-${row}`) as "construction",
                fiscalYear: Number(text(`year-${row}`)),
                amountFen: Math.round(Number(text(`amount-${row}`)) * 100),
              }))
          : [],
      }),
    );
  }

  override render() {
    const offered = this.#offered;
    if (offered.length === 0) return nothing;
    const event = this.event !== undefined && offered.includes(this.event) ? this.event : offered[0]!;
    return html`<section class="card">
      <h2>${msg("推进项目", { id: "advance-project" })}</h2>
      <form @submit=${(submitted: SubmitEvent) => this.#submit(submitted)}>
        <div class="bar">
          <label
            >${msg("下一步", { id: "next-step" })}<select
              @change=${(changed: Event) => (this.event = (changed.target as HTMLSelectElement).value as ProjectEvent)}
            >
              ${offered.map((one) => html`<option value=${one} .selected=${one === event}>${eventNames[one]()} → ${stateName(stages[this.project.stage][one]!)}</option>`)}
            </select></label
          >
          <label>${msg("理由（如文号）", { id: "grant-reason" })}<input name="reason" required maxlength="2000" size="40" /></label>
        </div>
        ${event === "review" ? this.#opinionRows() : nothing} ${funding.includes(event) ? this.#fundRows() : nothing}
        <div class="bar">
          <label
            >${msg("证明文件", { id: "evidence-name" })}<input name="evidence" maxlength="200" ?required=${event === "accept" || event === "evaluate"}
          /></label>
          <label>${msg("文号或存放处", { id: "evidence-reference" })}<input name="reference" maxlength="500" /></label>
          <button class="primary">${eventNames[event]()}</button>
        </div>
      </form>
    </section>`;
  }

  #opinionRows(): TemplateResult {
    return html`${Array.from(
        { length: this.opinions },
        (_, row) =>
          html`<fieldset>
            <legend>${msg("专家意见", { id: "expert-opinion" })} ${row + 1}</legend>
            <div class="bar">
              <label>${msg("专家", { id: "expert" })}<input name=${`expert-${row}`} required maxlength="200" /></label>
              <label>${msg("单位", { id: "organisation" })}<input name=${`organisation-${row}`} required maxlength="200" /></label>
              <label
                >${msg("结论", { id: "verdict" })}<select name=${`verdict-${row}`}>
                  ${["support", "support-with-changes", "oppose"].map((verdict) => html`<option value=${verdict}>${stateName(verdict)}</option>`)}
                </select></label
              >
              <label>${msg("意见", { id: "opinion" })}<input name=${`opinion-${row}`} required maxlength="5000" size="40" /></label>
            </div>
          </fieldset>`,
      )}
      <div class="bar"><button type="button" @click=${() => this.opinions++}>${msg("再加一位专家", { id: "add-opinion" })}</button></div>`;
  }

  #fundRows(): TemplateResult {
    return html`${Array.from(
        { length: this.funds },
        (_, row) =>
          html`<div class="bar">
            <label
              >${msg("资金", { id: "fund" })}<select name=${`fund-${row}`}>
                ${["construction", "operating"].map((kind) => html`<option value=${kind}>${stateName(kind)}</option>`)}
              </select></label
            >
            <label
              >${msg("年度", { id: "fiscal-year" })}<input name=${`year-${row}`} type="number" min="2000" max="2100" .value=${String(this.project.fiscalYear)}
            /></label>
            <label>${msg("金额（元）", { id: "amount-yuan" })}<input name=${`amount-${row}`} inputmode="decimal" pattern="[0-9]+(\\.[0-9]{1,2})?" /></label>
          </div>`,
      )}
      <div class="bar"><button type="button" @click=${() => this.funds++}>${msg("再加一笔资金", { id: "add-fund" })}</button></div>`;
  }
}
customElements.define("zy-project-advance", ProjectAdvanceForm);
