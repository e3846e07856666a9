import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { Member, MemberThing } from "../../control-plane/contract/members.ts";
import type { OperationPlan, OperationPlanSummary } from "../../control-plane/contract/operation-plans.ts";
import type { Event as Happened } from "../../control-plane/contract/access.ts";
import { everything, list, post } from "../client/index.ts";
import { bytes, number, time } from "../format.ts";
import { getLocale } from "../locales/index.ts";
import { operationName } from "../locales/operations.ts";
import { api, pages } from "../paths.ts";
import { fieldOf } from "./fields.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";
import "../components/state-badge.ts";

/** The machines behind pools, what lies on each, and the operation plans that move it. */
export class MembersPage extends Page {
  static override properties = { changes: { type: Boolean } };
  /** Whether the reader may draw up plans: operations staff. */
  declare changes: boolean;
  #members: Member[] = [];
  #plans: OperationPlanSummary[] = [];
  #open: { member: Member; things: MemberThing[] } | undefined;

  override async load(): Promise<void> {
    [this.#members, this.#plans] = await Promise.all([everything<Member>((cursor) => api.members(cursor)), list<OperationPlanSummary>(api.operationPlans())]);
    const open = this.#open && this.#members.find((one) => keyOf(one) === keyOf(this.#open!.member));
    if (open) await this.#look(open);
  }
  override concerns(event: Happened): boolean {
    return event.type.startsWith("operation.");
  }
  async #look(member: Member): Promise<void> {
    this.#open = { member, things: await everything<MemberThing>((cursor) => api.memberThings(member.pools[0]!, member.name, cursor)) };
  }
  async #toggle(member: Member): Promise<void> {
    if (this.#open && keyOf(this.#open.member) === keyOf(member)) this.#open = undefined;
    else await this.attempt(() => this.#look(member));
    this.requestUpdate();
  }

  /** Its page opens: there it is seen while it is computed. */
  async #draw(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const field = fieldOf(event.target as HTMLFormElement);
    const [pool = "", member = ""] = field("member").split(" ");
    const kind = field("kind");
    const reason = field("reason");
    const ask =
      kind === "rebalance" ? { kind, pool, reason } : { kind, pool, member, reason, ...(kind === "replace-member" ? { successor: field("successor") } : {}) };
    await this.attempt(async () => {
      const made = await post<OperationPlan>(api.operationPlans(), ask);
      history.pushState(null, "", pages.operationPlan(made.id));
      globalThis.dispatchEvent(new CustomEvent("zy-route"));
    });
  }

  override show(): TemplateResult {
    return html`<h1>${msg("集群与运维方案", { id: "members-title" })}</h1>
      <section class="card" tabindex="0">
        ${this.#members.length === 0 ? html`<p>${msg("还没有读到任何服务器。", { id: "no-members" })}</p>` : this.#table()}
        <div class="bar"><button @click=${() => this.refresh()}>${msg("刷新", { id: "refresh" })}</button></div>
      </section>
      ${this.#open ? this.#things(this.#open) : nothing} ${this.changes && this.#members.length > 0 ? this.#form() : nothing}
      <section class="card" tabindex="0">
        <h2>${msg("运维方案", { id: "operation-plans" })}</h2>
        ${this.#plans.length === 0 ? html`<p>${msg("还没有运维方案。", { id: "no-operation-plans" })}</p>` : this.#planTable()}
      </section>
      <zy-command .command=${"zhengyun members list"}></zy-command>`;
  }

  #table(): TemplateResult {
    return html`<table>
      <thead>
        <tr>
          <th scope="col">${msg("服务器", { id: "member" })}</th>
          <th scope="col">${msg("状态", { id: "state" })}</th>
          <th scope="col">${msg("资源池", { id: "pools" })}</th>
          <th scope="col">${msg("分组", { id: "groups" })}</th>
          <th scope="col" class="n">${msg("主机", { id: "hosts" })}</th>
          <th scope="col" class="n">${msg("已分配 vCPU", { id: "sold-vcpu" })}</th>
          <th scope="col" class="n">${msg("已分配内存", { id: "sold-memory" })}</th>
          <th scope="col" class="n">${msg("磁盘可用", { id: "disk-free" })}</th>
        </tr>
      </thead>
      <tbody>
        ${this.#members.map(
          (row) =>
            html`<tr>
              <th scope="row">
                <button class="plain" aria-expanded=${this.#open !== undefined && keyOf(this.#open.member) === keyOf(row)} @click=${() => this.#toggle(row)}>
                  ${row.name}
                </button>
              </th>
              <td><zy-state .state=${row.state}></zy-state> ${row.message}</td>
              <td>${row.pools.join(", ")}</td>
              <td>${row.groups.join(", ")}</td>
              <td class="n">${number(row.hosts)}</td>
              <td class="n">${number(row.soldVcpu)} / ${row.vcpu === null ? "?" : number(row.vcpu)}</td>
              <td class="n">${bytes(row.soldMemoryMib * 2 ** 20)} / ${bytes(row.memory?.totalBytes ?? null)}</td>
              <td class="n">${bytes(row.disk?.freeBytes ?? null)}</td>
            </tr>`,
        )}
      </tbody>
    </table>`;
  }

