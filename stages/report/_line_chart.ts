/**
 * Line charts as inline SVG: scales, ticks and paths are d3's, which need no DOM.
 *
 * A whole chart library costs more than it gives here: vega-lite brings over 30 packages, and it and echarts add a large
 * part of a second to the start, for one kind of chart.
 *
 * @module
 */
// @ts-types="@types/d3-scale"
import { scaleLinear, scaleLog } from "d3-scale";
// @ts-types="@types/d3-shape"
import { line } from "d3-shape";
import { type Html, markup } from "../../formats/html.ts";

/** A line of a chart. */
export interface Series {
  /** Name in the legend. */
  readonly name: string;
  readonly x: readonly number[];
  readonly y: readonly number[];
}

/** Options of a chart. */
export interface ChartOptions {
  readonly title: string;
  readonly xLabel: string;
  /** Range of y, by default that of the data. */
  readonly yRange?: readonly [number, number];
  /** True if y is drawn by its logarithm; needs positive values. */
  readonly log?: boolean;
  /** True if y is a share, shown in percent. */
  readonly percent?: boolean;
}

/** `x` and `y`. */
type Point = readonly [x: number, y: number];

/** The points of a series that are drawn. */
interface Curve {
  readonly name: string;
  readonly points: readonly Point[];
}

/** Size of a chart in its own units. */
export const [width, height] = [480, 280];
const margin = { left: 54, right: 14, top: 12, bottom: 40 };
const mostPoints = 300;
/** About how many ticks an axis has. */
const TICKS = 5;
/** Number of points from which a line is drawn faint, under its running mean. */
const noisyPoints = 30;

/** Places of the parts of a chart, in its own units. */
export interface Layout {
  /** The area of the lines. */
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
  /** Marks of the axes. */
  readonly xTicks: readonly { readonly at: number; readonly text: string }[];
  readonly yTicks: readonly { readonly at: number; readonly text: string }[];
  /** `series` counts the colours; a faint line has a running mean of its own. */
  readonly lines: readonly { readonly series: number; readonly faint: boolean; readonly points: [number, number][] }[];
  readonly names: readonly string[];
}

/** Places the series; values that are not finite are left out. */
export function layOut(series: readonly Series[], { yRange, log = false, percent = false }: ChartOptions): Layout {
  const shown = series.map(finite).filter(({ points }) => points.length > 0);
  const lines = shown.flatMap((one, series) =>
    one.points.length < noisyPoints || yRange
      ? [{ ...thin(one), series, faint: false }]
      : [{ ...thin(one), series, faint: true }, { ...thin(runningMean(one)), series, faint: false }]
  );
  const [x0, x1] = rangeOf(lines.flatMap(({ points }) => points.map(([x]) => x)));
  const [y0, y1] = yRange ?? rangeOf(lines.flatMap(({ points }) => points.map(([, y]) => y)));
  const [left, right, top, bottom] = [margin.left, width - margin.right, margin.top, height - margin.bottom];
  const whole = lines.every(({ points }) => points.every(([x]) => Number.isInteger(x)));
  const xScale = scaleLinear([x0, x1], [left, right]);
  const yScale = log ? scaleLog([y0, y1], [bottom, top]) : scaleLinear([y0, y1], [bottom, top]);
  const toX = (x: number) => round(xScale(x));
  const toY = (y: number) => round(yScale(y));
  // A logarithmic scale has more ticks than it names.
  const yNamed = yScale.tickFormat(TICKS);
  const yValues = yScale.ticks(log ? 10 : TICKS).filter((y) => yNamed(y) !== "");
  return {
    left,
    right,
    top,
    bottom,
    xTicks: xScale.ticks(TICKS).filter((x) => !whole || Number.isInteger(x)).map((x) => ({
      at: toX(x),
      text: label(x),
    })),
    yTicks: yValues.map((y) => ({ at: toY(y), text: percent ? `${label(100 * y)} %` : label(y) })),
    lines: lines.map(({ points, series, faint }) => ({
      series,
      faint,
      points: points.map(([x, y]): [number, number] => [toX(x), toY(y)]),
    })),
    names: shown.map(({ name }) => name),
  };
}

