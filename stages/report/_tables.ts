/**
 * Tables of a report: detectors on datasets, and the same by style and by region, with dots and intervals on one scale.
 *
 * @module
 */
import { formatField } from "../../runtime/run/progress.ts";
import { type Html, markup, type Part } from "../../formats/html.ts";
import { counted } from "../../formats/numbers.ts";
import type { Field } from "../../runtime/stage.ts";
import { axis, dots, type Estimate, scaleOf } from "./_dots.ts";

/** A row of a table by its columns. */
export type Row = Readonly<Record<string, Field>>;

/** Rows that belong together. */
interface Group<R extends Row> {
  readonly name: string;
  readonly first: R;
  /** All of them, the first included. */
  readonly rows: R[];
}

const minus = "\u2212";

/** Groups rows by a name that each of them has; groups stand in the order of their first rows. */
function groupBy<R extends Row>(rows: readonly R[], nameOf: (row: R) => string): Group<R>[] {
  const groups = new Map<string, Group<R>>();
  for (const row of rows) {
    const name = nameOf(row);
    const group = groups.get(name);
    if (group) group.rows.push(row);
    else groups.set(name, { name, first: row, rows: [row] });
  }
  return [...groups.values()];
}

/** Groups rows by the name of their dataset; the stage's name stands in front if there are several stages. */
function datasetGroups(rows: readonly Row[]): Group<Row>[] {
  const several = new Set(rows.map(({ stage }) => stage)).size > 1;
  return groupBy(
    rows,
    ({ stage, dataset }) =>
      [...(several || dataset === undefined ? [stage] : []), ...(dataset === undefined ? [] : [dataset])].join(": "),
  );
}

/** Large numbers on top: the gain of each dataset's best detector on the first one. */
export function headlines(rows: readonly Row[]): Part {
  const tiles = datasetGroups(rows).map(({ name, first, rows: group }): Part => {
    const measure = Object.keys(first).find(isError);
    if (!measure || group.length < 2) return undefined;
    const best = group.reduce((a, b) => Number(b[measure]) < Number(a[measure]) ? b : a);
    const [from, to] = [Number(first[measure]), Number(best[measure])];
    const { low, high } = estimate(first);
    const compared = typeof best["change_low"] === "number";
    const unsure = compared ? within(0, best["change_low"], best["change_high"]) : within(to, low, high);
    const doubt = !compared && low === undefined ? ", of one group only" : unsure ? ", within the 95 % interval" : "";
    const gained = best === first
      ? markup`no detector is better than <b>${String(first["detector"])}</b>`
      : markup`<b>${String(best["detector"])}</b>, ${change(to, from)} against <b>${
        String(first["detector"])
      }</b>${doubt}`;
    return markup`
      <li>
        <h3>${name}</h3>
        <p class="big">${best === first ? undefined : markup`<small>${from.toFixed(2)} \u2192</small> `}${
      to.toFixed(2)
    }<small> %</small></p>
        <p>${gained}</p>
        <p>${measure.slice(4).replaceAll("_", " ")} NME, ${counted(Number(first["images"]), "image")}</p>
      </li>
    `;
  }).filter(Boolean);
  return tiles.length ? markup`<ul class="tiles">${tiles}</ul>` : undefined;
}

/** One table for all rows with the same columns, grouped by dataset; the best of each group is marked. */
export function resultTables(rows: readonly Row[]): Part {
  return groupBy(rows, (row) => Object.keys(row).join("\t")).map(resultTable);
}

const inPlace = ["stage", "dataset", "images", "nme_low", "nme_high"];

function resultTable({ first, rows }: Group<Row>): Html {
  const names = Object.keys(first).filter((name) => !inPlace.includes(name) && !name.endsWith("_high"));
  const scale = scaleOf(rows.map((row) => estimate(row)));
  const groups = datasetGroups(rows);
  const compared = groups.some(({ rows }) => rows.length > 1);
  // Room for a change is kept also where there is none, so that numbers stand below each other.
  const gap = (text: string) => compared ? markup`<small class="change">${text}</small>` : undefined;
  const withInterval = (name: string) => isError(name) && "nme_low" in first;
  const columns: Columns = { scale, gap, withInterval };
  const head = names.map((name) => {
    const number = typeof first[name] === "number";
    return markup`<th class="${number ? "number" : ""}">${heading(name)}${isMeasure(name) ? gap("") : undefined}</th>${
      withInterval(name) ? markup`<th class="plot">95 % interval</th>` : undefined
    }`;
  });
  const foot = names.map((name) =>
    markup`<td></td>${withInterval(name) ? markup`<td class="plot">${axis(scale)}</td>` : undefined}`
  );
  const body = groups.map(({ name: title, first, rows: group }) => {
    const cells = (row: Row, i: number) => names.map((name) => cellOf(name, row, i, group, columns));
    const { images } = first;
    return markup`
      <tbody>
        <tr>
          <th colspan="${names.length + 1}" scope="rowgroup">
            ${title} <small>${images === undefined ? "" : counted(Number(images), "image")}</small>
          </th>
        </tr>
        ${group.map((row, i) => markup`<tr>${cells(row, i)}</tr>\n`)}
      </tbody>
    `;
  });
  return markup`
    <div class="wide">
      <table class="results">
        <thead><tr>${head}</tr></thead>
        ${body}
        <tfoot><tr>${foot}</tr></tfoot>
      </table>
    </div>
  `;
}

