/**
 * Tables of results in Markdown pages, between marks: figures of a page are written by the program that measured them.
 *
 * ```md
 * <!-- benchmark: overall detector=faces,tiny data=paintings -->
 * <!-- /benchmark -->
 * ```
 *
 * @module
 */
import { InputError } from "../formats/input_error.ts";
import { suggest } from "../formats/yaml_tree.ts";
import type { Results, Row } from "../stages/report/_results.ts";

/** A table: its columns, true for those of numbers, and its rows. */
interface Table {
  readonly columns: readonly (readonly [heading: string, isNumber: boolean])[];
  readonly rows: readonly (readonly string[])[];
}

/** Choices of a mark that go beyond its rows. */
interface Choice {
  /** Names of detectors in the order that is asked for; none for all as they come. */
  readonly detectors: readonly string[];
  /** Number of offsets. */
  readonly most: number;
}

/** Largest mean offsets that a table lists unless `most` is given. */
const MOST_OFFSETS = 10;

/** Tables that a page may ask for. */
const TABLES: Readonly<Record<string, (results: Results, choice: Choice) => Table>> = {
  overall: ({ rows }) => {
    const [first = {}] = rows;
    const measures = [...new Set(rows.flatMap(Object.keys))].filter((name) => /^(fr|auc)_/.test(name));
    return {
      columns: [...NAMES, ["images", true], [headingOf(measureOf(first)), true], ...measures.map(numeric)],
      rows: rows.filter(({ dataset }) => !isStyle(dataset)).map((row) => [
        ...pairOf(row),
        String(row["images"]),
        withInterval(row),
        ...measures.map((name) =>
          row[name] === undefined ? "" : Number(row[name]).toFixed(name.startsWith("auc_") ? 3 : 1)
        ),
      ]),
    };
  },
  summary: ({ rows }, { detectors: order }) => {
    const whole = rows.filter(({ dataset }) => !isStyle(dataset));
    const datasets = [...new Set(whole.map(({ dataset }) => dataset))];
    const detectors = [...Map.groupBy(whole, ({ detector }) => String(detector))]
      .sort(([a], [b]) => order.indexOf(a) - order.indexOf(b));
    const [first = {}] = whole;
    const measure = measureOf(first), failures = Object.keys(first).find((name) => name.startsWith("fr_")) ?? "";
    return {
      columns: [
        ["detector", false],
        ...datasets.flatMap((dataset) => [[`${dataset}: ${headingOf(measure)}`, true], numeric(failures)] as const),
      ],
      rows: detectors.map(([detector, own]) => [
        detector,
        ...datasets.flatMap((dataset) => {
          const row = own.find((one) => one["dataset"] === dataset);
          return row ? [Number(row[measure]).toFixed(2), Number(row[failures]).toFixed(1)] : ["", ""];
        }),
      ]),
    };
  },
  regions: ({ regions, offsets }) => {
    const names = Object.keys(regions[0] ?? {}).filter((name) => name !== "detector" && name !== "dataset");
    const left = (row: Row) =>
      offsets.find(({ detector, dataset }) => detector === row["detector"] && dataset === row["dataset"])
        ?.nme_without_offsets;
    return {
      columns: [...NAMES, ...names.map((name) => [name, true] as const), ["without mean offsets", true]],
      rows: regions.map((row) => [
        ...pairOf(row),
        ...names.map((name) => Number(row[name]).toFixed(1)),
        left(row)?.toFixed(2) ?? "",
      ]),
    };
  },
  styles: ({ rows }) =>
    sideBySide(
      "style",
      rows.filter(({ dataset }) => isStyle(dataset)).map((row) => {
        const [, dataset = "", style = ""] = /^([^/]*)\/(.*)$/s.exec(String(row["dataset"])) ?? [];
        return { ...row, dataset, name: style };
      }),
    ),
  groups: ({ groups }) => sideBySide("group", groups.map((row) => ({ ...row, name: String(row["group"]) }))),
  offsets: ({ offsets }, { most }) => ({
    columns: [...NAMES, numeric("landmark"), ["along the eyes, %", true], ["down, %", true]],
    rows: offsets.flatMap(({ detector, dataset, x, y }) =>
      x.map((along, landmark) => ({ landmark, along, down: y[landmark]! }))
        .sort((a, b) => Math.hypot(b.along, b.down) - Math.hypot(a.along, a.down))
        .slice(0, most)
        .map(({ landmark, along, down }) => [detector, dataset, String(landmark), signed(along), signed(down)])
    ),
  }),
};

