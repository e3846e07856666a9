import { html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { StoredImage } from "../../control-plane/contract/images.ts";
import { list, remove, upload } from "../client/index.ts";
import { time } from "../format.ts";
import { api } from "../paths.ts";
import { fieldOf } from "./fields.ts";
import { Page } from "./page.ts";
import "../components/command-line.ts";

const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/** Images that came as files: where each has been brought, new ones, and their withdrawal. */
export class ImagesPage extends Page {
  static override properties = { changes: { type: Boolean } };
  /** Whether the reader may change them: operations staff. */
  declare changes: boolean;
  #images: StoredImage[] = [];
  #sending = false;

  override async load(): Promise<void> {
    this.#images = await list<StoredImage>(`${api.images}?limit=500`);
  }
  override concerns(): boolean {
    return false;
  }

  async #import(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const form = event.target as HTMLFormElement;
    const field = fieldOf(form);
    const file = new FormData(form).get("file") as File;
    this.#sending = true;
    this.requestUpdate();
    const done = await this.attempt(async () => {
      await upload(api.image(field("code"), field("name")), file);
      await this.load();
    });
    this.#sending = false;
    this.requestUpdate();
    if (done) form.reset();
  }
  async #withdraw({ code }: StoredImage): Promise<void> {
    if (!confirm(`${msg("停用后不能再申请此镜像，已有主机不受影响。停用？", { id: "withdraw-image" })} ${code}`)) return;
    await this.attempt(async () => {
      await remove(api.image(code));
      await this.load();
    });
  }

  override show(): TemplateResult {
    return html`<h1>${msg("镜像", { id: "images" })}</h1>
      <section class="card" tabindex="0">
        ${this.#images.length === 0 ? html`<p>${msg("还没有导入的镜像。", { id: "no-images" })}</p>` : this.#table()}
        <div class="bar"><button @click=${() => this.refresh()}>${msg("刷新", { id: "refresh" })}</button></div>
      </section>
      ${this.changes ? this.#form() : nothing}
      <zy-command .command=${"zhengyun image list"}></zy-command>`;
  }

  #table(): TemplateResult {
    return html`<table>
      <thead>
        <tr>
          <th scope="col">${msg("代码", { id: "code" })}</th>
          <th scope="col">${msg("名称", { id: "name" })}</th>
          <th scope="col">${msg("大小", { id: "size" })}</th>
          <th scope="col">SHA-256</th>
          <th scope="col">${msg("导入", { id: "imported" })}</th>
          <th scope="col">${msg("资源池", { id: "pools" })}</th>
          ${this.changes ? html`<th scope="col">${msg("操作", { id: "action" })}</th>` : nothing}
        </tr>
      </thead>
      <tbody>
        ${this.#images.map(
          (row) =>
            html`<tr>
              <th scope="row"><code>${row.code}</code></th>
              <td>${row.name}</td>
              <td class="n">${mib(row.sizeBytes)}</td>
              <td title=${row.sha256}><code>${row.sha256.slice(0, 12)}</code></td>
              <td>${time(row.createdAt)} ${row.createdByName}</td>
              <td>${row.pools.map((one) => html`<div>${this.#copy(one)}</div>`)}</td>
              ${this.changes ? html`<td>${this.#action(row)}</td>` : nothing}
            </tr>`,
        )}
      </tbody>
    </table>`;
  }

  #copy({ pool, state, error }: StoredImage["pools"][number]): TemplateResult {
    switch (state) {
      case "imported":
        return html`${pool} <span class="good">✓ ${msg("已就绪", { id: "image-imported" })}</span>`;
      case "failed":
        return html`${pool} <span class="bad">✕ ${msg("失败", { id: "image-failed" })}</span> ${error}`;
      case "unsupported":
        return html`${pool} – ${msg("不适用", { id: "image-unsupported" })}`;
      case "pending":
        return html`${pool} ○ ${msg("传送中", { id: "image-pending" })}`;
    }
  }

  #action(row: StoredImage): TemplateResult {
    if (row.withdrawnAt !== null) return html`${msg("已停用", { id: "image-withdrawn" })} ${time(row.withdrawnAt)}`;
    const text = msg("停用", { id: "stop-offering" });
    return html`<button aria-label=${`${text}: ${row.code}`} @click=${() => this.#withdraw(row)}>${text}</button>`;
  }

  #form(): TemplateResult {
    return html`<section class="card">
      <h2>${msg("导入镜像", { id: "import-image" })}</h2>
      <form @submit=${(event: SubmitEvent) => this.#import(event)}>
        <div class="bar">
          <label>${msg("代码", { id: "code" })}<input name="code" required pattern="[a-z0-9][a-z0-9.\\-]{0,62}" placeholder="debian-12-20261124" /></label>
          <label>${msg("名称", { id: "name" })}<input name="name" required maxlength="200" /></label>
          <label>${msg("文件（LXD 统一格式）", { id: "image-file" })}<input name="file" type="file" required accept=".gz,.xz,.zst,.bz2" /></label>
          <button class="primary" ?disabled=${this.#sending}>${this.#sending ? msg("正在上传…", { id: "uploading" }) : msg("导入", { id: "import" })}</button>
        </div>
      </form>
    </section>`;
  }
}
customElements.define("zy-images-page", ImagesPage);