/** Properties that the cells of a table share. */
interface Columns {
  /** End of the scale of intervals. */
  readonly scale: number;
  /** A change, or the room for one. */
  gap(text: string): Part;
  /** Tests if a column has a plot of intervals behind it. */
  withInterval(name: string): boolean;
}

/** The cell of a column in row `i` of a group, with the plot behind it. */
function cellOf(name: string, row: Row, i: number, group: readonly Row[], { scale, gap, withInterval }: Columns): Html {
  const value = row[name];
  if (typeof value !== "number") return markup`<td>${formatField(value)}</td>`;
  if (name.endsWith("_low")) {
    const ends = [value, Number(row[name.replace(/low$/, "high")])].map((end) => end.toFixed(1).replace("-", minus));
    return markup`<td class="number">${ends.join(" to ")}</td>`;
  }
  if (!isMeasure(name)) return markup`<td class="number">${formatField(value)}</td>`;
  const rivals = group.map((other) => Number(other[name]));
  const best = name.startsWith("auc_") ? Math.max(...rivals) : Math.min(...rivals);
  const alone = rivals.filter((rival) => rival === best).length === 1;
  const kind = rivals.length > 1 && alone && value === best ? "number best" : "number";
  const { low, high } = estimate(row);
  const interval = withInterval(name) && low !== undefined && high !== undefined
    ? `${low.toFixed(2)} to ${high.toFixed(2)}`
    : undefined;
  return markup`<td class="${kind}">${formatField(value, name)}${
    gap(i > 0 ? change(value, Number(group[0]?.[name])) : "")
  }${interval && markup`<small class="ends">${interval}</small>`}</td>${
    interval && markup`<td class="plot">${dots([estimate(row)], scale, i)}<small>${interval}</small></td>`
  }`;
}

/** Detectors side by side, a line for each style or region, which is the `name` of a row. */
export function comparison(title: string, rows: readonly (Row & { readonly name: string })[], measure: string): Html {
  const detectors = [...new Set(rows.map(({ detector }) => String(detector)))];
  const scale = scaleOf(rows.map((row) => estimate(row, measure)));
  const lines = groupBy(rows, ({ name }) => name).map(({ name, first, rows: group }) => {
    const found = detectors.map((detector) => group.find((row) => row["detector"] === detector));
    const estimates = found.map((row) => row && estimate(row, measure));
    const best = Math.min(...estimates.flatMap((one) => one?.value ?? []));
    const numbers = estimates.map((one) =>
      markup`<td class="number ${one?.value === best && detectors.length > 1 ? "best" : ""}">${
        one ? one.value.toFixed(2) : ""
      }</td>`
    );
    const { images } = first;
    return markup`<tr><td>${name}${
      images === undefined ? undefined : markup` <small>${formatField(images)}</small>`
    }</td>
<td class="plot">${dots(estimates, scale)}</td>${numbers}</tr>\n`;
  });
  const heads = detectors.map((detector, i) => markup`<th class="number"><i class="s${i % 6}"></i>${detector}</th>`);
  return markup`
    <figure class="card wide comparison">
      <figcaption>${title}</figcaption>
      <table>
        <thead><tr><th></th><th class="plot">${heading(measure)}</th>${heads}</tr></thead>
        <tbody>${lines}</tbody>
        <tfoot><tr><td></td><td class="plot">${axis(scale)}</td><td></td></tr></tfoot>
      </table>
    </figure>
  `;
}

const isMeasure = (name: string) => /^(nme|fr|auc)_/.test(name);
const isError = (name: string) => name.startsWith("nme_") && name !== "nme_low" && name !== "nme_high";

function estimate(row: Row, measure = Object.keys(row).find(isError) ?? ""): Estimate {
  const [value, low, high] = [measure, "nme_low", "nme_high"].map((name) => row[name]);
  return { value: Number(value), ...(typeof low === "number" && typeof high === "number" && { low, high }) };
}

const within = (value: number, low: Field | undefined, high: Field | undefined) =>
  typeof low === "number" && low <= value && value <= Number(high);

/** Heading of a column, in words. */
function heading(name: string): Html {
  const kind = name.slice(0, name.indexOf("_") + 1), rest = name.slice(kind.length);
  if (kind === "nme_") return markup`NME, % <small>${rest.replaceAll("_", " ")}</small>`;
  if (kind === "fr_") return markup`Failures, % <small>at ${rest} %</small>`;
  if (kind === "auc_") return markup`AUC <small>at ${rest} %</small>`;
  if (name.endsWith("_low")) return markup`${name.slice(0, -4)}, % <small>95 % interval</small>`;
  return markup`${name.replaceAll("_", " ")}`;
}

/** `−16 %`, or nothing. */
function change(value: number, from: number): string {
  const percent = 100 * (value - from) / from;
  const size = Math.abs(percent).toFixed(Math.abs(percent) < 9.95 ? 1 : 0);
  return from === 0 || Number(size) === 0 ? "" : `${percent > 0 ? "+" : minus}${size} %`;
}
