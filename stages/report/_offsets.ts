/**
 * Mean offsets of landmarks as a figure: where the annotators put them, and where a detector does.
 *
 * @module
 */
import { type Html, markup } from "../../formats/html.ts";
import type { LandmarkOffsets } from "./_results.ts";

/** Pixels of a percent of the eye distance, and room around the face. */
const SCALE = 1.3, MARGIN = 12;

/**
 * A figure for each detector: the mean true landmarks as dots, with a line from each to the mean of those found.
 *
 * @param dataset Its name.
 * @param list Offsets of the detectors on it.
 */
export function offsetFigures(dataset: string, list: readonly LandmarkOffsets[]): Html[] {
  return list.map(({ detector, nme_without_offsets, x, y, true_x, true_y }) => {
    const left = Math.min(...true_x) * SCALE - MARGIN, top = Math.min(...true_y) * SCALE - MARGIN;
    const width = Math.max(...true_x) * SCALE + MARGIN - left, height = Math.max(...true_y) * SCALE + MARGIN - top;
    const marks = x.map((dx, i) => {
      const [x0, y0] = [true_x[i]! * SCALE, true_y[i]! * SCALE];
      const [x1, y1] = [x0 + dx * SCALE, y0 + y[i]! * SCALE].map((px) => px.toFixed(1));
      const far = Math.hypot(dx, y[i]!).toFixed(1);
      return markup`<g><title>landmark ${i}: ${far} %</title><line x1="${x0.toFixed(1)}" y1="${
        y0.toFixed(1)
      }" x2="${x1}" y2="${y1}"/><circle cx="${x0.toFixed(1)}" cy="${y0.toFixed(1)}" r="1.8"/></g>`;
    });
    const box = [left, top, width, height].map((px) => px.toFixed(1)).join(" ");
    const rest = nme_without_offsets === null ? "" : `, ${nme_without_offsets.toFixed(2)} % without them`;
    return markup`
      <figure class="card offsets">
        <figcaption>${dataset}: mean offsets of ${detector}${rest}</figcaption>
        <svg viewBox="${box}" width="${width.toFixed(0)}" height="${height.toFixed(0)}">${marks}</svg>
      </figure>
    `;
  });
}