/** Names of the tables. */
export const TABLE_NAMES: readonly string[] = Object.keys(TABLES);

const NAMES: Table["columns"] = [["detector", false], ["measured on", false]];
const numeric = (name: string) => [headingOf(name), true] as const;
const pairOf = (row: Row) => [String(row["detector"]), String(row["dataset"])];
const isStyle = (dataset: unknown) => String(dataset).includes("/");
const signed = (percent: number) => `${percent < 0 ? "" : "+"}${percent.toFixed(1)}`;

/** Column of the error: `nme_interocular` or of another normaliser. */
const measureOf = (row: Row) => Object.keys(row).find((name) => /^nme_(?!low$|high$)/.test(name)) ?? "";

function headingOf(name: string): string {
  const [, kind = "", rest = ""] = /^(nme|fr|auc)_(.*)$/.exec(name) ?? [];
  if (kind === "nme") return rest === "interocular" ? "NME, %" : `NME by ${rest.replaceAll("_", " ")}, %`;
  if (kind === "fr") return `FR${rest}, %`;
  return kind === "auc" ? `AUC${rest}` : name;
}

function withInterval(row: Row): string {
  const error = Number(row[measureOf(row)]).toFixed(2);
  const { nme_low: low, nme_high: high } = row;
  return typeof low === "number" && typeof high === "number"
    ? `${error} (${low.toFixed(2)}, ${high.toFixed(2)})`
    : error;
}

/** A line for each style or group, a column for each detector. */
function sideBySide(
  kind: string,
  rows: readonly (Row & { readonly dataset?: unknown; readonly name: string })[],
): Table {
  const detectors = [...new Set(rows.map((row) => String(row["detector"])))];
  const lines = Map.groupBy(rows, ({ dataset, name }) => JSON.stringify([dataset, name]));
  return {
    columns: [
      ["measured on", false],
      [kind, false],
      ["images", true],
      ...detectors.map((name) => [name, true] as const),
    ],
    rows: [...lines.values()].map((own) => [
      String(own[0]!.dataset),
      own[0]!.name,
      String(own[0]!["images"]),
      ...detectors.map((name) => own.filter((row) => row["detector"] === name).map(withInterval).join()),
    ]),
  };
}

/** Stands for a figure that was not measured. */
const ABSENT = "–";

/** The table as `deno fmt` writes it. */
function markdown({ columns, rows }: Table): string {
  const cells = rows.map((row) => row.map((text) => text.replaceAll("|", "\\|") || ABSENT));
  const widths = columns.map(([heading], k) => Math.max(3, heading.length, ...cells.map((row) => row[k]!.length)));
  const line = (row: readonly string[]) =>
    `| ${row.map((text, k) => columns[k]![1] ? text.padStart(widths[k]!) : text.padEnd(widths[k]!)).join(" | ")} |`;
  const rule = columns.map(([, isNumber], k) => isNumber ? `${"-".repeat(widths[k]! - 1)}:` : "-".repeat(widths[k]!));
  return [line(columns.map(([heading]) => heading)), line(rule), ...cells.map(line)].join("\n");
}

/** The results of some detectors on some datasets, in the order of their names. */
function select(results: Results, detectors: readonly string[], datasets: readonly string[]): Results {
  /** Place of a name in a list; all are in front of an empty one. */
  const placeIn = (names: readonly string[], name: unknown) => names.length ? names.indexOf(String(name)) : 0;
  const some = <R extends { readonly detector?: unknown; readonly dataset?: unknown }>(rows: readonly R[]): R[] =>
    rows.map((row) => ({
      row,
      dataset: placeIn(datasets, String(row.dataset).replace(/\/.*$/s, "")),
      detector: placeIn(detectors, row.detector),
    })).filter(({ dataset, detector }) => dataset >= 0 && detector >= 0)
      .sort((a, b) => a.dataset - b.dataset || a.detector - b.detector).map(({ row }) => row);
  return {
    rows: some(results.rows),
    regions: some(results.regions),
    groups: some(results.groups),
    offsets: some(results.offsets),
    ced: [],
    examples: [],
    distances: [],
  };
}

/** Names that a mark may choose from. */
export interface Measured {
  /** Detectors. */
  readonly detector: readonly string[];
  /** Datasets. */
  readonly data: readonly string[];
}

