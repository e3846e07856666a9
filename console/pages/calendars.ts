import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { Calendar } from "../../control-plane/contract/approvals.ts";
import { type CalendarFile, readCalendarFile } from "../../control-plane/contract/calendar-file.ts";
import type { Event as Happened } from "../../control-plane/contract/access.ts";
import { everything, post, put } from "../client/index.ts";
import { time } from "../format.ts";
import { api } from "../paths.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";

const day = (moment: Date) => moment.toLocaleDateString("sv-SE", { timeZone: "Asia/Shanghai" });

/** The calendars of working days: which years are known, and the import of another from the State Council's notice. */
export class CalendarsPage extends Page {
  static override properties = { changes: { type: Boolean } };
  /** Whether who looks may import. */
  declare changes: boolean;
  #rows: Calendar[] = [];
  /** What was read of a file, to be looked at before it is sent; or why it can't be. */
  #file: CalendarFile | undefined;
  #fault = "";
  #source = "";
  #done: number | undefined;
  #busy = false;

  override async load(): Promise<void> {
    this.#rows = await everything<Calendar>((cursor) => api.calendars({ limit: "500", ...(cursor === undefined ? {} : { cursor }) }));
  }
  override concerns(_event: Happened): boolean {
    return false;
  }
  async #read(file: File | undefined): Promise<void> {
    this.#file = undefined;
    this.#fault = "";
    this.#done = undefined;
    this.problem = undefined;
    try {
      if (file) this.#file = readCalendarFile(await file.text(), file.name);
      this.#source = this.#file?.source ?? "";
    } catch (error) {
      this.#fault = error instanceof Error ? error.message : String(error);
    }
    this.requestUpdate();
  }
  async #import({ year, ...file }: CalendarFile): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    const body = { ...file, source: this.#source.trim() };
    const there = this.#rows.find((row) => row.year === year);
    const done = await this.attempt(() =>
      there ? put<Calendar>(api.calendar(year), body, there.revision) : post<Calendar>(api.calendars(), { year, ...body }),
    );
    if (done) {
      this.#file = undefined;
      this.#done = year;
      await this.refresh();
    }
    this.#busy = false;
  }

  override show(): TemplateResult {
    const today = day(new Date());
    const year = Number(today.slice(0, 4));
    const missing = [year, year + 1].filter((one) => !this.#rows.some((row) => row.year === one));
    return html`<h1>${msg("工作日历", { id: "calendars" })}</h1>
      ${missing.map(
        (one) => html`<p class="warn">▲ ${one} ${msg("年的工作日历尚未导入：跨入该年的时限仅按双休日计算，为暂定。", { id: "calendar-missing" })}</p>`,
      )}
      ${this.#done === undefined ? nothing : html`<p class="good" role="status">✓ ${this.#done} ${msg("年已导入，未办结的时限已重新计算。", { id: "calendar-done" })}</p>`}
      <div class="card" tabindex="0">
        <table>
          <thead>
            <tr>
              <th scope="col">${msg("年度", { id: "year" })}</th>
              <th scope="col">${msg("依据", { id: "calendar-source" })}</th>
              <th scope="col" class="n">${msg("放假（天）", { id: "holidays" })}</th>
              <th scope="col" class="n">${msg("调休上班（天）", { id: "made-up-days" })}</th>
              <th scope="col">${msg("更新时间", { id: "updated" })}</th>
            </tr>
          </thead>
          <tbody>
            ${this.#rows.toReversed().map(
              (row) =>
                html`<tr>
                  <th scope="row">${row.year}</th>
                  <td>${row.source}</td>
                  <td class="n">${row.holidays.length}</td>
                  <td class="n">${row.workingDays.length}</td>
                  <td>${time(row.updatedAt)}</td>
                </tr>`,
            )}
          </tbody>
        </table>
      </div>
      ${this.changes ? this.#form() : nothing}
      <zy-command .command=${"zhengyun calendars import FILE"}></zy-command>`;
  }

  #form(): TemplateResult {
    const file = this.#file;
    return html`<div class="card">
      <h2>${msg("导入一个年度", { id: "calendar-import" })}</h2>
      <p class="muted">
        ${msg("文件为 CSV（每行“2027-01-01,休”或“2027-01-03,班”）或 JSON（year、holidays、workingDays），以国务院办公厅当年通知为准。", { id: "calendar-how" })}
      </p>
      <div class="bar">
        <label
          >${msg("文件（CSV 或 JSON）", { id: "calendar-file" })}<input
            type="file"
            accept=".csv,.json,text/csv,application/json"
            @change=${(event: Event) => this.#read((event.target as HTMLInputElement).files?.[0])}
        /></label>
      </div>
      ${this.#fault ? html`<p class="bad" role="alert">✕ ${this.#fault}</p>` : nothing} ${file ? this.#preview(file) : nothing}
    </div>`;
  }

  #preview(file: CalendarFile): TemplateResult {
    const replaces = this.#rows.some((row) => row.year === file.year);
    return html`<h3>${file.year}${replaces ? html` <span class="warn">▲ ${msg("将替换已有的日历", { id: "calendar-replaces" })}</span>` : nothing}</h3>
      <p>${msg("放假", { id: "days-off" })} (${file.holidays.length}): ${file.holidays.join(" · ")}</p>
      <p>${msg("调休上班", { id: "days-worked" })} (${file.workingDays.length}): ${file.workingDays.join(" · ") || "–"}</p>
      <div class="bar">
        <label
          >${msg("依据（通知名称、文号）", { id: "calendar-source-name" })}<input
            size="50"
            maxlength="200"
            .value=${this.#source}
            @input=${(event: InputEvent) => {
              this.#source = (event.target as HTMLInputElement).value;
              this.requestUpdate();
            }}
        /></label>
        <button class="primary" ?disabled=${this.#source.trim() === ""} @click=${() => this.#import(file)}>${msg("导入", { id: "import" })}</button>
      </div>`;
  }
}
customElements.define("zy-calendars-page", CalendarsPage);
