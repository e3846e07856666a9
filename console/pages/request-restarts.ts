import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { Request } from "../../control-plane/contract/requests.ts";
import { post } from "../client/index.ts";
import { time } from "../format.ts";
import { api } from "../paths.ts";
import { fieldOf } from "./fields.ts";
import { Page } from "./page.ts";
import { restartFields, restartOf, restartWords, type When } from "./restart-time.ts";
import "../components/command-line.ts";

/** What of a request takes a restart, and when that is to be: said and changed by the owning department until it begins. */
export class RequestRestarts extends Page {
  static override properties = { row: { attribute: false }, owns: { type: Boolean } };
  declare row: Request;
  /** Whether who looks may speak for a department. */
  declare owns: boolean;
  /** The page that this is a part of says when it was read. */
  override stamped = false;
  #when: When = "at";
  #busy = false;

  override async load(): Promise<void> {}
  override concerns(): boolean {
    return false;
  }
  async #agree(form: HTMLFormElement): Promise<void> {
    const said = restartOf(fieldOf(form), "restart");
    if (this.#busy || !said) return;
    this.#busy = true;
    await this.attempt(async () => {
      this.row = await post<Request>(api.decide(this.row.id, "agree-restart"), { time: said }, this.row.revision);
    });
    this.#busy = false;
  }

  override show(): TemplateResult {
    const items = this.row.items.flatMap((item) =>
      item.restart?.why || (item.restart && item.state === "scheduled") ? [{ ...item, restart: item.restart }] : [],
    );
    if (items.length === 0) return html``;
    const open = items.some((item) => item.state === "scheduled" || (item.state === "pending" && !["approved", "applying"].includes(this.row.state)));
    return html`<section class="card" aria-label=${msg("需重启的变更", { id: "restart-changes" })}>
      <h2>${msg("需重启的变更", { id: "restart-changes" })}</h2>
      <table>
        <thead>
          <tr>
            <th scope="col">${msg("名称", { id: "name" })}</th>
            <th scope="col">${msg("原因", { id: "restart-why" })}</th>
            <th scope="col">${msg("重启时间", { id: "restart-time" })}</th>
            <th scope="col">${msg("状态", { id: "state" })}</th>
          </tr>
        </thead>
        <tbody>
          ${items.map(
            ({ name, state, restart }) =>
              html`<tr>
                <th scope="row">${name}</th>
                <td>${restart.why ?? "–"}</td>
                <td>
                  ${restart.begunAt ? time(restart.begunAt) : restart.time ? restartWords(restart.time) : html`<span class="warn">▲ ${restartWords(null)}</span>`}${
                    restart.time?.when === "window" && restart.dueAt && !restart.begunAt ? html` · ${time(restart.dueAt)}` : nothing
                  }
                </td>
                <td><zy-state .state=${state}></zy-state></td>
              </tr>`,
          )}
        </tbody>
      </table>
      ${
        open && this.owns
          ? html`<form
                class="bar"
                @submit=${(event: SubmitEvent) => {
                  event.preventDefault();
                  void this.#agree(event.target as HTMLFormElement);
                }}
              >
                ${restartFields(
                  "restart",
                  this.#when,
                  (when) => {
                    this.#when = when;
                    this.requestUpdate();
                  },
                  false,
                )}
                <button class="primary">${msg("约定重启", { id: "agree-restart" })}</button>
              </form>
              <p class="muted">${msg("开始前可改期，或撤回申请；约定的重启不计入故障时间。", { id: "restart-note" })}</p>`
          : open
            ? html`<p class="muted">${msg("重启时间由主机所属部门约定。", { id: "restart-owner" })}</p>`
            : nothing
      }
      <zy-command .command=${`zhengyun requests agree-restart ${this.row.id} --at TIME`}></zy-command>
    </section>`;
  }
}
customElements.define("zy-request-restarts", RequestRestarts);
