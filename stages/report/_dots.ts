/**
 * Estimates drawn as dots and intervals on one scale, in the cells of a table.
 *
 * @module
 */
// @ts-types="@types/d3-scale"
import { scaleLinear } from "d3-scale";
import { type Html, markup } from "../../formats/html.ts";
import { label } from "./_line_chart.ts";

/** A value with its interval, if it has one. */
export interface Estimate {
  readonly value: number;
  readonly low?: number;
  readonly high?: number;
}

/** End of a scale from 0 that holds all intervals. */
export function scaleOf(estimates: readonly Estimate[]): number {
  return 1.04 * Math.max(1e-9, ...estimates.map(({ value, high = value }) => high).filter(Number.isFinite));
}

/** A dot and its interval for each estimate, one below the other. */
export function dots(estimates: readonly (Estimate | undefined)[], scale: number, colour = 0): Html {
  const at = (value: number) => `${(100 * value / scale).toFixed(2)}%`;
  const marks = estimates.map((one, i) => {
    if (!one) return undefined;
    const { value, low = value, high = value } = one, y = 8 + 9 * i;
    return markup`<g class="s${(i + colour) % 6}"><line x1="${at(low)}" x2="${
      at(high)
    }" y1="${y}" y2="${y}"/><circle cx="${at(value)}" cy="${y}" r="3.5"/></g>`;
  });
  return markup`<svg class="dots" width="100%" height="${7 + 9 * estimates.length}">${grid(scale)}${marks}</svg>`;
}

/** The numbers of a scale. */
export function axis(scale: number): Html {
  const numbers = marksOf(scale).map((value) =>
    markup`<text x="${(100 * value / scale).toFixed(2)}%" y="12" text-anchor="middle">${label(value)}</text>`
  );
  return markup`<svg class="dots" width="100%" height="16">${numbers}</svg>`;
}

const marksOf = (scale: number) => scaleLinear([0, scale], [0, 100]).ticks(4);

function grid(scale: number): Html[] {
  return marksOf(scale).map((value) => {
    const x = `${(100 * value / scale).toFixed(2)}%`;
    return markup`<line class="tick" x1="${x}" x2="${x}" y1="0" y2="100%"/>`;
  });
}
