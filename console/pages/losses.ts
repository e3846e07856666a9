import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { Event as Happened } from "../../control-plane/contract/access.ts";
import type { LostHost, MemberLoss } from "../../control-plane/contract/losses.ts";
import { askReason } from "../components/reason-dialog.ts";
import { Paged, post } from "../client/index.ts";
import { time } from "../format.ts";
import { lossPolicyNames as policyNames } from "../locales/losses.ts";
import { stateName } from "../locales/states.ts";
import { api, pages } from "../paths.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";

const stateNames: Record<MemberLoss["state"], () => string> = {
  lost: () => msg("无应答", { id: "loss-lost" }),
  asked: () => msg("待第二人确认放弃", { id: "loss-asked" }),
  confirmed: () => msg("正在移出集群", { id: "loss-confirmed" }),
  removed: () => msg("已移出，主机另行重建", { id: "loss-removed" }),
  returned: () => msg("已恢复应答", { id: "loss-returned" }),
};
const remedies: Record<LostHost["remedy"], () => string> = {
  redeploy: () => msg("由镜像重建", { id: "remedy-redeploy" }),
  "redeploy-and-restore": () => msg("由镜像重建并恢复备份", { id: "remedy-restore" }),
  none: () => msg("有卷没有备份，无法恢复", { id: "remedy-none" }),
};

/** Members that don't answer: what is on each, and how two people give one up so that its hosts are had again elsewhere. */
export class LossesPage extends Page {
  static override properties = { me: {}, decides: { type: Boolean } };
  declare me: string;
  declare decides: boolean;
  readonly #losses = new Paged<MemberLoss>((cursor) => api.memberLosses(cursor));

  override load(): Promise<void> {
    return this.#losses.load();
  }
  override concerns(event: Happened): boolean {
    return event.type.startsWith("member.") || event.type.startsWith("request.");
  }
  async #giveUp(row: MemberLoss): Promise<void> {
    const reason = await askReason(`${msg("放弃该成员：其本地存储上的一切不再可得。确认机器已断电，并写明理由", { id: "give-up-how" })}: ${row.member}`);
    if (reason) await this.act(() => post(api.memberLoss(row.id, "give-up"), { reason, poweredOff: true }, row.revision));
  }
  async #confirm(row: MemberLoss): Promise<void> {
    const member = await askReason(`${msg("确认机器已断电，再次输入成员名称以确认放弃", { id: "confirm-give-up" })}: ${row.member}`);
    if (member) await this.act(() => post(api.memberLoss(row.id, "confirm"), { member, poweredOff: true }, row.revision));
  }

  override show(): TemplateResult {
    const { items } = this.#losses;
    return html`<h1>${msg("失联成员", { id: "losses" })}</h1>
      ${items.length === 0 ? html`<section class="card"><p class="good">✓ ${msg("所有成员都有应答。", { id: "no-losses" })}</p></section>` : items.map((row) => this.#card(row))}
      ${this.more(this.#losses)}
      <zy-command .command=${"zhengyun losses list"}></zy-command>`;
  }

  #card(row: MemberLoss): TemplateResult {
    // A policy asked: two people agree, one after the other.
    const filed = row.state === "asked" && row.askedByName === null;
    const open = row.state === "lost" || row.state === "asked";
    return html`<section class="card" tabindex="0">
      <h2>${row.member} <span class="muted">${row.pools.join(", ")}</span></h2>
      <p>
        <strong class=${row.state === "returned" ? "good" : "bad"}
          >${filed ? msg("按策略提出放弃，待两人先后确认", { id: "loss-filed" }) : stateNames[row.state]()}</strong
        >
        · ${msg("自", { id: "since-when" })} ${time(row.since)}
        ${row.askedByName === null ? nothing : html` · ${msg("提出人", { id: "asked-by" })} ${row.askedByName}：${row.reason}`}
        ${filed ? html` · ${row.reason}` : nothing}
        ${row.confirmedByName === null ? nothing : html` · ${msg("确认人", { id: "agreed-by" })} ${row.confirmedByName}`}
        ${row.error === null ? nothing : html`<span class="bad">✕ ${row.error}</span>`}
      </p>
      ${row.requests.length === 0 ? nothing : html`<p>${row.requests.map((one) => html`<a href=${pages.request(one.id)}>${one.number}</a> ${stateName(one.state)} `)}</p>`}
      ${row.heldAt === null ? nothing : html`<p class="warn">■ ${msg("其主机已在其他节点启动：该节点不再接收主机，确认其上无残留后在“集群”中恢复", { id: "loss-held" })} ${time(row.heldAt)}</p>`}
      ${
        row.plans.length === 0
          ? nothing
          : html`<p>
              ${msg("按策略在其他节点启动", { id: "loss-elsewhere" })}:
              ${row.plans.map((one) => html`<a href=${pages.operationPlan(one.id)}>${stateName(one.state)}</a> ${one.setByName ?? ""} `)}
            </p>`
      }
      ${row.hosts.length === 0 ? nothing : this.#hosts(row.hosts)}
      ${
        this.decides && open
          ? html`<div class="bar">
              ${row.state === "lost" ? html`<button @click=${() => this.#giveUp(row)}>${msg("提出放弃", { id: "give-up" })}</button>` : nothing}
              ${
                row.state === "asked"
                  ? html`<button
                        ?disabled=${row.askedBy === this.me}
                        title=${row.askedBy === this.me ? msg("须由另一人确认", { id: "another-confirms" }) : ""}
                        @click=${() => this.#confirm(row)}
                      >
                        ${msg("确认放弃", { id: "confirm-loss" })}
                      </button>
                      <button @click=${() => this.act(() => post(api.memberLoss(row.id, "keep"), {}, row.revision))}>
                        ${msg("不放弃", { id: "keep-member" })}
                      </button>`
                  : nothing
              }
            </div>`
          : nothing
      }
    </section>`;
  }

  #hosts(hosts: readonly LostHost[]): TemplateResult {
    return html`<table>
      <thead>
        <tr>
          <th scope="col">${msg("主机", { id: "hosts" })}</th>
          <th scope="col">${msg("部门", { id: "department" })}</th>
          <th scope="col">${msg("状态", { id: "state" })}</th>
          <th scope="col">${msg("资源池策略", { id: "loss-policy" })}</th>
          <th scope="col">${msg("补救", { id: "remedy" })}</th>
          <th scope="col">${msg("存储卷与最近备份", { id: "volumes-backups" })}</th>
        </tr>
      </thead>
      <tbody>
        ${hosts.map(
          (host) =>
            html`<tr>
              <th scope="row">${host.name}</th>
              <td><a href=${pages.department(host.department)}>${host.departmentName}</a></td>
              <td>${stateName(host.observedState)}</td>
              <td>
                ${policyNames[host.policy.action]()} ${host.policy.at === null ? nothing : time(host.policy.at)}
                ${host.policy.why === null ? nothing : html`<div class="muted">${host.policy.why}</div>`}
              </td>
              <td class=${host.remedy === "none" ? "bad" : ""}>${remedies[host.remedy]()}</td>
              <td>
                ${host.volumes.map((one) => html`<div>${one.name} · ${one.backup === null ? msg("无备份", { id: "no-backup" }) : time(one.backup.at)}</div>`)}
              </td>
            </tr>`,
        )}
      </tbody>
    </table>`;
  }
}
customElements.define("zy-losses-page", LossesPage);
