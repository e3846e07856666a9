import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { Event as Happened } from "../../control-plane/contract/access.ts";
import type { Volume } from "../../control-plane/contract/resources.ts";
import type { Snapshot, SnapshotPolicy, SnapshotRevert } from "../../control-plane/contract/snapshots.ts";
import { get, Paged, post, remove } from "../client/index.ts";
import { askReason } from "../components/reason-dialog.ts";
import { bytes, time } from "../format.ts";
import { api, pages } from "../paths.ts";
import { fieldOf } from "./fields.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";

const snapshotStates: Record<Snapshot["state"], () => string> = {
  pending: () => msg("等待", { id: "s-pending" }),
  running: () => msg("正在生成", { id: "snp-running" }),
  complete: () => msg("可用", { id: "snp-complete" }),
  failed: () => msg("失败", { id: "s-failed" }),
  deleting: () => msg("正在删除", { id: "snp-deleting" }),
  deleted: () => msg("已删除", { id: "snp-deleted" }),
};
const revertStates: Record<SnapshotRevert["state"], () => string> = {
  asked: () => msg("待第二人确认", { id: "rvt-asked" }),
  refused: () => msg("已拒绝", { id: "rvt-refused" }),
  withdrawn: () => msg("已撤回", { id: "s-withdrawn" }),
  lapsed: () => msg("逾期未确认", { id: "rvt-lapsed" }),
  pending: () => msg("等待", { id: "s-pending" }),
  running: () => msg("正在回滚", { id: "rvt-running" }),
  complete: () => msg("完成", { id: "s-complete" }),
  failed: () => msg("失败", { id: "s-failed" }),
};

/** A volume's snapshots (快照): taken, deleted, and how two people of the department put the volume back to one. */
export class SnapshotsPage extends Page {
  static override properties = { volume: {}, me: {}, asks: { type: Boolean }, owns: { type: Boolean } };
  declare volume: string;
  declare me: string;
  /** May take and delete them, and ask for a revert. */
  declare asks: boolean;
  /** May agree to a revert that somebody else has asked for. */
  declare owns: boolean;
  #row: Volume | undefined;
  #policy: SnapshotPolicy | undefined;
  readonly #snapshots = new Paged<Snapshot>((cursor) => api.snapshots(this.volume, cursor));
  readonly #reverts = new Paged<SnapshotRevert>((cursor) => api.snapshotReverts(this.volume, cursor));
  /** What is being confirmed by the volume's name: a revert to a snapshot, or somebody else's ask. */
  #deciding: { snapshot: Snapshot } | { revert: SnapshotRevert } | undefined;
  #typed = "";

  override async load(): Promise<void> {
    [this.#row, this.#policy] = await Promise.all([get<Volume>(api.volume(this.volume)), get<SnapshotPolicy>(api.snapshotPolicy)]);
    await Promise.all([this.#snapshots.load(), this.#reverts.load()]);
  }
  override concerns(event: Happened): boolean {
    return /^(snapshot|revert|volume)\./.test(event.type);
  }
  async #take(form: HTMLFormElement): Promise<void> {
    const field = fieldOf(form);
    const days = Number(field("days"));
    const expiresAt = days > 0 ? new Date(Date.now() + days * 86_400_000).toISOString() : null;
    const body = { volume: this.volume, name: field("name"), note: field("note"), expiresAt };
    if (await this.act(() => post(api.snapshots(), body))) form.reset();
  }
  #decide(deciding: { snapshot: Snapshot } | { revert: SnapshotRevert } | undefined): void {
    this.#deciding = deciding;
    this.#typed = "";
    this.requestUpdate();
  }
  async #confirm(form: HTMLFormElement): Promise<void> {
    const deciding = this.#deciding;
    if (!deciding) return;
    const body = { volumeName: this.#typed, reason: fieldOf(form)("reason") };
    const sent = await this.act(() =>
      "snapshot" in deciding
        ? post(api.snapshotReverts(), { ...body, snapshot: deciding.snapshot.id })
        : post(api.snapshotRevert(deciding.revert.id, "confirm"), body, deciding.revert.revision),
    );
    if (sent) this.#decide(undefined);
  }
  async #cancel(row: SnapshotRevert): Promise<void> {
    const reason = await askReason(msg("不回滚的理由", { id: "cancel-revert-why" }));
    if (reason) await this.act(() => post(api.snapshotRevert(row.id, "cancel"), { reason }, row.revision));
  }