/** Draws the series; values that are not finite are left out. */
export function lineChart(series: readonly Series[], options: ChartOptions): Html {
  const { title, xLabel } = options;
  const { left, right, bottom, xTicks, yTicks, lines, names } = layOut(series, options);
  const xMarks = xTicks.map(({ at, text }) =>
    markup`<text x="${at}" y="${bottom + 18}" text-anchor="middle">${text}</text>`
  );
  const yMarks = yTicks.map(({ at, text }) =>
    markup`
      <line class="tick" x1="${left}" x2="${right}" y1="${at}" y2="${at}" />
      <text x="${left - 6}" y="${at + 4}" text-anchor="end">${text}</text>
    `
  );
  const paths = lines.map(({ series, faint, points }) => {
    const ends = points.length < 30 && !options.yRange
      ? points.map(([x, y]) => markup`<circle class="s${series % 6}" cx="${x}" cy="${y}" r="2.5"/>`)
      : [];
    return markup`
      <path class="s${series % 6}${faint ? " faint" : ""}" d="${line()(points)!}" />
      ${ends}
    `;
  });
  const legend = names.map((name, i) => markup`<li class="s${i % 6}">${name}</li>`);
  return markup`
    <figure class="card chart">
      <figcaption>${title}</figcaption>
      <svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}">
    ${yMarks}${xMarks}<line class="axis" x1="${left}" x2="${right}" y1="${bottom}" y2="${bottom}"/>
    <text x="${(left + right) / 2}" y="${height - 3}" text-anchor="middle">${xLabel}</text>
    ${paths}
      </svg>
      ${names.length > 1 ? markup`<ul class="legend">${legend}</ul>` : undefined}
    </figure>
  `;
}

/** Metrics of a `metrics.jsonl` that are drawn, each kind in a chart of its own: losses, and errors in percent. */
const measures = [{ kind: /loss/, unit: "loss" }, { kind: /nme/, unit: "NME, %" }];

/** The losses and errors of a `metrics.jsonl` over the steps, other numbers aside; nothing if there are none. */
export function trainingCharts(stage: string, text: string): Html[] {
  const records = text.split("\n").flatMap((line): Record<string, unknown>[] => {
    try {
      return [JSON.parse(line)];
    } catch {
      return []; // half a line, while a stage writes it
    }
  });
  const names = [...new Set(records.flatMap(Object.keys))];
  return measures.flatMap(({ kind, unit }) => {
    const series = names.filter((name) => kind.test(name)).map((name): Series => {
      const list = records.filter((record) => typeof record[name] === "number");
      return {
        name: spoken(name),
        x: list.map(({ step }) => Number(step)),
        y: list.map((record) => Number(record[name])),
      };
    }).filter(({ y }) => y.some(Number.isFinite));
    const [first] = series;
    if (!first) return [];
    const values = series.flatMap(({ y }) => y);
    const [low, high] = [values.reduce((a, b) => Math.min(a, b), Infinity), values.reduce((a, b) => Math.max(a, b), 0)];
    const title = `${stage}: ${series.length > 1 ? unit : unit.replace(/^\w+/, () => first.name)}`;
    return [lineChart(series, { title, xLabel: "step", log: low > 0 && high / low > 20 })];
  });
}

/** `loss_val` as `validation loss`; what has no suffix comes from training. */
function spoken(name: string): string {
  const [, what, of] = /^(loss|nme)(?:_(val|train))?$/.exec(name) ?? [];
  if (!what) return name.replaceAll("_", " ");
  return `${of === "val" ? "validation" : "training"} ${what === "nme" ? "NME" : what}`;
}

/** The points whose values are both finite. */
function finite({ name, x: all, y: values }: Series): Curve {
  const points = all.flatMap((x, i): Point[] => {
    const y = values[i];
    return y !== undefined && Number.isFinite(x) && Number.isFinite(y) ? [[x, y]] : [];
  });
  return { name, points };
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

/** Each value as the mean of the tenth of all around it; of fewer at the start, where curves are steep. */
function runningMean({ name, points }: Curve): Curve {
  const reach = Math.ceil(points.length / 20);
  const near = (i: number) => points.slice(Math.max(0, i - reach), i + Math.min(reach, i) + 1);
  return { name, points: points.map(([x], i): Point => [x, mean(near(i).map(([, y]) => y))]) };
}

/** Means of neighbours, where there are more than {@linkcode mostPoints}. */
function thin({ name, points: all }: Curve): Curve {
  const size = Math.ceil(all.length / mostPoints);
  const points: Point[] = [];
  for (let i = 0; i < all.length; i += size) {
    const group = all.slice(i, i + size);
    points.push([mean(group.map(([x]) => x)), mean(group.map(([, y]) => y))]);
  }
  return { name, points };
}

function rangeOf(values: readonly number[]): [number, number] {
  const low = values.reduce((a, b) => Math.min(a, b), Infinity);
  const high = values.reduce((a, b) => Math.max(a, b), -Infinity);
  if (!Number.isFinite(low)) return [0, 1];
  return low === high ? [low - 0.5, high + 0.5] : [low, high];
}

/** A number of an axis. */
export const label = (value: number): string => {
  if (Math.abs(value) >= 1e4) return `${round(value / 1000)}k`;
  const short = Number(value.toPrecision(3));
  return short !== 0 && Math.abs(short) < 1e-3 ? short.toExponential() : String(short);
};
const round = (value: number) => Math.round(value * 10) / 10;
