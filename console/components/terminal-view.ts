/** A terminal's screen: what it is written it shows, what is typed on it it says by `zy-typed` and `zy-resized`. */
import { css, html, LitElement, unsafeCSS } from "lit";
import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import look from "@xterm/xterm/css/xterm.css?inline";

export class TerminalView extends LitElement {
  static override properties = { silent: { type: Boolean } };
  /** It only shows: of a recording. */
  declare silent: boolean;
  #terminal: Terminal | undefined;
  #fit: FitAddon | undefined;
  #restore: (() => void) | undefined;
  readonly #resized = new ResizeObserver(() => this.fit());

  static override styles = [
    unsafeCSS(look),
    css`
      :host {
        display: block;
        background: #000;
        padding: 0.5rem;
        border-radius: 8px;
        overflow: hidden;
      }
      .screen {
        height: 28rem;
      }
    `,
  ];

  override render() {
    return html`<div class="screen"></div>`;
  }
  override firstUpdated(): void {
    const place = this.renderRoot.querySelector<HTMLElement>(".screen")!;
    const root = this.renderRoot as ShadowRoot;
    this.#restore = withoutInlineStyles(root);
    const terminal = new Terminal({ fontSize: 14, cursorBlink: !this.silent, disableStdin: this.silent, scrollback: 5000 });
    this.#terminal = terminal;
    this.#fit = new FitAddon();
    terminal.loadAddon(this.#fit);
    terminal.open(place);
    terminal.onData((data) => this.dispatchEvent(new CustomEvent("zy-typed", { detail: data })));
    terminal.onResize(({ cols, rows }) => this.dispatchEvent(new CustomEvent("zy-resized", { detail: { cols, rows } })));
    this.#resized.observe(place);
    this.fit();
    if (!this.silent) terminal.focus();
  }
  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#resized.disconnect();
    this.#terminal?.dispose();
    this.#restore?.();
  }

  get size(): { cols: number; rows: number } {
    return { cols: this.#terminal?.cols ?? 80, rows: this.#terminal?.rows ?? 24 };
  }
  fit(): void {
    if (!this.silent) this.#fit?.fit();
  }
  /** @param size of a recording's window */
  resize({ cols, rows }: { cols: number; rows: number }): void {
    this.#terminal?.resize(cols, rows);
  }
  write(data: Uint8Array | string): void {
    this.#terminal?.write(data);
  }
  clear(): void {
    this.#terminal?.reset();
  }
}
customElements.define("zy-terminal-view", TerminalView);

/**
 * xterm writes style elements and style attributes, which the policy of these pages forbids, and has no other way. While a terminal is there, the
 * elements that it makes put their rules into sheets of its root, and their attributes into style objects: both are scripts' own and allowed.
 * @returns undoes it
 */
function withoutInlineStyles(root: ShadowRoot): () => void {
  const make = Document.prototype.createElement;
  const made = (tag: string, options?: ElementCreationOptions) => {
    // Even an empty style element is refused: something else stands in its place.
    const element = make.call(document, tag === "style" ? "template" : tag, options);
    if (tag === "style") {
      const sheet = new CSSStyleSheet();
      root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
      const rules = (text: string) => {
        sheet.replaceSync(text);
      };
      Object.defineProperty(element, "textContent", { set: rules, get: () => "" });
    } else if (tag === "span") {
      element.setAttribute = (name: string, value: string) => {
        if (name === "style") element.style.cssText = value;
        else Element.prototype.setAttribute.call(element, name, value);
      };
    }
    return element;
  };
  document.createElement = made;
  return () => {
    if (document.createElement === made) Reflect.deleteProperty(document, "createElement");
  };
}
