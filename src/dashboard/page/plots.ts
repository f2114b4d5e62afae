// The plots of a mount: what flowed, what was asked, what may still be asked, over the last five minutes. Promises: each says in words what it
// shows last; colours follow the page's. Must not know where samples come from.
import { formatSize } from '../../base/quantities.ts';
import type { ShownStatus, Sample } from '../view.ts';
import { element, setAttribute, setText } from './element.ts';
import uPlot from './uplot.js';

/** What a plot may span: it grows with what there is to show. */
const SPANS_SECONDS = [60, 120, 300] as const;
const LONGEST_SPAN_SECONDS = 300;
const HEIGHT_PIXELS = 118;
/** Samples further apart than this have a gap between them: nobody looked, or the mount did not answer. */
const GAP_MS = 5_000;
/** A calm line: the pace over so many samples. */
const PACE_SAMPLES = 3;

interface Line {
  readonly label: string;
  /** A custom property of the page's style. */
  readonly colour: string;
  /** The value at a sample; null: not known. */
  readonly value: (samples: readonly Sample[], index: number) => number | null;
}

interface PlotOptions {
  readonly title: string;
  readonly lines: readonly Line[];
  /** For the axis and for words. */
  readonly format: (value: number) => string;
  /** What may be had at most; 0: no limit. */
  readonly limit: (status: ShownStatus) => number;
  /** The top of the axis, for the highest value that is to be shown. */
  readonly top: (highest: number, status: ShownStatus) => number;
  /** Whether there is anything to be shown. */
  readonly isShown: (status: ShownStatus) => boolean;
}

const PLOTS: readonly PlotOptions[] = [
  {
    title: 'Throughput',
    lines: [
      { label: 'In', colour: '--line-1', value: (samples, index) => pace(samples, index, ({ bytesIn }) => bytesIn) },
      { label: 'Out', colour: '--line-2', value: (samples, index) => pace(samples, index, ({ bytesOut }) => bytesOut) },
    ],
    format: (value) => `${formatSize(Math.round(value))}/s`,
    limit: () => 0,
    top: (highest) => Math.max(1_024, roundTop(highest, 1_024)),
    isShown: () => true,
  },
  {
    title: 'Calls a second',
    lines: [
      { label: 'Calls', colour: '--line-3', value: (samples, index) => pace(samples, index, ({ calls }) => calls) },
    ],
    format: (value) => String(Math.round(value * 10) / 10),
    limit: ({ calls }) => calls.budget.perSecond,
    top: (highest) => Math.max(2, roundTop(highest, 10)),
    isShown: () => true,
  },
  {
    title: 'Calls left this hour',
    lines: [{ label: 'Left', colour: '--line-4', value: (samples, index) => samples[index]?.leftThisHour ?? null }],
    format: (value) => Math.round(value).toLocaleString('en'),
    limit: ({ calls }) => calls.budget.perHour,
    top: (_highest, { calls }) => calls.budget.perHour,
    isShown: ({ calls }) => calls.budget.perHour > 0,
  },
];

/** All plots of one mount. */
export class Plots {
  readonly element = element('div', { class: 'plots' });
  readonly #plots = PLOTS.map((options) => new Plot(options));
  #samples: readonly Sample[] = [];

