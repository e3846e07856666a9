import { css, html, LitElement, unsafeCSS } from "lit";
import { msg } from "@lit/localize";
import uPlot from "uplot";
import sheet from "uplot/dist/uPlot.min.css?inline";

/** A bar of the chart. */
export interface Bar {
  name: string;
  used: number;
  limit: number;
}

/**
 * Used hosts against the limit, a pair of bars per department. The table beside it says the same in text.
 * @property bars - at most some twenty are readable
 */
export class UsageChart extends LitElement {
  static override properties = { bars: { attribute: false } };
  declare bars: Bar[];
  #plot: uPlot | undefined;
  #watch: ResizeObserver | undefined;
  static override styles = [
    unsafeCSS(sheet),
    css`
      :host {
        display: block;
      }
      .plot {
        width: 100%;
        min-height: 240px;
      }
      .legend {
        display: flex;
        gap: 1.5rem;
        justify-content: center;
        margin: 0.25rem 0 0;
      }
      .legend span::before {
        content: "";
        display: inline-block;
        width: 0.75rem;
        height: 0.75rem;
        margin-right: 0.4rem;
        border: 1px solid var(--muted);
        background: var(--bar);
      }
      .legend .used::before {
        border-color: var(--accent);
        background: var(--accent);
      }
    `,
  ];

  override render() {
    return html`<div class="plot" role="img" aria-label=${msg("各部门主机配额使用图，数据同下表", { id: "chart-label" })}></div>
      <p class="legend"><span class="used">${msg("已用", { id: "used" })}</span><span>${msg("上限", { id: "limit" })}</span></p>`;
  }
  override updated(): void {
    this.#draw();
  }
  override connectedCallback(): void {
    super.connectedCallback();
    this.#watch = new ResizeObserver(() => this.#plot?.setSize({ width: this.clientWidth, height: 240 }));
    this.#watch.observe(this);
  }
  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#watch?.disconnect();
    this.#plot?.destroy();
    this.#plot = undefined;
  }

  #draw(): void {
    this.#plot?.destroy();
    const target = this.renderRoot.querySelector<HTMLElement>(".plot");
    if (!target || this.bars.length === 0) return;
    const colour = (name: string) => getComputedStyle(this).getPropertyValue(name).trim();
    const bars = uPlot.paths.bars!;
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line") } };
    this.#plot = new uPlot(
      {
        width: this.clientWidth || 800,
        height: 240,
        cursor: { show: false },
        legend: { show: false },
        scales: { x: { time: false, range: [-0.6, this.bars.length - 0.4] }, y: { range: (_, __, max) => [0, Math.max(1, max * 1.1)] } },
        axes: [
          {
            ...axis,
            grid: { show: false },
            splits: () => this.bars.map((_, index) => index),
            values: () => this.bars.map((bar) => (bar.name.length > 8 ? `${bar.name.slice(0, 7)}…` : bar.name)),
            rotate: this.bars.length > 8 ? -35 : 0,
            size: this.bars.length > 8 ? 70 : 40,
          },
          { ...axis, size: 60 },
        ],
        series: [
          {},
          { label: msg("上限", { id: "limit" }), stroke: colour("--muted"), fill: colour("--bar"), paths: bars({ size: [0.7, 60] }), points: { show: false } },
          {
            label: msg("已用", { id: "used" }),
            stroke: colour("--accent"),
            fill: colour("--accent"),
            paths: bars({ size: [0.45, 40] }),
            points: { show: false },
          },
        ],
      },
      [this.bars.map((_, index) => index), this.bars.map((bar) => bar.limit), this.bars.map((bar) => bar.used)],
      target,
    );
  }
}
customElements.define("zy-usage-chart", UsageChart);
