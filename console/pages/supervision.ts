import { css, html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { Event as Happened } from "../../control-plane/contract/access.ts";
import {
  CardColour,
  type CardCounts,
  CardState,
  type Correction,
  type SupervisionCard,
  type SupervisionRule,
} from "../../control-plane/contract/supervision.ts";
import { get, list } from "../client/index.ts";
import { number } from "../format.ts";
import { cardStateName, colourName } from "../locales/supervision.ts";
import { api, type CardSearch, pages } from "../paths.ts";
import { isSupervision } from "../pending.ts";
import { go } from "../router.ts";
import { shared } from "../styles.ts";
import { Page } from "./page.ts";
import "../components/card-table.ts";
import "../components/command-line.ts";
import "../components/correction-table.ts";

const searches = ["state", "colour", "department", "rule", "cursor"] as const;

/** The supervision board (监察看板): how many cards there are of each colour, and which; what is looked for stands in the address. */
export class SupervisionPage extends Page {
  static override styles = [
    shared,
    css`
      .counts {
        display: flex;
        flex-wrap: wrap;
        gap: 1rem;
      }
      /* Rules have long names. */
      label,
      select {
        max-width: 100%;
        min-width: 0;
      }
      .counts > .card {
        flex: 1 1 9rem;
      }
      .counts b {
        display: block;
        font-size: 1.6rem;
      }
    `,
  ];
  static override properties = { search: {} };
  /** The address's query. */
  declare search: string;
  #counts: CardCounts | undefined;
  #rows: SupervisionCard[] = [];
  #next: string | null = null;
  #corrections: Correction[] = [];
  #rules: SupervisionRule[] = [];

  get #asked(): CardSearch {
    const given = new URLSearchParams(this.search);
    return Object.fromEntries(searches.flatMap((name) => (given.get(name) ? [[name, given.get(name)!]] : [])));
  }
  override async load(): Promise<void> {
    const { state = "pending", ...asked } = this.#asked;
    const { department } = asked;
    const [counts, page, corrections, rules] = await Promise.all([
      get<CardCounts>(api.cardCounts(department)),
      get<{ items: SupervisionCard[]; next: string | null }>(api.cards({ state, ...asked })),
      list<Correction>(api.corrections(department === undefined ? {} : { department })),
      list<SupervisionRule>(api.supervisionRules()),
    ]);
    this.#counts = counts;
    this.#rows = page.items;
    this.#next = page.next;
    this.#corrections = corrections.filter((one) => one.state !== "closed");
    this.#rules = rules;
  }
  override concerns(event: Happened): boolean {
    return isSupervision(event);
  }
  override updated(changed: Map<string, unknown>): void {
    if (changed.has("search") && changed.get("search") !== undefined) void this.refresh();
  }

  override show(): TemplateResult {
    const { cursor, ...asked } = this.#asked;
    const flags = Object.entries({ state: "pending", ...asked }).map(([name, value]) => `--${name} ${value}`);
    return html`<h1>${msg("电子监察", { id: "supervision" })}</h1>
      ${this.#figures()} ${this.#form(asked)}
      <div class="card" tabindex="0">
        ${this.#rows.length === 0 ? html`<p>${msg("没有符合条件的监察件。", { id: "sv-no-cards" })}</p>` : html`<zy-card-table .cards=${this.#rows}></zy-card-table>`}
      </div>
      <div class="bar">
        ${cursor ? html`<a href=${pages.supervision(asked)}>${msg("最新一页", { id: "newest-page" })}</a>` : nothing}
        ${this.#next ? html`<a href=${pages.supervision({ ...asked, cursor: this.#next })}>${msg("更早的记录", { id: "older" })}</a>` : nothing}
        <a href=${pages.supervisionRules()}>${msg("监察规则", { id: "sv-rules" })}</a>
      </div>
      <h2>${msg("未办结的纠错", { id: "sv-corrections" })}</h2>
      <div class="card" tabindex="0">
        ${
          this.#corrections.length === 0
            ? html`<p>${msg("没有未办结的纠错。", { id: "sv-no-corrections" })}</p>`
            : html`<zy-correction-table .corrections=${this.#corrections}></zy-correction-table>`
        }
      </div>
      <zy-command .command=${["zhengyun supervision list", ...flags].join(" ")}></zy-command>`;
  }

  #figures(): TemplateResult | typeof nothing {
    const counts = this.#counts;
    if (!counts) return nothing;
    const figure = (label: unknown, value: number, note = "", bad = false) =>
      html`<div class="card">${label}<b class=${bad && value > 0 ? "bad" : ""}>${number(value)}</b><span class="muted">${note}</span></div>`;
    return html`<div class="counts">
      ${counts.colours.map((one) => figure(html`<zy-card-colour .colour=${one.colour}></zy-card-colour>`, one.pending, `${msg("累计", { id: "sv-total" })} ${number(one.all)}`))}
      ${figure(msg("答复逾期", { id: "sv-answer-late" }), counts.answersOverdue, "", true)}
      ${figure(msg("未办结的纠错", { id: "sv-corrections" }), counts.correctionsOpen)}
      ${figure(msg("纠错逾期", { id: "sv-correction-late" }), counts.correctionsOverdue, "", true)}
    </div>`;
  }

  #form(asked: CardSearch): TemplateResult {
    const option = (value: string, name: string, chosen: string) => html`<option value=${value} ?selected=${value === chosen}>${name}</option>`;
    const state = asked.state ?? "pending";
    return html`<form class="bar" role="search" @submit=${(event: SubmitEvent) => this.#find(event)}>
      <label
        >${msg("状态", { id: "state" })}<select name="state">
          ${option("pending", msg("未办结", { id: "sv-pending" }), state)} ${CardState.options.map((one) => option(one, cardStateName(one), state))}
          ${option("all", msg("全部", { id: "all" }), state)}
        </select></label
      >
      <label
        >${msg("牌", { id: "sv-card" })}<select name="colour">
          ${option("", msg("全部", { id: "all" }), asked.colour ?? "")} ${CardColour.options.map((one) => option(one, colourName(one), asked.colour ?? ""))}
        </select></label
      >
      <label
        >${msg("规则", { id: "sv-rule" })}<select name="rule">
          ${option("", msg("全部", { id: "all" }), asked.rule ?? "")} ${this.#rules.map((one) => option(one.id, one.name, asked.rule ?? ""))}
        </select></label
      >
      <label>${msg("部门代码", { id: "sv-department-code" })}<input name="department" .value=${asked.department ?? ""} maxlength="64" /></label>
      <button class="primary">${msg("查询", { id: "find" })}</button>
      <a href=${pages.supervision()}>${msg("清除条件", { id: "clear" })}</a>
    </form>`;
  }
  #find(event: SubmitEvent): void {
    event.preventDefault();
    const given = [...new FormData(event.target as HTMLFormElement)].filter((entry): entry is [string, string] => typeof entry[1] === "string");
    go(pages.supervision(Object.fromEntries(given.map(([name, value]) => [name, value.trim()]))));
  }
}
customElements.define("zy-supervision-page", SupervisionPage);
