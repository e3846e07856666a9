import { css, html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { Event as Happened } from "../../control-plane/contract/access.ts";
import { type CardEntry, type Correction, openCardStates, type SupervisionCardDetail } from "../../control-plane/contract/supervision.ts";
import { ApiProblem, get, post } from "../client/index.ts";
import { time } from "../format.ts";
import { cardStateName, correctionStateName, entryName, namesOf, ruleKindName, supervisedStage } from "../locales/supervision.ts";
import { api, pages } from "../paths.ts";
import { isSupervision } from "../pending.ts";
import { shared } from "../styles.ts";
import { fieldOf } from "./fields.ts";
import { Page } from "./page.ts";
import "../components/card-colour.ts";
import "../components/command-line.ts";

/** A supervision card: what was found, what was said to it, and its corrections; answered by whom it concerns, settled by supervision. */
export class SupervisionCardPage extends Page {
  static override styles = [
    shared,
    css`
      dl {
        display: grid;
        grid-template-columns: max-content auto;
        gap: 0.3rem 1rem;
      }
      dt {
        color: var(--muted);
      }
      dd {
        margin: 0;
        overflow-wrap: anywhere;
      }
      ol {
        list-style: none;
        padding: 0;
        margin: 0;
      }
      form > label + .bar {
        margin-top: 0.75rem;
      }
      .said {
        white-space: pre-wrap;
        overflow-wrap: anywhere;
        margin: 0.1rem 0 0.75rem;
      }
    `,
  ];
  static override properties = { card: {}, me: {}, oversees: { attribute: false }, decides: { attribute: false } };
  /** Its id. */
  declare card: string;
  /** Id of the reader. */
  declare me: string;
  /** Whether the reader sees the board. */
  declare oversees: boolean;
  /** Whether the reader is a supervision officer. */
  declare decides: boolean;
  #shown: SupervisionCardDetail | undefined;
  /** Read from the board: the reader's department is supervised by the reader. */
  #onBoard = false;
  #busy = false;

  override async load(): Promise<void> {
    this.#onBoard = false;
    if (this.oversees) {
      try {
        this.#shown = await get<SupervisionCardDetail>(api.card(this.card));
        this.#onBoard = true;
        return;
      } catch (error) {
        // It may still be one's own.
        if (!(error instanceof ApiProblem) || error.problem.status !== 404) throw error;
      }
    }
    this.#shown = await get<SupervisionCardDetail>(api.ownCard(this.card));
  }
  override concerns(event: Happened): boolean {
    return isSupervision(event) && event.subject === this.card;
  }

  /** Sends a form once; what was typed stays where it is refused. */
  async #send(event: SubmitEvent, work: (field: (name: string) => string) => Promise<unknown>): Promise<void> {
    event.preventDefault();
    if (this.#busy) return;
    const form = event.target as HTMLFormElement;
    this.#busy = true;
    this.requestUpdate();
    const done = await this.attempt(() => work(fieldOf(form)));
    this.#busy = false;
    if (done) {
      form.reset();
      await this.refresh();
    }
    this.requestUpdate();
  }

  override show(): TemplateResult {
    const card = this.#shown;
    if (!card) return html`<p>${msg("没有这个监察件，或您无权查看。", { id: "sv-no-card" })}</p>`;
    return html`<h1><zy-card-colour .colour=${card.colour}></zy-card-colour> · ${card.requestNumber} ${card.requestTitle}</h1>
      <div class="card">${this.#facts(card)}</div>
      <h2>${msg("办理过程", { id: "sv-timeline" })}</h2>
      <div class="card">
        <ol aria-live="polite">
          ${card.timeline.map(
            (entry) =>
              html`<li>
                <strong>${entryName(entry.kind)}</strong> · ${entry.byName ?? (entry.by === "system" ? msg("系统", { id: "sv-system" }) : entry.by)} ·
                <time class="muted" datetime=${entry.at}>${time(entry.at)}</time>
                <div class="said">${this.#said(entry)}</div>
              </li>`,
          )}
        </ol>
        ${card.mayAnswer ? this.#answer(card) : nothing}
      </div>
      ${card.corrections.length > 0 ? html`<h2>${msg("纠错", { id: "sv-correction" })}</h2>` : nothing}
      ${card.corrections.map((one) => html`<div class="card">${this.#correction(one)}</div>`)}
      ${this.#onBoard && this.decides && openCardStates.includes(card.state) ? this.#decide(card) : nothing}
      <zy-command .command=${this.#onBoard ? `zhengyun supervision show ${card.id}` : "zhengyun supervision mine"}></zy-command>`;
  }

  #said({ kind, text }: CardEntry): unknown {
    return kind === "escalated" ? html`<a href=${pages.supervisionCard(text)}>${msg("见升级后的牌", { id: "sv-see-graver" })}</a>` : text;
  }

  #facts(card: SupervisionCardDetail): TemplateResult {
    const row = (label: string, value: unknown) =>
      html`<dt>${label}</dt>
        <dd>${value}</dd>`;
    return html`<dl>
      ${row(msg("状态", { id: "state" }), cardStateName(card.state))}
      ${row(msg("事由", { id: "sv-cause" }), `${ruleKindName(card.kind)}${card.stage === null ? "" : ` · ${supervisedStage(card.stage)}`}`)}
      ${row(msg("规则", { id: "sv-rule" }), `${card.ruleName} (v${card.ruleVersion})`)}
      ${card.detail === "" ? nothing : row(msg("发现", { id: "sv-found" }), card.detail)}
      ${row(msg("申请编号", { id: "sv-request" }), html`<a href=${pages.request(card.request)}>${card.requestNumber}</a>`)}
      ${row(msg("部门", { id: "department" }), card.departmentName)} ${row(msg("责任人", { id: "sv-concerned" }), namesOf(card, "concerned"))}
      ${row(msg("上级", { id: "sv-superiors" }), namesOf(card, "superior"))}
      ${card.limitAt === null ? nothing : row(msg("办理时限", { id: "sv-limit" }), time(card.limitAt))}
      ${row(msg("发出时间", { id: "sv-issued-at" }), time(card.issuedAt))}
      ${row(
        msg("答复期限", { id: "sv-answer-by" }),
        html`<span class=${card.answerOverdue ? "bad" : ""}
          >${time(card.answerDueAt)}${card.answerOverdue ? ` ✕ ${msg("答复逾期", { id: "sv-answer-late" })}` : ""}</span
        >`,
      )}
      ${card.previous === null ? nothing : row(msg("由此升级", { id: "sv-previous" }), html`<a href=${pages.supervisionCard(card.previous)}>${msg("前一张牌", { id: "sv-previous-card" })}</a>`)}
    </dl>`;
  }

  #answer(card: SupervisionCardDetail): TemplateResult {
    const first = card.state === "open";
    return html`<form
      class="answer"
      @submit=${(event: SubmitEvent) => this.#send(event, (field) => post(api.answerCard(card.id), { text: field("text") }, card.revision))}
    >
      <label
        >${first ? msg("说明理由", { id: "sv-reason" }) : msg("补充说明", { id: "sv-information" })}<textarea
          name="text"
          rows="3"
          maxlength="4000"
          required
        ></textarea>
      </label>
      <div class="bar">
        <button class="primary" ?disabled=${this.#busy}>${first ? msg("答复", { id: "sv-answer" }) : msg("补充答复", { id: "sv-addition" })}</button>
      </div>
    </form>`;
  }

  #correction(one: Correction): TemplateResult {
    const note = (label: string) => html`<label>${label}<textarea name="note" rows="2" maxlength="4000" required></textarea></label>`;
    return html`<p>
        <strong>${one.what}</strong> · ${one.assigneeName ?? one.assignee} · ${msg("截止", { id: "due" })} ${time(one.dueAt)} ·
        <span class=${one.overdue ? "bad" : ""}>${one.overdue ? `✕ ${msg("已逾期", { id: "overdue" })}` : correctionStateName(one.state)}</span>
      </p>
      ${
        one.state === "open" && one.assignee === this.me
          ? html`<form @submit=${(event: SubmitEvent) => this.#send(event, (field) => post(api.correctionDone(one.id), { note: field("note") }, one.revision))}>
              ${note(msg("如何纠正", { id: "sv-how" }))}
              <div class="bar"><button class="primary" ?disabled=${this.#busy}>${msg("报告已纠正", { id: "sv-done" })}</button></div>
            </form>`
          : nothing
      }
      ${
        one.state === "done" && this.#onBoard && this.decides
          ? html`<form @submit=${(event: SubmitEvent) => this.#settle(event, one)}>
              ${note(msg("核实意见", { id: "sv-verdict" }))}
              <div class="bar">
                <button class="primary" value="close" ?disabled=${this.#busy}>${msg("纠错办结", { id: "sv-correction-closed" })}</button>
                <label>${msg("新的截止日期", { id: "sv-new-due" })}<input type="date" name="due" /></label>
                <button value="reopen" ?disabled=${this.#busy}>${msg("退回重新纠正", { id: "sv-reopened" })}</button>
              </div>
            </form>`
          : nothing
      }`;
  }
  #settle(event: SubmitEvent, one: Correction): Promise<void> {
    const how = (event.submitter as HTMLButtonElement | null)?.value === "reopen" ? "reopen" : "close";
    return this.#send(event, (field) =>
      post(api.moveCorrection(one.id, how), { note: field("note"), ...(how === "reopen" ? { due: field("due") } : {}) }, one.revision),
    );
  }

  #decide(card: SupervisionCardDetail): TemplateResult {
    return html`<h2>${msg("监察处理", { id: "sv-decide" })}</h2>
      <div class="card">
        <form @submit=${(event: SubmitEvent) => this.#send(event, (field) => post(api.acceptCard(card.id), { note: field("note") }, card.revision))}>
          <label>${msg("审核意见", { id: "sv-note" })}<input name="note" maxlength="4000" size="50" /></label>
          <div class="bar">
            <button
              class="accept"
              ?disabled=${this.#busy || card.state !== "answered"}
              title=${card.state === "answered" ? "" : msg("还没有可审核的答复。", { id: "sv-no-answer" })}
            >
              ${msg("理由成立", { id: "sv-accepted" })}
            </button>
          </div>
        </form>
        <form class="order" @submit=${(event: SubmitEvent) => this.#send(event, (field) => this.#order(card, field))}>
          <label>${msg("纠错事项", { id: "sv-what" })}<textarea name="what" rows="2" maxlength="4000" required></textarea></label>
          <div class="bar">
            <label
              >${msg("纠正人", { id: "sv-assignee" })}<select name="assignee">
                ${card.people.map((one) => html`<option value=${one.id}>${one.name ?? one.id}</option>`)}
              </select></label
            >
            <label>${msg("截止日期", { id: "to-day" })}<input type="date" name="due" required /></label>
            <button ?disabled=${this.#busy}>${msg("责令纠错", { id: "sv-ordered" })}</button>
          </div>
        </form>
      </div>`;
  }
  #order(card: SupervisionCardDetail, field: (name: string) => string): Promise<unknown> {
    return post(api.corrections(), { card: card.id, what: field("what"), assignee: field("assignee"), due: field("due") }, card.revision);
  }
}
customElements.define("zy-supervision-card-page", SupervisionCardPage);
