/**
 * Distances of datasets from true images, as a report shows them.
 *
 * @module
 */

import { type Html, markup } from "../../formats/html.ts";
import type { Distance } from "./_results.ts";

/**
 * A table of a reference: a line for all styles together and one for each, a pair of columns for each dataset.
 *
 * @param distances Of one stage, and so of one reference.
 */
export function distanceTable(distances: readonly Distance[]): Html | undefined {
  const [first] = distances;
  if (!first) return undefined;
  const datasets = [...new Set(distances.map(({ dataset }) => dataset))];
  const styles = [...Map.groupBy(distances, ({ style }) => style)];
  const lines = styles.map(([style, own]) => {
    const cells = datasets.flatMap((dataset) => {
      const found = own.find((row) => row.dataset === dataset);
      return [found?.kernel, found?.frechet].map((value) =>
        markup`<td class="number">${value === undefined ? "" : value.toFixed(2).replace("-", "\u2212")}</td>`
      );
    });
    return markup`<tr><td>${style ?? "all styles"} <small>${String(own[0]?.images ?? "")}</small></td>${cells}</tr>\n`;
  });
  const heads = datasets.map((dataset) =>
    markup`<th class="number">${dataset} <small>kernel</small></th><th class="number"><small>Frechet</small></th>`
  );
  return markup`
    <figure class="card wide">
      <figcaption>Distance from ${first.reference}, in features of a detector</figcaption>
      <table class="distances">
        <thead><tr><th></th>${heads}</tr></thead>
        <tbody>${lines}</tbody>
      </table>
    </figure>
  `;
}
