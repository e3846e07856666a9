import { css, html, LitElement } from "lit";
import { msg } from "@lit/localize";
import { shared } from "../styles.ts";

/** A modal question for a reason (理由): an act that is audited says why. */
class ReasonDialog extends LitElement {
  static override properties = { question: {} };
  declare question: string;
  answered: (reason: string | undefined) => void = () => {};

  static override styles = [
    shared,
    css`
      dialog {
        background: var(--surface);
        color: var(--text);
        border: 1px solid var(--line);
        border-radius: 8px;
        width: min(32rem, 90vw);
      }
      textarea {
        width: 100%;
        box-sizing: border-box;
      }
    `,
  ];

  override firstUpdated(): void {
    this.renderRoot.querySelector("dialog")!.showModal();
  }
  #done(event: Event): void {
    const dialog = event.target as HTMLDialogElement;
    const reason = this.renderRoot.querySelector("textarea")!.value.trim();
    this.answered(dialog.returnValue === "given" && reason !== "" ? reason : undefined);
    this.remove();
  }

  override render() {
    return html`<dialog aria-labelledby="question" @close=${(event: Event) => this.#done(event)}>
      <form method="dialog">
        <label id="question">${this.question}<textarea rows="3" maxlength="1000" required autofocus></textarea></label>
        <div class="bar">
          <button class="primary" value="given">${msg("确定", { id: "ok" })}</button>
          <button value="" formnovalidate>${msg("取消", { id: "cancel" })}</button>
        </div>
      </form>
    </dialog>`;
  }
}
customElements.define("zy-reason-dialog", ReasonDialog);

/** Asks for a reason. @returns undefined when it was cancelled */
export function askReason(question: string): Promise<string | undefined> {
  const dialog = document.createElement("zy-reason-dialog") as ReasonDialog;
  dialog.question = question;
  document.body.append(dialog);
  return new Promise((resolve) => (dialog.answered = resolve));
}
