/**
 * Line charts as inline SVG.
 *
 * A chart library costs more than it gives here: vega-lite brings over 30 packages, and it and echarts add a large part
 * of a second to the start, for one kind of chart that is 100 lines.
 *
 * @module
 */
import { type Html, markup } from "../runtime/html.ts";

/** A line of a chart. */
export interface Series {
  /** For the legend. */
  readonly name: string;
  readonly x: readonly number[];
  readonly y: readonly number[];
}

/** What a chart shows. */
export interface ChartOptions {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  /** Range of y, by default that of the data. */
  readonly yRange?: readonly [number, number];
  /** Whether y is drawn by its logarithm; needs positive values. */
  readonly log?: boolean;
}

const [width, height] = [480, 280];
const margin = { left: 56, right: 12, top: 12, bottom: 40 };
const mostPoints = 300;

/** Draws the series; values that are not finite are left out. */
export function lineChart(
  series: readonly Series[],
  { title, xLabel, yLabel, yRange, log = false }: ChartOptions,
): Html {
  const lines = series.map(thin).filter(({ x }) => x.length > 0);
  const scale = (value: number) => log ? Math.log10(value) : value;
  const [x0, x1] = rangeOf(lines.flatMap(({ x }) => x));
  const [y0, y1] = (yRange ?? rangeOf(lines.flatMap(({ y }) => y))).map(scale) as [number, number];
  const toX = (x: number) => round(margin.left + (x - x0) / (x1 - x0) * (width - margin.left - margin.right));
  const toY = (y: number) =>
    round(height - margin.bottom - (scale(y) - y0) / (y1 - y0) * (height - margin.top - margin.bottom));
  const [right, bottom] = [width - margin.right, height - margin.bottom];
  const xTicks = ticks(x0, x1).map((x) =>
    markup`<text x="${toX(x)}" y="${bottom + 16}" text-anchor="middle">${label(x)}</text>`
  );
  const yValues = log ? decades(y0, y1) : ticks(y0, y1);
  const yTicks = yValues.map((y) =>
    markup`
      <line class="tick" x1="${margin.left}" x2="${right}" y1="${toY(y)}" y2="${toY(y)}" />
      <text x="${margin.left - 6}" y="${toY(y) + 4}" text-anchor="end">${label(y)}</text>
    `
  );
  const paths = lines.map(({ x, y }, i) => {
    const points = x.map((value, j) => `${toX(value)} ${toY(y[j]!)}`);
    return markup`
      <path class="s${i % 6}" d="M${points.join("L")}" />
    `;
  });
  const legend = lines.map(({ name }, i) => markup`<li class="s${i % 6}">${name}</li>`);
  return markup`
    <figure class="chart">
      <figcaption>${title}</figcaption>
      <svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}">
    ${yTicks}${xTicks}<line class="axis" x1="${margin.left}" x2="${right}" y1="${bottom}" y2="${bottom}"/>
    <text x="${(margin.left + right) / 2}" y="${height - 6}" text-anchor="middle">${xLabel}</text>
    <text transform="translate(12 ${(margin.top + bottom) / 2}) rotate(-90)" text-anchor="middle">${yLabel}</text>
    ${paths}
      </svg>
      <ul class="legend">${legend}</ul>
    </figure>
  `;
}

/** The losses of a `metrics.jsonl` over the steps, other numbers aside; nothing if there are none. */
export function trainingChart(title: string, text: string): Html[] {
  const records = text.split("\n").flatMap((line): Record<string, unknown>[] => {
    try {
      return [JSON.parse(line)];
    } catch {
      return []; // half a line, while a stage writes it
    }
  });
  const names = [...new Set(records.flatMap(Object.keys))].filter((name) => /loss|nme/.test(name));
  const series = names.map((name): Series => {
    const list = records.filter((record) => typeof record[name] === "number");
    return { name, x: list.map(({ step }) => Number(step)), y: list.map((record) => Number(record[name])) };
  });
  if (!series.length) return [];
  const values = series.flatMap(({ y }) => y);
  const [low, high] = [values.reduce((a, b) => Math.min(a, b), Infinity), values.reduce((a, b) => Math.max(a, b), 0)];
  return [lineChart(series, { title, xLabel: "step", yLabel: names.join(", "), log: low > 0 && high / low > 20 })];
}

/** Finite points; of many, the means of neighbours. */
function thin({ name, x, y }: Series): Series {
  const points = x.map((value, i) => [value, y[i]!] as const).filter((point) => point.every(Number.isFinite));
  const size = Math.ceil(points.length / mostPoints);
  const out: Series = { name, x: [], y: [] };
  const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  for (let i = 0; i < points.length; i += size) {
    const group = points.slice(i, i + size);
    (out.x as number[]).push(mean(group.map(([a]) => a)));
    (out.y as number[]).push(mean(group.map(([, b]) => b)));
  }
  return out;
}

function rangeOf(values: readonly number[]): [number, number] {
  const low = values.reduce((a, b) => Math.min(a, b), Infinity);
  const high = values.reduce((a, b) => Math.max(a, b), -Infinity);
  if (!Number.isFinite(low)) return [0, 1];
  return low === high ? [low - 0.5, high + 0.5] : [low, high];
}

/** Round numbers in a range, about five. */
function ticks(low: number, high: number): number[] {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? rough;
  const first = Math.ceil(low / step - 1e-9);
  const count = Math.floor(high / step + 1e-9) - first + 1;
  return Array.from({ length: count }, (_, i) => (first + i) * step);
}

/** Powers of ten between two logarithms, with 2 and 5 between them. */
function decades(low: number, high: number): number[] {
  const powers = Array.from({ length: Math.ceil(high) - Math.floor(low) + 1 }, (_, i) => Math.floor(low) + i);
  return powers.flatMap((power) => [1, 2, 5].map((factor) => factor * 10 ** power))
    .filter((value) => Math.log10(value) >= low && Math.log10(value) <= high);
}

const label = (value: number) => {
  if (Math.abs(value) >= 1e4) return `${round(value / 1000)}k`;
  const short = Number(value.toPrecision(3));
  return short !== 0 && Math.abs(short) < 1e-3 ? short.toExponential() : String(short);
};
const round = (value: number) => Math.round(value * 10) / 10;
