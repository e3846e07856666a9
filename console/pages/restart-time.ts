/** The fields by which somebody says when a host may be restarted. */
import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { RestartTime } from "../../control-plane/contract/requests.ts";
import { time } from "../format.ts";

/** "": not said yet. */
export type When = "" | RestartTime["when"];

/** In words. */
export function restartWords(said: RestartTime | null): string {
  if (said === null) return msg("尚未约定", { id: "restart-open" });
  if (said.when === "at") return time(said.at);
  return said.when === "now" ? msg("批准后立即", { id: "restart-now" }) : msg("下一个维护窗口内", { id: "restart-window" });
}

/** @param name of the field; its moment is `<name>-at`, the clock of Shanghai @param later whether it may be left open */
export function restartFields(name: string, chosen: When, choose: (when: When) => void, later: boolean): TemplateResult {
  return html`<label
      >${msg("如需重启", { id: "restart-when" })}<select
        name=${name}
        .value=${chosen}
        @change=${(event: Event) => choose((event.target as HTMLSelectElement).value as When)}
      >
        ${later ? html`<option value="">${msg("以后约定", { id: "restart-later" })}</option>` : nothing}
        <option value="at" ?selected=${chosen === "at"}>${msg("在约定时间", { id: "restart-at" })}</option>
        <option value="window" ?selected=${chosen === "window"}>${msg("下一个维护窗口内", { id: "restart-window" })}</option>
        <option value="now" ?selected=${chosen === "now"}>${msg("批准后立即", { id: "restart-now" })}</option>
      </select></label
    >${
      chosen === "at"
        ? html`<label>${msg("重启时间（北京时间）", { id: "restart-local" })}<input name="${name}-at" type="datetime-local" required /></label>`
        : nothing
    }`;
}

/** What was chosen; undefined: it is left open. @param field reads a form's field */
export function restartOf(field: (name: string) => string, name: string): RestartTime | undefined {
  const when = field(name) as When;
  if (when === "") return undefined;
  return when === "at" ? { when, at: new Date(`${field(`${name}-at`)}+08:00`).toISOString() } : { when };
}
