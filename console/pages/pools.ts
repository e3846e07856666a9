import { css, html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { Dimension } from "../../control-plane/contract/common.ts";
import { MemberLossAction, type Pool, type PoolChange, type PoolMember } from "../../control-plane/contract/pools.ts";
import { everything, patch } from "../client/index.ts";
import { bytes, number, time } from "../format.ts";
import { lossPolicyNames } from "../locales/losses.ts";
import { dimensionName } from "../locales/states.ts";
import { api } from "../paths.ts";
import { shared } from "../styles.ts";
import { fieldOf } from "./fields.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";
import "../components/quota-bar.ts";

const kindName = (kind: Pool["kind"]) =>
  ({
    compute: () => msg("计算", { id: "pool-compute" }),
    storage: () => msg("存储", { id: "pool-storage" }),
    backup: () => msg("备份", { id: "pool-backup" }),
  })[kind]();
const zoneName = (zone: Pool["zone"]) =>
  ({ extranet: () => msg("政务外网", { id: "zone-extranet" }), internet: () => msg("互联网区", { id: "zone-internet" }) })[zone]();
const stateName = (state: Pool["state"]) =>
  ({
    open: () => msg("开放", { id: "pool-open" }),
    maintenance: () => msg("维护中（不再放置）", { id: "pool-maintenance" }),
    closed: () => msg("关闭（不再放置）", { id: "pool-closed" }),
  })[state]();
const strategyName = (strategy: Pool["strategy"]) =>
  ({ spread: () => msg("分散", { id: "strategy-spread" }), pack: () => msg("集中", { id: "strategy-pack" }) })[strategy]();
const memberState = (state: PoolMember["state"]): TemplateResult =>
  ({
    online: () => html`<span class="good">● ${msg("在线", { id: "member-online" })}</span>`,
    evacuated: () => html`<span class="warn">■ ${msg("已疏散", { id: "member-evacuated" })}</span>`,
    offline: () => html`<span class="bad">✕ ${msg("无应答", { id: "member-offline" })}</span>`,
  })[state]();
const tierName = (tier: Pool["tier"]) => dimensionName(`storage_gib:${tier}`).replace(" GiB", "");
const used = (space: { totalBytes: number; freeBytes: number } | null) =>
  space === null ? "–" : `${bytes(space.totalBytes - space.freeBytes)} / ${bytes(space.totalBytes)}`;

/** Pools: what there is, what is given out and what waits for it, what the machines behind really use; operations change them. */
export class PoolsPage extends Page {
  static override properties = { changes: { type: Boolean } };
  static override styles = [
    shared,
    css`
      .server {
        overflow-wrap: anywhere;
        max-width: 16rem;
      }
    `,
  ];
  /** Whether the reader may change them: operations staff. */
  declare changes: boolean;
  #pools: Pool[] = [];
  readonly #members = new Map<string, PoolMember[]>();
  #changing: Pool | undefined;

  override async load(): Promise<void> {
    this.#pools = (await everything<Pool>(api.pools)).toSorted((a, b) => (a.code < b.code ? -1 : 1));
    for (const id of this.#members.keys()) this.#members.set(id, await everything<PoolMember>((cursor) => api.poolMembers(id, cursor)));
  }
  override concerns({ type }: { type: string }): boolean {
    return type.startsWith("request.");
  }

  #show(pool: Pool): Promise<unknown> {
    if (this.#members.delete(pool.id)) return Promise.resolve(this.requestUpdate());
    return this.attempt(async () => void this.#members.set(pool.id, await everything<PoolMember>((cursor) => api.poolMembers(pool.id, cursor))));
  }

  async #change(event: SubmitEvent, pool: Pool): Promise<void> {
    event.preventDefault();
    const field = fieldOf(event.target as HTMLFormElement);
    const capacity = Object.fromEntries(Object.keys(pool.capacity).map((dimension) => [dimension, Number(field(dimension))]));
    const [department, application] = [field("department"), field("application")];
    const there = pool.dedicatedTo;
    const sameOwner = department === (there?.department ?? "") && application === (there?.application ?? "");
    const form = event.target as HTMLFormElement;
    const onMemberLoss =
      pool.kind === "compute"
        ? { action: field("loss") as MemberLossAction, afterSeconds: Number(field("lossAfter")), fenced: new FormData(form).has("fenced") }
        : undefined;
    const { action, afterSeconds, fenced } = pool.onMemberLoss;
    // Whoever changes something else has not settled this.
    const settled = onMemberLoss && (onMemberLoss.action !== action || onMemberLoss.afterSeconds !== afterSeconds || onMemberLoss.fenced !== fenced);
    const change: PoolChange = {
      ...(settled ? { onMemberLoss } : {}),
      name: field("name"),
      state: field("state") as Pool["state"],
      strategy: field("strategy") as Pool["strategy"],
      overcommitPercent: Number(field("overcommit")),
      capacity,
      ...(sameOwner ? {} : { dedicatedTo: department === "" ? null : { department, ...(application === "" ? {} : { application }) } }),
    };
    const done = await this.attempt(async () => {
      await patch(api.pool(pool.id), change, pool.revision);
      await this.load();
    });
    if (done) this.#changing = undefined;
    this.requestUpdate();
  }

  override show(): TemplateResult {
    return html`<h1>${msg("资源池", { id: "pools" })}</h1>
      ${this.#changing ? this.#form(this.#changing) : nothing}
      <section class="card" tabindex="0">
        ${this.#pools.length === 0 ? html`<p>${msg("还没有资源池。", { id: "no-pools" })}</p>` : this.#table()}
        <div class="bar"><button @click=${() => this.refresh()}>${msg("刷新", { id: "refresh" })}</button></div>
      </section>
      <zy-command .command=${"zhengyun pools list"}></zy-command>`;
  }

  #table(): TemplateResult {
    return html`<table>
      <thead>
        <tr>
          <th scope="col">${msg("资源池", { id: "pools" })}</th>
          <th scope="col">${msg("等保、区域、专用", { id: "pool-protection" })}</th>
          <th scope="col">${msg("状态", { id: "state" })}</th>
          <th scope="col">${msg("已分配 / 可分配", { id: "pool-taken" })}</th>
          <th scope="col">${msg("实际使用", { id: "pool-used" })}</th>
          <th scope="col">${msg("节点", { id: "pool-members" })}</th>
          ${this.changes ? html`<th scope="col">${msg("操作", { id: "action" })}</th>` : nothing}
        </tr>
      </thead>
      <tbody>
        ${this.#pools.map((pool) => html`${this.#row(pool)}${this.#members.has(pool.id) ? this.#machines(pool, this.#members.get(pool.id)!) : nothing}`)}
      </tbody>
    </table>`;
  }

  #row(pool: Pool): TemplateResult {
    const owner = pool.dedicatedTo;
    const change = msg("修改", { id: "change" });
    return html`<tr>
      <th scope="row">
        ${pool.name} <code>${pool.code}</code>
        <div class="muted">${kindName(pool.kind)} · ${tierName(pool.tier)} · ${pool.site}</div>
        <div class="muted server">
          <code>${pool.server}</code>${pool.group === null ? nothing : html` · ${msg("组", { id: "pool-group" })} <code>${pool.group}</code>`}
        </div>
      </th>
      <td>
        ${msg("等保", { id: "level" })} ${pool.securityLevel} · ${zoneName(pool.zone)}
        ${owner === null ? nothing : html`<div>${msg("专用于", { id: "dedicated-to" })} ${owner.applicationName ?? owner.departmentName}</div>`}
        ${pool.vm ? html`<div class="muted">${msg("可建虚拟机", { id: "pool-vm" })}</div>` : nothing}
      </td>
      <td>
        ${pool.state === "open" ? html`<span class="good">● ${stateName(pool.state)}</span>` : html`<span class="warn">■ ${stateName(pool.state)}</span>`}
        <div class="muted">
          ${pool.kind === "compute" ? strategyName(pool.strategy) : nothing}${pool.overcommitPercent === 100 ? nothing : html` · vCPU ${pool.overcommitPercent} %`}
        </div>
        ${
          pool.onMemberLoss.action === "wait"
            ? nothing
            : html`<div class="muted">
                ${msg("节点失联", { id: "on-member-loss" })}: ${lossPolicyNames[pool.onMemberLoss.action]()} · ${number(pool.onMemberLoss.afterSeconds)} s
                ${pool.onMemberLoss.setByName === null ? nothing : html`· ${msg("设定人", { id: "on-loss-by" })} ${pool.onMemberLoss.setByName}`}
                ${
                  pool.onMemberLoss.action === "restart" && pool.sharedStorage === false
                    ? html`<div class="warn">■ ${msg("各节点存储不共享：主机不会在其他节点启动", { id: "on-loss-local" })}</div>`
                    : nothing
                }
              </div>`
        }
        ${pool.circuit.state === "closed" ? nothing : html`<div class="bad">✕ ${msg("无应答", { id: "member-offline" })}: ${pool.circuit.error ?? ""}</div>`}
      </td>
      <td>${(Object.keys(pool.offered) as Dimension[]).map((dimension) => this.#share(pool, dimension))}</td>
      <td>
        ${
          pool.used === null
            ? html`<span class="muted">${msg("未读到", { id: "not-read" })}</span>`
            : html`<div>${msg("磁盘", { id: "disk" })} ${used(pool.used.disk)}</div>
                <div>${msg("内存", { id: "memory" })} ${used(pool.used.memory)}</div>`
        }
      </td>
      <td>${this.#counts(pool)}</td>
      ${
        this.changes
          ? html`<td>
              <button
                aria-label=${`${change}: ${pool.code}`}
                @click=${() => {
                  this.#changing = pool;
                  this.requestUpdate();
                }}
              >
                ${change}
              </button>
            </td>`
          : nothing
      }
    </tr>`;
  }

  #share(pool: Pool, dimension: Dimension): TemplateResult {
    const [taken, offered, queued] = [pool.taken[dimension] ?? 0, pool.offered[dimension] ?? 0, pool.queued[dimension] ?? 0];
    const waiting = queued === 0 ? nothing : html`<span class="warn">… ${msg("排队", { id: "pool-queued" })} ${number(queued)}</span>`;
    return html`<div>
      ${dimensionName(dimension)} ${number(taken)} / ${number(offered)} ${waiting}
      <zy-quota-bar .ratio=${offered > 0 ? taken / offered : null} .label=${`${pool.code} ${dimensionName(dimension)}`}></zy-quota-bar>
    </div>`;
  }

  #counts(pool: Pool): TemplateResult | string {
    const { online, evacuated, offline } = pool.members;
    if (online + evacuated + offline === 0) return "–";
    const away = [
      evacuated > 0 ? html`<span class="warn">■ ${evacuated}</span>` : nothing,
      offline > 0 ? html`<span class="bad">✕ ${offline}</span>` : nothing,
    ];
    const open = this.#members.has(pool.id);
    return html`<button
      aria-expanded=${open ? "true" : "false"}
      aria-label=${`${msg("节点", { id: "pool-members" })}: ${pool.code}`}
      @click=${() => this.#show(pool)}
    >
      <span class="good">● ${online}</span> ${away}
    </button>`;
  }

  #machines(pool: Pool, members: readonly PoolMember[]): TemplateResult {
    return html`<tr>
      <td colspan=${this.changes ? 7 : 6}>
        <table aria-label=${`${msg("节点", { id: "pool-members" })}: ${pool.code}`}>
          <thead>
            <tr>
              <th scope="col">${msg("节点", { id: "pool-members" })}</th>
              <th scope="col">${msg("状态", { id: "state" })}</th>
              <th scope="col" class="n">${msg("主机", { id: "hosts" })}</th>
              <th scope="col" class="n">vCPU</th>
              <th scope="col" class="n">${msg("内存", { id: "memory" })}</th>
              <th scope="col" class="n">${msg("磁盘", { id: "disk" })}</th>
            </tr>
          </thead>
          <tbody>
            ${members.map(
              (one) =>
                html`<tr>
                  <th scope="row">${one.name}${one.inGroup ? nothing : html` <span class="muted">${msg("不属于本池的组", { id: "not-in-group" })}</span>`}</th>
                  <td>${memberState(one.state)} ${time(one.since)} ${one.message}</td>
                  <td class="n">${number(one.hosts)}</td>
                  <td class="n">${number(one.taken.vcpu)} / ${one.vcpu === null ? "–" : number(one.vcpu)}</td>
                  <td class="n">${bytes(one.taken.memoryMib * 2 ** 20)} / ${one.memory === null ? "–" : bytes(one.memory.totalBytes)}</td>
                  <td class="n">${used(one.disk)}</td>
                </tr>`,
            )}
          </tbody>
        </table>
      </td>
    </tr>`;
  }

  #onLoss({ onMemberLoss: { action, afterSeconds, fenced } }: Pool): TemplateResult {
    return html`<div class="bar">
      <label
        >${msg("节点失联", { id: "on-member-loss" })}<select name="loss">
          ${MemberLossAction.options.map((one) => html`<option value=${one} ?selected=${one === action}>${lossPolicyNames[one]()}</option>`)}
        </select></label
      >
      <label
        >${msg("失联多少秒后", { id: "on-loss-after" })}<input name="lossAfter" type="number" required min="10" max="604800" value=${afterSeconds}
      /></label>
      <label
        ><input name="fenced" type="checkbox" ?checked=${fenced} />
        ${msg("已确保失联的机器届时断电（看门狗或切断电源），否则主机会重复运行", { id: "on-loss-fenced" })}</label
      >
    </div>`;
  }

  #form(pool: Pool): TemplateResult {
    const choice = (value: string, text: string, now: string) => html`<option value=${value} ?selected=${value === now}>${text}</option>`;
    return html`<section class="card">
      <h2>${msg("修改", { id: "change" })}: ${pool.name}</h2>
      <p class="muted">${msg("缩容不能低于已分配的数量；需先关闭资源池，再迁移或收回其中的资源。", { id: "shrink-how" })}</p>
      <form @submit=${(event: SubmitEvent) => this.#change(event, pool)}>
        <div class="bar">
          <label>${msg("名称", { id: "name" })}<input name="name" required maxlength="200" value=${pool.name} /></label>
          <label
            >${msg("状态", { id: "state" })}<select name="state">
              ${(["open", "maintenance", "closed"] as const).map((one) => choice(one, stateName(one), pool.state))}
            </select></label
          >
          <label
            >${msg("放置策略", { id: "strategy" })}<select name="strategy">
              ${(["spread", "pack"] as const).map((one) => choice(one, strategyName(one), pool.strategy))}
            </select></label
          >
          <label
            >${msg("vCPU 超分（%）", { id: "overcommit" })}<input name="overcommit" type="number" required min="100" max="1600" value=${pool.overcommitPercent}
          /></label>
        </div>
        <div class="bar">
          ${(Object.keys(pool.capacity) as Dimension[]).map(
            (dimension) =>
              html`<label>${dimensionName(dimension)}<input name=${dimension} type="number" required min="0" value=${pool.capacity[dimension] ?? 0} /></label>`,
          )}
        </div>
        ${pool.kind === "compute" ? this.#onLoss(pool) : nothing}
        <div class="bar">
          <label
            >${msg("专用于部门（代码，留空为公用）", { id: "dedicated-department" })}<input
              name="department"
              maxlength="64"
              value=${pool.dedicatedTo?.department ?? ""}
          /></label>
          <label
            >${msg("只限业务系统（代码，可留空）", { id: "dedicated-application" })}<input
              name="application"
              maxlength="64"
              value=${pool.dedicatedTo?.application ?? ""}
          /></label>
          <button class="primary">${msg("保存", { id: "save" })}</button>
          <button
            type="button"
            @click=${() => {
              this.#changing = undefined;
              this.requestUpdate();
            }}
          >
            ${msg("取消", { id: "cancel" })}
          </button>
        </div>
      </form>
    </section>`;
  }
}
customElements.define("zy-pools-page", PoolsPage);
