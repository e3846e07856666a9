import { css, html, nothing, type TemplateResult } from "lit";
import { msg } from "@lit/localize";
import type { Event as Happened } from "../../control-plane/contract/access.ts";
import { type Comment, type Evidence, evidenceLimit, evidenceTypes } from "../../control-plane/contract/approvals.ts";
import { list, post } from "../client/index.ts";
import { bytes, time } from "../format.ts";
import { commentKind } from "../locales/states.ts";
import { api } from "../paths.ts";
import { shared } from "../styles.ts";
import { Page } from "./page.ts";

const endings = Object.values(evidenceTypes).flat();
const typeOf = (name: string) => Object.entries(evidenceTypes).find(([, of]) => of.some((ending) => name.toLowerCase().endsWith(ending)))?.[0];

/** The bytes of a file in base64. */
async function base64(file: File): Promise<string> {
  const content = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let start = 0; start < content.length; start += 32_768) text += String.fromCharCode(...content.subarray(start, start + 32_768));
  return btoa(text);
}

/** What people say about a request and attach to it. */
export class RequestRecords extends Page {
  static override properties = { request: {}, speaks: { type: Boolean } };
  declare request: string;
  /** false: only reads. */
  declare speaks: boolean;
  #comments: Comment[] = [];
  #evidence: Evidence[] = [];
  #text = "";
  /** The page that this is a part of says when it was read. */
  override stamped = false;
  #busy = false;
  #refused = "";
  static override styles = [
    shared,
    css`
      .said {
        white-space: pre-wrap;
        overflow-wrap: anywhere;
        margin: 0.1rem 0 0.75rem;
      }
      ol {
        list-style: none;
        padding: 0;
        margin: 0;
      }
    `,
  ];

  override async load(): Promise<void> {
    [this.#comments, this.#evidence] = await Promise.all([list<Comment>(api.comments(this.request)), list<Evidence>(api.evidence(this.request))]);
  }
  override concerns(event: Happened): boolean {
    return event.request === this.request && /^request\.(comment|question|answer|amendment|attached)$/.test(event.type);
  }
  async #do(work: () => Promise<unknown>): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    if (await this.attempt(work)) await this.refresh();
    this.#busy = false;
    this.requestUpdate();
  }
  async #comment(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    await this.#do(async () => {
      await post<Comment>(api.comments(this.request, false), { text: this.#text });
      this.#text = "";
    });
  }
  async #attach(event: Event): Promise<void> {
    const input = event.target as HTMLInputElement;
    const file = input.files?.[0];
    if (!file) return;
    const type = typeOf(file.name);
    this.#refused =
      type === undefined
        ? `${msg("不接受此类文件：", { id: "file-type" })} ${file.name}`
        : file.size > evidenceLimit
          ? `${msg("文件过大：", { id: "file-size" })} ${bytes(file.size)} > ${bytes(evidenceLimit)}`
          : "";
    if (type !== undefined && this.#refused === "")
      await this.#do(async () => post<Evidence>(api.evidence(this.request, false), { name: file.name, type, content: await base64(file) }));
    input.value = "";
    this.requestUpdate();
  }

  override show(): TemplateResult {
    const writes = this.speaks;
    return html`<h2>${msg("附件", { id: "evidence" })} (${this.#evidence.length})</h2>
      <div class="card" tabindex="0">
        ${
          this.#evidence.length === 0
            ? html`<p>${msg("没有附件。", { id: "no-evidence" })}</p>`
            : html`<table>
                <thead>
                  <tr>
                    <th scope="col">${msg("名称", { id: "name" })}</th>
                    <th scope="col">${msg("大小", { id: "size" })}</th>
                    <th scope="col">SHA-256</th>
                    <th scope="col">${msg("提交人", { id: "author" })}</th>
                    <th scope="col">${msg("创建时间", { id: "created" })}</th>
                  </tr>
                </thead>
                <tbody>
                  ${this.#evidence.map(
                    (file) =>
                      html`<tr>
                        <th scope="row"><a href=${api.evidenceFile(this.request, file.id)} download=${file.name}>${file.name}</a></th>
                        <td>${bytes(file.sizeBytes)}</td>
                        <td><code>${file.sha256.slice(0, 12)}</code></td>
                        <td>${file.authorName ?? file.author}</td>
                        <td>${time(file.createdAt)}</td>
                      </tr>`,
                  )}
                </tbody>
              </table>`
        }
        ${
          writes
            ? html`<label
                  >${msg("添加附件", { id: "attach" })} (${endings.join(" ")}, ≤ ${bytes(evidenceLimit)})<input
                    type="file"
                    accept=${endings.join(",")}
                    ?disabled=${this.#busy}
                    @change=${(event: Event) => this.#attach(event)}
                /></label>
                ${this.#refused ? html`<p class="bad" role="alert">✕ ${this.#refused}</p>` : nothing}`
            : nothing
        }
      </div>
      <h2>${msg("意见与答复", { id: "comments" })} (${this.#comments.length})</h2>
      <div class="card">
        ${this.#comments.length === 0 ? html`<p>${msg("还没有意见。", { id: "no-comments" })}</p>` : nothing}
        <ol aria-live="polite">
          ${this.#comments.map(
            (one) =>
              html`<li>
                <strong>${one.authorName ?? one.author}</strong> · ${commentKind(one.kind)} ·
                <time class="muted" datetime=${one.createdAt}>${time(one.createdAt)}</time>
                <div class="said">${one.text}</div>
              </li>`,
          )}
        </ol>
        ${
          writes
            ? html`<form @submit=${(event: SubmitEvent) => this.#comment(event)}>
                <label
                  >${msg("写意见", { id: "comment" })}<textarea
                    rows="2"
                    maxlength="4000"
                    required
                    .value=${this.#text}
                    @input=${(event: InputEvent) => {
                      this.#text = (event.target as HTMLTextAreaElement).value;
                      this.requestUpdate();
                    }}
                  ></textarea>
                </label>
                <div class="bar"><button ?disabled=${this.#busy}>${msg("发表", { id: "send" })}</button></div>
              </form>`
            : nothing
        }
      </div>`;
  }
}
customElements.define("zy-request-records", RequestRecords);