  override show(): TemplateResult {
    const volume = this.#row;
    if (!volume) return html``;
    return html`<h1>${msg("快照", { id: "snapshots" })} <span class="muted">${volume.name}</span></h1>
      <p>
        <a href=${pages.department(volume.department)}>${msg("返回部门", { id: "back-to-department" })}</a> ·
        ${msg("快照是存储卷某一时刻的内容，崩溃一致：程序尚未写盘的内容不在其中。快照与存储卷存放在一起，随卷回收，也随存储损坏而丢失，不能代替备份。", {
          id: "snapshots-note",
        })}
      </p>
      ${this.asks && volume.phase === "live" ? this.#form() : nothing} ${this.#table(volume)}
      ${this.#deciding ? this.#question(volume, this.#deciding) : nothing} ${this.#reverts.items.length > 0 ? this.#revertTable() : nothing}
      <zy-command .command=${`zhengyun snapshots list --volume ${volume.id}`}></zy-command>`;
  }

  #form(): TemplateResult {
    return html`<form
      class="card"
      @submit=${(event: SubmitEvent) => {
        event.preventDefault();
        void this.#take(event.target as HTMLFormElement);
      }}
    >
      <div class="bar">
        <label>${msg("快照名称", { id: "snapshot-name" })}<input name="name" required maxlength="64" pattern="[A-Za-z0-9][A-Za-z0-9._\\-]*" /></label>
        <label>${msg("备注", { id: "note" })}<input name="note" maxlength="500" /></label>
        <label>${msg("保留天数（不填则一直保留）", { id: "snapshot-days" })}<input name="days" type="number" min="1" max="3650" /></label>
        <button class="primary">${msg("生成快照", { id: "take-snapshot" })}</button>
      </div>
      <p class="muted">${msg("每个存储卷最多保留快照数", { id: "snapshots-per-volume" })}: ${this.#policy?.perVolume ?? "–"}</p>
    </form>`;
  }

  #table(volume: Volume): TemplateResult {
    const rows = this.#snapshots.items;
    const open = this.#reverts.items.some((one) => ["asked", "pending", "running"].includes(one.state));
    return html`<div class="card" tabindex="0">
      ${
        rows.length === 0
          ? html`<p>${msg("还没有快照。", { id: "no-snapshots" })}</p>`
          : html`<table>
              <thead>
                <tr>
                  <th scope="col">${msg("名称", { id: "name" })}</th>
                  <th scope="col">${msg("内容时刻", { id: "content-of" })}</th>
                  <th scope="col">${msg("状态", { id: "state" })}</th>
                  <th scope="col">${msg("大小", { id: "size" })}</th>
                  <th scope="col">${msg("自动删除", { id: "deleted-by-itself" })}</th>
                  <th scope="col">${msg("备注", { id: "note" })}</th>
                  <th scope="col"></th>
                </tr>
              </thead>
              <tbody>
                ${rows.map(
                  (row) =>
                    html`<tr>
                      <th scope="row">${row.name}</th>
                      <td>${time(row.takenAt)}</td>
                      <td>${snapshotStates[row.state]()} ${row.error === null ? nothing : html`<span class="bad">✕ ${row.error}</span>`}</td>
                      <td>${bytes(row.sizeBytes)}</td>
                      <td>${time(row.expiresAt)}</td>
                      <td class="text">${row.note} <span class="muted">${row.requestedByName ?? ""}</span></td>
                      <td>
                        ${
                          this.asks
                            ? html`<button
                                  ?disabled=${row.state !== "complete" || volume.phase !== "live" || open}
                                  title=${open ? msg("已有待确认或正在进行的回滚", { id: "revert-open" }) : ""}
                                  @click=${() => this.#decide({ snapshot: row })}
                                >
                                  ${msg("回滚到此快照…", { id: "revert-to" })}
                                </button>
                                <button
                                  ?disabled=${row.state !== "complete"}
                                  aria-label=${`${msg("删除", { id: "delete" })}: ${row.name}`}
                                  @click=${() => {
                                    if (confirm(`${msg("删除此快照？存储卷内容不受影响。", { id: "delete-snapshot" })} ${row.name}`))
                                      void this.act(() => remove(api.snapshot(row.id), row.revision));
                                  }}
                                >
                                  ${msg("删除", { id: "delete" })}
                                </button>`
                            : nothing
                        }
                      </td>
                    </tr>`,
                )}
              </tbody>
            </table>`
      }
      ${this.more(this.#snapshots)}
    </div>`;
  }

  #question(volume: Volume, deciding: { snapshot: Snapshot } | { revert: SnapshotRevert }): TemplateResult {
    const asking = "snapshot" in deciding;
    const [name, taken] = asking ? [deciding.snapshot.name, deciding.snapshot.takenAt] : [deciding.revert.snapshotName, deciding.revert.takenAt];
    const title = asking ? msg("提出回滚", { id: "ask-revert" }) : msg("确认回滚", { id: "confirm-revert" });
    return html`<form
      class="error"
      role="alertdialog"
      aria-label=${title}
      @submit=${(event: SubmitEvent) => {
        event.preventDefault();
        void this.#confirm(event.target as HTMLFormElement);
      }}
    >
      <p>
        ${msg("存储卷将回到快照的内容，快照之后写入的一切将丢失。请先停止正在使用它的程序。", { id: "revert-warning" })}
        <strong>${name}</strong> · ${time(taken)} ${asking ? msg("须由本部门另一人确认后才执行。", { id: "revert-second" }) : nothing}
      </p>
      <div class="bar">
        <label
          >${msg("输入存储卷名称确认", { id: "type-volume" })} (${volume.name})<input
            .value=${this.#typed}
            autocomplete="off"
            @input=${(event: InputEvent) => {
              this.#typed = (event.target as HTMLInputElement).value;
              this.requestUpdate();
            }}
        /></label>
        <label>${msg("理由", { id: "reason" })}<input name="reason" maxlength="500" ?required=${asking} /></label>
        <button class="primary" ?disabled=${this.#typed !== volume.name}>${title}</button>
        <button type="button" @click=${() => this.#decide(undefined)}>${msg("取消", { id: "cancel" })}</button>
      </div>
    </form>`;
  }

  #revertTable(): TemplateResult {
    return html`<h2>${msg("回滚记录", { id: "reverts" })}</h2>
      <div class="card" tabindex="0">
        <table>
          <thead>
            <tr>
              <th scope="col">${msg("快照", { id: "snapshots" })}</th>
              <th scope="col">${msg("状态", { id: "state" })}</th>
              <th scope="col">${msg("提出人", { id: "asked-by" })}</th>
              <th scope="col">${msg("理由", { id: "reason" })}</th>
              <th scope="col">${msg("确认人", { id: "agreed-by" })}</th>
              <th scope="col">${msg("结束", { id: "ended-at" })}</th>
              <th scope="col"></th>
            </tr>
          </thead>
          <tbody>
            ${this.#reverts.items.map(
              (row) =>
                html`<tr>
                  <th scope="row">${row.snapshotName}</th>
                  <td>${revertStates[row.state]()} ${row.error === null ? nothing : html`<span class="bad">✕ ${row.error}</span>`}</td>
                  <td>${row.askedByName ?? row.askedBy} · ${time(row.askedAt)}</td>
                  <td class="text">${row.reason}</td>
                  <td>${row.decidedByName ?? "–"} ${row.decisionReason ?? ""}</td>
                  <td>${time(row.endedAt)}</td>
                  <td>${row.state === "asked" ? this.#answers(row) : nothing}</td>
                </tr>`,
            )}
          </tbody>
        </table>
        ${this.more(this.#reverts)}
      </div>`;
  }

  #answers(row: SnapshotRevert): TemplateResult {
    const own = row.askedBy === this.me;
    return html`${
      this.owns
        ? html`<button ?disabled=${own} title=${own ? msg("须由另一人确认", { id: "another-confirms" }) : ""} @click=${() => this.#decide({ revert: row })}>
            ${msg("确认回滚", { id: "confirm-revert" })}…
          </button>`
        : nothing
    }
    ${
      own || this.owns
        ? html`<button @click=${() => this.#cancel(row)}>${own ? msg("撤回", { id: "withdraw" }) : msg("拒绝", { id: "refuse-revert" })}</button>`
        : nothing
    }`;
  }
}
customElements.define("zy-snapshots-page", SnapshotsPage);
