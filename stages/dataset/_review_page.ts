/**
 * `review.html`: pairs in the order of doubt, each with the requested and the found landmarks.
 *
 * @module
 */

import type { DatasetRecord } from "../../faces/data/dataset.ts";
import { contourPath } from "../../faces/draw.ts";
import type { Landmarks } from "../../faces/landmarks.ts";
import type { LandmarkSchema } from "../../faces/schema.ts";
import { Html, markup } from "../../formats/html.ts";

/** Verdict on a pair. */
export type Verdict = "kept" | "rejected" | "duplicate";

/** A pair and its review. */
export interface ReviewedPair {
  /** Into the dataset's records. */
  readonly index: number;
  readonly record: DatasetRecord;
  /** Percent. */
  readonly alignment_nme: number;
  /** Robust standard deviations above the median of its style. */
  readonly doubt: number;
  verdict: Verdict;
}

/** A pair that is shown. */
export interface ShownPair extends ReviewedPair {
  /** Bytes of the image's file, PNG. */
  readonly png: Uint8Array;
  /** Landmarks that the detector found, `[P, 2]`, pixels. */
  readonly found: Landmarks;
}

/** Counts of a style's pairs, and the statistics of their `alignment_nme`, percent. */
export interface StyleCounts {
  readonly style: string;
  readonly pairs: number;
  readonly kept: number;
  readonly rejected: number;
  readonly duplicate: number;
  readonly median: number;
  readonly deviation: number;
}

const STYLE = `
  :root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif; }
  body { margin: 0 auto; max-width: 1152px; padding: 24px; }
  table { border-collapse: collapse; margin: 12px 0; }
  th, td { padding: 2px 12px 2px 0; text-align: right; font-variant-numeric: tabular-nums; }
  th:first-child, td:first-child { text-align: left; }
  ol { display: grid; grid-template-columns: repeat(auto-fill, minmax(168px, 1fr)); gap: 12px; padding: 0; list-style: none; }
  figure { margin: 0; border: 2px solid transparent; }
  .rejected { border-color: #c2255c; }
  .duplicate { border-color: #b0820a; }
  .picture { position: relative; }
  img { display: block; width: 100%; image-rendering: pixelated; }
  svg { position: absolute; inset: 0; width: 100%; height: 100%; }
  path { fill: none; vector-effect: non-scaling-stroke; stroke-width: 1.2; }
  .asked { stroke: #00e5ff; }
  .found { stroke: #ffd400; }
  .picture:hover path { opacity: 0; }
  figcaption { padding: 4px; font-size: 12px; overflow-wrap: anywhere; }
  .key { padding: 0 6px; background: #333; }
`;

/**
 * Returns the HTML of the page, which is self-contained.
 *
 * @param dataset Id of the stage that made the pairs.
 * @param detector Id of the stage of the detector that judged them.
 * @param source Side of the images, pixels, and schema of the landmarks.
 */
export function reviewPage(
  dataset: string,
  detector: string,
  { size_px, schema }: { readonly size_px: number; readonly schema: LandmarkSchema },
  styles: readonly StyleCounts[],
  pairs: readonly ShownPair[],
): string {
  const outline = (landmarks: Landmarks, kind: string) =>
    markup`<path class="${kind}" d="${contourPath(landmarks, schema)}"/>`;
  const figure = ({ record, png, found, alignment_nme, doubt, verdict }: ShownPair) => {
    const edits = (record.edits ?? []).map(({ edit, amount }) => `${edit} ${amount.toFixed(2)}`).join(", ");
    // Landmarks count from the centre of the first pixel, SVG from its corner.
    return markup`
      <li><figure class="${verdict}">
        <div class="picture">
          <img src="data:image/png;base64,${png.toBase64()}" alt="${record.prompt ?? record.style}">
          <svg viewBox="-0.5 -0.5 ${size_px} ${size_px}">${outline(record.landmarks, "asked")}${
      outline(found, "found")
    }</svg>
        </div>
        <figcaption><b>${record.style}</b> ${alignment_nme.toFixed(1)} %, doubt ${doubt.toFixed(1)}, ${verdict}<br>
          ${record.file_name}${edits && `, ${edits}`}</figcaption>
      </figure></li>
    `;
  };
  const rows = styles.map(({ style, pairs, kept, rejected, duplicate, median, deviation }) =>
    markup`<tr><td>${style}</td><td>${pairs}</td><td>${kept}</td><td>${rejected}</td><td>${duplicate}</td>
      <td>${median.toFixed(2)}</td><td>${deviation.toFixed(2)}</td></tr>`
  );
  return markup`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>Review of ${dataset}</title>
        <style>${new Html(STYLE)}</style>
      </head>
      <body>
        <h1>Review of ${dataset}</h1>
        <p>Pictures with the landmarks <span class="key asked" style="color: #00e5ff">asked for</span> and those that
          ${detector} <span class="key found" style="color: #ffd400">found</span>, the most doubtful first. Doubt is the
          distance from the median of the style in robust standard deviations. Point at a picture to see it alone.</p>
        <table>
          <thead>
            <tr><th>style</th><th>pairs</th><th>kept</th><th>rejected</th><th>duplicates</th>
              <th>median alignment_nme, %</th><th>deviation, %</th></tr>
          </thead>
          <tbody>${rows}</tbody>
        </table>
        <ol>${pairs.map(figure)}</ol>
      </body>
    </html>
  `.text;
}