  #things({ member, things }: { member: Member; things: MemberThing[] }): TemplateResult {
    return html`<section class="card" tabindex="0">
      <h2>${member.name}</h2>
      ${
        things.length === 0
          ? html`<p>${msg("上面没有部门的主机或存储卷。", { id: "member-empty" })}</p>`
          : html`<table>
              <thead>
                <tr>
                  <th scope="col">${msg("名称", { id: "name" })}</th>
                  <th scope="col">${msg("状态", { id: "state" })}</th>
                  <th scope="col">${msg("业务系统", { id: "application" })}</th>
                  <th scope="col">${msg("部门", { id: "department" })}</th>
                  <th scope="col">${msg("资源池", { id: "pools" })}</th>
                </tr>
              </thead>
              <tbody>
                ${things.map(
                  (row) =>
                    html`<tr>
                      <th scope="row">${row.name}</th>
                      <td><zy-state .state=${row.state}></zy-state></td>
                      <td>${row.applicationName}</td>
                      <td><a href=${pages.department(row.department)}>${getLocale() === "en" ? row.departmentName.en : row.departmentName.zh}</a></td>
                      <td>${row.pool}</td>
                    </tr>`,
                )}
              </tbody>
            </table>`
      }
    </section>`;
  }

  #form(): TemplateResult {
    const kinds = ["drain-member", "restore-member", "replace-member", "rebalance"];
    return html`<section class="card">
      <h2>${msg("编制运维方案", { id: "draw-up" })}</h2>
      <form @submit=${(event: SubmitEvent) => this.#draw(event)}>
        <div class="bar">
          <label
            >${msg("做什么", { id: "what" })}<select name="kind">
              ${kinds.map((kind) => html`<option value=${kind}>${operationName(kind)}</option>`)}
            </select></label
          >
          <label
            >${msg("服务器（均衡时为其资源池）", { id: "member-or-pool" })}<select name="member">
              ${this.#members.map((row) => html`<option value=${`${row.pools[0] ?? ""} ${row.name}`}>${row.name} (${row.pools[0] ?? ""})</option>`)}
            </select></label
          >
          <label
            >${msg("接替的服务器（仅更换）", { id: "successor" })}<select name="successor">
              ${[...new Set(this.#members.map((row) => row.name))].map((name) => html`<option>${name}</option>`)}
            </select></label
          >
          <label>${msg("原因（会告知主机所属部门）", { id: "reason-told" })}<input name="reason" required maxlength="2000" size="40" /></label>
          <button class="primary">${msg("编制", { id: "draw-up-button" })}</button>
        </div>
      </form>
      <p class="muted">${msg("先显示每一步，由另一位运维人员确认后才开始。", { id: "plan-first" })}</p>
    </section>`;
  }

  #planTable(): TemplateResult {
    return html`<table>
      <thead>
        <tr>
          <th scope="col">${msg("方案", { id: "op-plan" })}</th>
          <th scope="col">${msg("状态", { id: "state" })}</th>
          <th scope="col" class="n">${msg("步骤", { id: "op-steps" })}</th>
          <th scope="col">${msg("编制", { id: "drawn-up-by" })}</th>
          <th scope="col">${msg("确认", { id: "confirmed-by" })}</th>
        </tr>
      </thead>
      <tbody>
        ${this.#plans.map(
          (row) =>
            html`<tr>
              <th scope="row"><a href=${pages.operationPlan(row.id)}>${operationName(row.kind)} ${row.subject}</a></th>
              <td><zy-state .state=${row.state}></zy-state></td>
              <td class="n">${row.counts.done} / ${row.counts.steps}</td>
              <td>${row.createdByName} ${time(row.createdAt)}</td>
              <td>${row.confirmedByName ?? "–"}</td>
            </tr>`,
        )}
      </tbody>
    </table>`;
  }
}
const keyOf = (one: Member) => `${one.pools[0] ?? ""} ${one.name}`;
customElements.define("zy-members-page", MembersPage);
