import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import { noticeKinds, subscribable } from "../../control-plane/contract/notices.ts";
import type { Delivery, MadeWebhook, Webhook } from "../../control-plane/contract/webhooks.ts";
import { list, Paged, patch, post, remove } from "../client/index.ts";
import { time } from "../format.ts";
import { getLocale } from "../locales/index.ts";
import { api, pages } from "../paths.ts";
import { fieldOf } from "./fields.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";
import "../components/state-badge.ts";

/** Webhooks, and what was sent out of the house: dead letters, mail included. */
export class WebhooksPage extends Page {
  static override properties = { state: {}, changes: { type: Boolean } };
  declare state: string;
  /** Whether the reader may change them: system administrators. */
  declare changes: boolean;
  #webhooks: Webhook[] = [];
  readonly #deliveries = new Paged<Delivery>((cursor) => api.deliveries({ state: this.state, cursor }));
  #made: MadeWebhook | undefined;

  override async load(): Promise<void> {
    await Promise.all([list<Webhook>(api.webhooks).then((all) => (this.#webhooks = all)), this.#deliveries.load()]);
  }
  override concerns(): boolean {
    return false;
  }
  override updated(changed: Map<string, unknown>): void {
    if (changed.has("state") && changed.get("state") !== undefined) void this.refresh();
  }

  async #create(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const form = event.target as HTMLFormElement;
    const field = fieldOf(form);
    const department = field("department");
    const ask = { name: field("name"), url: field("url"), kinds: new FormData(form).getAll("kind"), department: department === "" ? null : department };
    const done = await this.act(async () => (this.#made = await post<MadeWebhook>(api.webhooks, ask)));
    if (done) form.reset();
  }
  #rotate = (id: string) => this.act(async () => (this.#made = await post<MadeWebhook>(api.rotateWebhook(id), {})));

  override show(): TemplateResult {
    return html`<h1>${msg("对外通知（Webhook）", { id: "webhooks" })}</h1>
      ${this.#made ? this.#secret(this.#made) : nothing}
      <section class="card" tabindex="0">
        ${this.#webhooks.length === 0 ? html`<p>${msg("还没有 Webhook。", { id: "no-webhooks" })}</p>` : this.#list()}
      </section>
      ${this.changes ? this.#form() : nothing}
      <section class="card" tabindex="0">
        <h2>${msg("投递记录", { id: "deliveries" })}</h2>
        ${this.#tabs()} ${this.#deliveries.items.length === 0 ? html`<p>${msg("没有记录。", { id: "no-deliveries" })}</p>` : this.#sent()}
        <div class="bar">
          <button @click=${() => this.refresh()}>${msg("刷新", { id: "refresh" })}</button>
        </div>
        ${this.more(this.#deliveries)}
      </section>
      <zy-command .command=${this.state ? `zhengyun webhooks deliveries --state ${this.state}` : "zhengyun webhooks list"}></zy-command>`;
  }

  #secret({ name, secret }: MadeWebhook): TemplateResult {
    return html`<div class="card" role="status">
      <p>${msg("签名密钥只显示这一次，请交给接收方：", { id: "webhook-secret" })} ${name}</p>
      <p><code>${secret}</code></p>
    </div>`;
  }

  #list(): TemplateResult {
    return html`<table>
      <thead>
        <tr>
          <th scope="col">${msg("名称", { id: "name" })}</th>
          <th scope="col">${msg("地址", { id: "address" })}</th>
          <th scope="col">${msg("事项", { id: "title" })}</th>
          <th scope="col">${msg("状态", { id: "state" })}</th>
          <th scope="col">${msg("最近成功", { id: "last-success" })}</th>
          ${this.changes ? html`<th scope="col">${msg("操作", { id: "action" })}</th>` : nothing}
        </tr>
      </thead>
      <tbody>
        ${this.#webhooks.map(
          (row) =>
            html`<tr>
              <th scope="row">${row.name}</th>
              <td><code>${row.url}</code></td>
              <td title=${row.kinds.map((kind) => this.#kind(kind)).join(", ")}>${row.kinds.length}</td>
              <td>
                ${
                  row.state === "active"
                    ? html`<span class="good">● ${msg("启用", { id: "webhook-active" })}</span>`
                    : html`<span class="bad">✕ ${msg("已暂停", { id: "webhook-paused" })}</span> ${row.pausedReason}`
                }
              </td>
              <td>${time(row.lastSuccessAt)}</td>
              ${this.changes ? html`<td><div class="bar">${this.#actions(row)}</div></td>` : nothing}
            </tr>`,
        )}
      </tbody>
    </table>`;
  }

  #actions(row: Webhook): TemplateResult {
    const button = (text: string, work: () => Promise<unknown>) => html`<button @click=${work} aria-label=${`${text}: ${row.name}`}>${text}</button>`;
    const other = row.state === "active" ? "paused" : "active";
    return html`${button(msg("测试", { id: "test" }), () => this.act(() => post(api.testWebhook(row.id), {})))}
    ${button(row.state === "active" ? msg("暂停", { id: "pause" }) : msg("恢复", { id: "resume" }), () =>
      this.act(() => patch(api.webhook(row.id), { state: other }, row.revision)),
    )}
    ${button(msg("更换密钥", { id: "rotate-secret" }), () => this.#rotate(row.id))}
    ${button(msg("删除", { id: "delete" }), async () => {
      if (confirm(`${msg("删除此 Webhook 及其投递记录？", { id: "delete-webhook" })} ${row.name}`)) await this.act(() => remove(api.webhook(row.id)));
    })}`;
  }

  #form(): TemplateResult {
    return html`<section class="card">
      <h2>${msg("新建 Webhook", { id: "new-webhook" })}</h2>
      <form @submit=${(event: SubmitEvent) => this.#create(event)}>
        <div class="bar">
          <label>${msg("名称", { id: "name" })}<input name="name" required maxlength="200" /></label>
          <label
            >${msg("地址", { id: "address" })}<input name="url" type="url" required maxlength="2000" size="40" placeholder="https://" pattern="https?://.+"
          /></label>
          <label>${msg("只限部门（代码，留空为全部）", { id: "only-department" })}<input name="department" maxlength="64" /></label>
        </div>
        <fieldset class="choices">
          <legend>${msg("通知哪些事项", { id: "which-kinds" })}</legend>
          ${subscribable.map((kind) => html`<label><input type="checkbox" name="kind" value=${kind} checked /> ${this.#kind(kind)}</label>`)}
        </fieldset>
        <div class="bar"><button class="primary">${msg("新建", { id: "create" })}</button></div>
      </form>
    </section>`;
  }

  #tabs(): TemplateResult {
    const tab = (state: string, name: string) =>
      html`<a href=${pages.webhooks(state)} aria-current=${(this.state ?? "") === state ? "page" : "false"}>${name}</a>`;
    return html`<nav class="bar" aria-label=${msg("状态", { id: "state" })}>
      ${tab("", msg("全部", { id: "all" }))}${tab("waiting", msg("待投递", { id: "delivery-waiting" }))}${tab("delivered", msg("已送达", { id: "delivery-delivered" }))}${tab("dead", msg("死信", { id: "delivery-dead" }))}
    </nav>`;
  }

  #sent(): TemplateResult {
    const names = new Map(this.#webhooks.map((one) => [one.id, one.name]));
    return html`<table>
      <thead>
        <tr>
          <th scope="col">${msg("时间", { id: "time" })}</th>
          <th scope="col">${msg("接收方", { id: "receiver" })}</th>
          <th scope="col">${msg("事项", { id: "title" })}</th>
          <th scope="col">${msg("状态", { id: "state" })}</th>
          <th scope="col">${msg("次数", { id: "attempts" })}</th>
          <th scope="col">${msg("最近结果", { id: "last-result" })}</th>
          ${this.changes ? html`<th scope="col">${msg("操作", { id: "action" })}</th>` : nothing}
        </tr>
      </thead>
      <tbody>
        ${this.#deliveries.items.map(
          (row) =>
            html`<tr>
              <td>${time(row.createdAt)}</td>
              <th scope="row">${row.channel === "mail" ? msg("邮件", { id: "mail" }) : (names.get(row.webhook ?? "") ?? row.webhook)}</th>
              <td>${this.#kind(row.kind)}</td>
              <td>${this.#state(row)}</td>
              <td class="n">${row.attempts}</td>
              <td>${row.lastError ?? row.lastStatus ?? "–"}</td>
              ${
                this.changes
                  ? html`<td>
                      ${row.state === "waiting" ? nothing : html`<button @click=${() => this.act(() => post(api.redeliver(row.id), {}))}>${msg("重新投递", { id: "redeliver" })}</button>`}
                    </td>`
                  : nothing
              }
            </tr>`,
        )}
      </tbody>
    </table>`;
  }

  #kind = (kind: keyof typeof noticeKinds) => noticeKinds[kind].name[getLocale() === "en" ? "en" : "zh-CN"];
  #state(row: Delivery): TemplateResult {
    if (row.state === "delivered") return html`<span class="good">✓ ${msg("已送达", { id: "delivery-delivered" })}</span>`;
    if (row.state === "dead") return html`<span class="bad">✕ ${msg("死信", { id: "delivery-dead" })}</span>`;
    return html`<span class=${row.attempts > 0 ? "warn" : ""}
      >○ ${msg("待投递", { id: "delivery-waiting" })}${row.attempts > 0 ? html` · ${msg("下次", { id: "next-attempt" })} ${time(row.dueAt)}` : nothing}</span
    >`;
  }
}
customElements.define("zy-webhooks-page", WebhooksPage);