/** Names of the detectors and datasets of results. */
export function namesOf({ rows }: Results): Measured {
  return {
    detector: [...new Set(rows.map(({ detector }) => String(detector)))],
    data: [...new Set(rows.map(({ dataset }) => String(dataset)))].filter((name) => !isStyle(name)),
  };
}

/** A mark of a page, and the lines up to the one that closes it. */
interface Mark {
  readonly start: number;
  readonly section: string;
  readonly place: string;
  readonly name: string;
  readonly detectors: readonly string[];
  readonly datasets: readonly string[];
  readonly most: number;
}

/**
 * Reads the marks of a page.
 *
 * A mark is `<!-- benchmark: TABLE -->`, and may choose by `detector=NAME,...`, `data=NAME,...` and, of offsets, `most=N`.
 * The table goes between it and `<!-- /benchmark -->`.
 *
 * @param text The page.
 * @param measured Names that may be chosen.
 * @param path Name of the page, for errors.
 * @returns The marks.
 * @throws {InputError} If there is none, or one is wrong or asks for something that was not measured; with its line.
 */
export function marksOf(text: string, measured: Measured, path: string): Mark[] {
  const sections = [...text.matchAll(/^<!-- benchmark:(.*?)-->\n[^]*?^<!-- \/benchmark -->$/gm)];
  const opened = text.match(/^<!-- benchmark:/gm)?.length ?? 0;
  const closed = text.match(/^<!-- \/benchmark -->$/gm)?.length ?? 0;
  if (opened === 0 || opened !== sections.length || closed !== sections.length) {
    throw new InputError(
      `Cannot write tables to ${path}: it has ${opened} marks that open a table and ${closed} that close one`,
      { hint: `write lines "<!-- benchmark: ${TABLE_NAMES[0]} -->" and "<!-- /benchmark -->" where a table belongs` },
    );
  }
  return sections.map(({ 0: section, 1: words = "", index: start }) => {
    const place = `${path}:${text.slice(0, start).split("\n").length}`;
    return { start, section, place, ...readMark(words.trim().split(/\s+/), measured, place) };
  });
}

function readMark([name = "", ...choices]: readonly string[], measured: Measured, place: string) {
  if (!Object.hasOwn(TABLES, name)) {
    throw wrongMark(place, `there is no table "${name}"`, suggest(name, TABLE_NAMES, "tables"));
  }
  const chosen: Record<string, readonly string[]> = { detector: [], data: [], most: [String(MOST_OFFSETS)] };
  for (const choice of choices) {
    const [, key = "", list = ""] = /^(\w+)=(.+)$/.exec(choice) ?? [];
    if (!Object.hasOwn(chosen, key)) {
      throw wrongMark(place, `"${choice}" is no choice`, "detector=NAME,... or data=NAME,... or most=NUMBER");
    }
    chosen[key] = list.split(",");
  }
  for (const key of ["detector", "data"] as const) {
    const missing = chosen[key]!.find((one) => !measured[key].includes(one));
    if (missing !== undefined) {
      throw wrongMark(place, `${key} "${missing}" is not measured`, suggest(missing, measured[key], "measured are"));
    }
  }
  const most = Number(chosen["most"]!.join());
  if (!(Number.isInteger(most) && most > 0)) {
    throw wrongMark(place, `most must be a whole number from 1: current value is ${chosen["most"]!.join()}`);
  }
  return { name, detectors: chosen["detector"]!, datasets: chosen["data"]!, most };
}

function wrongMark(place: string, what: string, hint?: string): InputError {
  return new InputError(`Cannot write the table at ${place}: ${what}`, { ...(hint !== undefined && { hint }) });
}

/**
 * Fills the tables of a page, see {@linkcode marksOf}.
 *
 * @param text The page.
 * @param results Results of a benchmark.
 * @param path Name of the page, for errors.
 * @returns The page with all its tables rewritten.
 * @throws {InputError} As {@linkcode marksOf}, and if a table has no row.
 */
export function fillPage(text: string, results: Results, path: string): string {
  return marksOf(text, namesOf(results), path).reduceRight((page, mark) => {
    const { start, section, place, name, detectors, datasets } = mark;
    const table = TABLES[name]!(select(results, detectors, datasets), mark);
    if (!table.rows.length) throw wrongMark(place, `there is nothing to list by ${name}`);
    const whole = [section.slice(0, section.indexOf("\n")), markdown(table), "<!-- /benchmark -->"].join("\n\n");
    return page.slice(0, start) + whole + page.slice(start + section.length);
  }, text);
}