  constructor() {
    this.element.append(...this.#plots.map((plot) => plot.element));
  }

  /** Takes earlier samples in. */
  begin(history: readonly Sample[]): void {
    this.#samples = history;
  }

  show(status: ShownStatus, sample: Sample): void {
    const last = this.#samples.at(-1);
    if (last === undefined || sample.atMs > last.atMs) {
      const oldestMs = sample.atMs - (LONGEST_SPAN_SECONDS + PACE_SAMPLES) * 1_000;
      this.#samples = [...this.#samples.filter(({ atMs }) => atMs >= oldestMs), sample];
    }
    for (const plot of this.#plots) plot.show(status, this.#samples);
  }

  stop(): void {
    for (const plot of this.#plots) plot.stop();
  }
}

class Plot {
  readonly element: HTMLElement;
  readonly #options: PlotOptions;
  readonly #canvas = element('div', { class: 'canvas', role: 'img' });
  readonly #values: readonly HTMLElement[];
  readonly #resizes = new ResizeObserver(() => this.#fit());
  readonly #scheme = matchMedia('(prefers-color-scheme: dark)');
  readonly #redraw = (): void => this.#draw();
  #plot: uPlot | undefined;
  #data: uPlot.AlignedData = [[]];
  #top = 1;

  constructor(options: PlotOptions) {
    this.#options = options;
    this.#values = options.lines.map(() => element('span', { class: 'value' }));
    const keys = options.lines.map(({ label, colour }, index) => {
      const name = options.lines.length > 1 ? [`${label} `] : [];
      const key = element('span', { class: `key ${colour.slice(2)}` }, ...name);
      key.append(this.#values[index] as HTMLElement);
      return key;
    });
    const keyLine = element('p', { class: 'keys' }, ...keys);
    const head = element('div', { class: 'plot-head' }, element('h3', {}, options.title), keyLine);
    this.element = element('div', { class: 'plot' }, head, this.#canvas);
    this.#resizes.observe(this.#canvas);
    this.#scheme.addEventListener('change', this.#redraw);
  }

  show(status: ShownStatus, samples: readonly Sample[]): void {
    const { lines, format, limit, title, top, isShown } = this.#options;
    this.element.hidden = !isShown(status);
    if (this.element.hidden) return;
    const series = lines.map((line) => samples.map((_sample, index) => line.value(samples, index)));
    this.#data = [samples.map(({ atMs }) => atMs / 1_000), ...series];
    this.#top = top(Math.max(0, ...series.flat().map((value) => value ?? 0)), status);
    const words = lines.map(({ label }, index) => {
      const value = series[index]?.at(-1) ?? null;
      const most = limit(status) === 0 ? '' : ` of ${format(limit(status))}`;
      const text = value === null ? '–' : format(value) + most;
      setText(this.#values[index] as HTMLElement, text);
      return `${label.toLowerCase()} ${value === null ? 'not known yet' : text}`;
    });
    setAttribute(this.#canvas, 'aria-label', `${title} over the last five minutes; now ${words.join(', ')}`);
    if (this.#plot === undefined) this.#draw();
    else this.#plot.setData(this.#data);
  }

  stop(): void {
    this.#resizes.disconnect();
    this.#scheme.removeEventListener('change', this.#redraw);
    this.#plot?.destroy();
  }

  #fit(): void {
    const { clientWidth } = this.#canvas;
    if (this.#plot === undefined) this.#draw();
    else if (clientWidth > 0) this.#plot.setSize({ width: clientWidth, height: HEIGHT_PIXELS });
  }

  /** Anew, for colours are fixed when it is made. */
  #draw(): void {
    const width = this.#canvas.clientWidth;
    if (width === 0) return;
    this.#plot?.destroy();
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string): string => style.getPropertyValue(name).trim();
    const axis: uPlot.Axis = {
      stroke: colour('--muted'),
      font: `11px ${style.fontFamily}`,
      grid: { stroke: colour('--grid'), width: 1 },
      ticks: { show: false },
    };
    const { lines, format } = this.#options;
    this.#plot = new uPlot(
      {
        width,
        height: HEIGHT_PIXELS,
        padding: [8, 4, 0, 0],
        legend: { show: false },
        cursor: { show: false },
        scales: {
          x: { range: (plot) => spanOf(plot.data[0]) },
          y: { range: () => [0, this.#top] },
        },
        axes: [
          {
            ...axis,
            grid: { show: false },
            size: 22,
            gap: 4,
            splits: (plot) => {
              const [from, to] = spanOf(plot.data[0]);
              const span = to - from;
              return [to - 0.8 * span, to - 0.4 * span, to - 0.04 * span];
            },
            values: (plot) => {
              const [from, to] = spanOf(plot.data[0]);
              return [before(0.8 * (to - from)), before(0.4 * (to - from)), 'now'];
            },
          },
          {
            ...axis,
            size: 72,
            gap: 6,
            splits: () => [0, this.#top / 2, this.#top],
            values: (_plot, splits) => splits.map((value) => (value === 0 ? '0' : format(value))),
          },
        ],
        series: [
          {},
          ...lines.map((line) => ({
            stroke: colour(line.colour),
            fill: `${colour(line.colour)}1f`,
            width: 1.75,
            points: { show: false },
          })),
        ],
      },
      this.#data,
      this.#canvas,
    );
  }
}

/** The least span that holds all there is, up to the longest one. */
function spanOf(times: ArrayLike<number>): [from: number, to: number] {
  const to = times[times.length - 1] ?? 0;
  const lasts = to - (times[0] ?? 0);
  const span = SPANS_SECONDS.find((one) => one >= lasts) ?? LONGEST_SPAN_SECONDS;
  return [to - span, to];
}

function before(seconds: number): string {
  return seconds % 60 === 0 ? `−${seconds / 60} min` : `−${Math.round(seconds)} s`;
}

/** The next of 1, 2, 5, 10, ... in units of a power of `base`: an axis whose middle is a number people read. */
function roundTop(highest: number, base: number): number {
  let unit = 1;
  while (highest / unit >= base) unit *= base;
  const steps = [1, 2, 4, 6, 10, 20, 40, 60, 100, 200, 400, 600, 1_024];
  return unit * (steps.find((step) => step * unit >= highest * 1.05) ?? base);
}

/** How fast a counter grows, a second. */
function pace(samples: readonly Sample[], index: number, count: (sample: Sample) => number): number | null {
  const to = samples[index];
  const before = samples[index - 1];
  if (to === undefined || before === undefined || to.atMs - before.atMs > GAP_MS) return null;
  let from = before;
  for (let back = index - 2; back >= 0 && index - back <= PACE_SAMPLES; back -= 1) {
    const earlier = samples[back];
    if (earlier === undefined || from.atMs - earlier.atMs > GAP_MS) break;
    from = earlier;
  }
  return Math.max(0, ((count(to) - count(from)) * 1_000) / (to.atMs - from.atMs));
}
