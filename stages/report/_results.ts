/**
 * Results of detectors on datasets: the rows of tables, and error curves as files.
 *
 * @module
 */
import { z } from "zod";
import { cedCurve, type Evaluation, type Measures, type Normaliser } from "../../faces/metrics.ts";
import { roundTo } from "../../faces/statistics.ts";
import { writeFile } from "../../formats/files.ts";
import type { Field } from "../../runtime/stage.ts";
import { writeChart } from "./_chart_files.ts";
import { rates } from "../lib/faces.ts";
import type { ChartOptions } from "./_line_chart.ts";

/** A row of a table. */
export type Row = Record<string, Field>;

/** Content of a `results.json`. */
export interface Results {
  /** The table, and a row for each style of a dataset as `DATASET/STYLE`. */
  readonly rows: Row[];
  /** NME of each region, percent. */
  readonly regions: Row[];
  /** NME of each group of at least {@linkcode LEAST_IN_GROUP} images, percent. */
  readonly groups: Row[];
  /** Mean offset of each landmark. */
  readonly offsets: LandmarkOffsets[];
  /** Share of the images (y) with at most an error (x, percent). */
  readonly ced: Curve[];
  /** Landmarks found in the best and in the worst images, the smallest error first. */
  readonly examples: Example[];
  /** Distances of datasets from true images. */
  readonly distances: Distance[];
}

/** Distance of a dataset's images of a style from true ones. */
export interface Distance {
  readonly dataset: string;
  /** Dataset of the true images. */
  readonly reference: string;
  /** Null for all styles together. */
  readonly style: string | null;
  /** Images of each of the two. */
  readonly images: number;
  /** Kernel distance: about 0 for images of one distribution. */
  readonly kernel: number;
  /** Frechet distance, larger the fewer images there are. */
  readonly frechet: number;
}

/** Mean offsets of a detector's landmarks on a dataset. */
export interface LandmarkOffsets {
  readonly detector: string;
  readonly dataset: string;
  /** NME by the outer eye corners that is left without them, percent. */
  readonly nme_without_offsets: number | null;
  /** `[P]`, percent of the distance between the outer eye corners, along the eyes. */
  readonly x: readonly number[];
  /** `[P]`, the same at a right angle, down. */
  readonly y: readonly number[];
  /** `[P]`, the mean of the true landmarks in the same frame, from the middle of the outer eye corners. */
  readonly true_x: readonly number[];
  readonly true_y: readonly number[];
}

/** A cumulative error distribution. */
export interface Curve {
  readonly detector: string;
  readonly dataset: string;
  readonly x: readonly number[];
  readonly y: readonly number[];
}

/** An image with what a detector found in it. */
export interface Example {
  readonly detector: string;
  readonly dataset: string;
  readonly file_name: string;
  /** Percent. */
  readonly nme: number;
  /** `[P, 2]`, pixels. */
  readonly landmarks: readonly (readonly number[])[];
}

const cell = z.union([z.string(), z.number(), z.boolean(), z.null()]);
const rows = z.array(z.record(z.string(), cell)).default([]);
const named = { detector: z.string(), dataset: z.string() };
const numbers = z.array(z.number());

/** Reads a `results.json`: any table's, of which each part may be missing. */
export const resultsFile: z.ZodType<Results> = z.object({
  rows,
  regions: rows,
  groups: rows,
  offsets: z.array(
    z.object({
      ...named,
      nme_without_offsets: z.number().nullable(),
      x: numbers,
      y: numbers,
      true_x: numbers,
      true_y: numbers,
    }),
  ).default([]),
  ced: z.array(z.object({ ...named, x: numbers, y: numbers })).default([]),
  examples: z.array(
    z.object({ ...named, file_name: z.string(), nme: z.number(), landmarks: z.array(numbers) }),
  ).default([]),
  distances: z.array(
    z.object({
      dataset: z.string(),
      reference: z.string(),
      style: z.string().nullable(),
      images: z.number(),
      kernel: z.number(),
      frechet: z.number(),
    }),
  ).default([]),
});

/** Images that a group has at least to be listed: the error of fewer says little of it. */
const LEAST_IN_GROUP = 5;

/** Results without a row. */
export const noResults = (): Results => ({
  rows: [],
  regions: [],
  groups: [],
  offsets: [],
  ced: [],
  examples: [],
  distances: [],
});

/** Puts results together; those of a detector on a dataset take the place of earlier ones of the same names. */
export function joinResults(list: readonly Results[]): Results {
  const all = noResults();
  for (const [at, { rows, regions, groups, offsets, ced, examples, distances }] of list.entries()) {
    const later = new Set(list.slice(at + 1).flatMap(({ rows }) => rows.map(pairOf)));
    const last = <R extends Named>(one: R) => !later.has(pairOf(one));
    all.rows.push(...rows.filter(last));
    all.regions.push(...regions.filter(last));
    all.groups.push(...groups.filter(last));
    all.offsets.push(...offsets.filter(last));
    all.ced.push(...ced.filter(last));
    all.examples.push(...examples.filter(last));
    all.distances.push(...distances);
  }
  return all;
}

/** Something of a detector on a dataset, or on a style of it. */
interface Named {
  readonly detector?: unknown;
  readonly dataset?: unknown;
}

const pairOf = ({ detector, dataset }: Named) => JSON.stringify([detector, String(dataset).replace(/\/.*$/s, "")]);

/** Adds the errors of a detector on a dataset; returns the row of the whole dataset. */
export function addResults(results: Results, detector: string, dataset: string, evaluation: Evaluation): Row {
  const { all, styles, groups, offsets, nme_without_offsets, per_image, normaliser } = evaluation;
  const row = tableRow(detector, dataset, all, normaliser);
  results.rows.push(row);
  for (const [style, measures] of Object.entries(styles)) {
    results.rows.push(tableRow(detector, `${dataset}/${style}`, measures, normaliser));
  }
  results.regions.push({ detector, dataset, ...all.regions });
  for (const [group, { count, nme }] of Object.entries(groups)) {
    if (count < LEAST_IN_GROUP || count === all.count) continue;
    results.groups.push({ detector, dataset, group, images: count, [`nme_${normaliser}`]: nme });
  }
  const axis = (list: readonly number[], odd: number) =>
    list.filter((_, k) => k % 2 === odd).map((percent) => roundTo(percent, 3));
  const { mean, shape } = offsets;
  results.offsets.push({
    detector,
    dataset,
    nme_without_offsets,
    x: axis(mean, 0),
    y: axis(mean, 1),
    true_x: axis(shape, 0),
    true_y: axis(shape, 1),
  });
  const { error, share } = cedCurve(per_image);
  results.ced.push({ detector, dataset, x: error, y: share });
  return row;
}

function tableRow(detector: string, dataset: string, measures: Measures, normaliser: Normaliser): Row {
  const { count, nme, failures, nme_interval } = measures;
  const [nme_low, nme_high] = nme_interval ?? [null, null];
  return { detector, dataset, images: count, [`nme_${normaliser}`]: nme, ...rates(failures), nme_low, nme_high };
}

/** Style of the error curves of a dataset. */
export function cedOptions(dataset: string): ChartOptions {
  return { title: `${dataset}: images below an error`, xLabel: "NME, %", yRange: [0, 1], percent: true };
}

/** Writes `results.json` to a folder. */
export async function writeResults(dir: string, results: Results): Promise<void> {
  await writeFile(`${dir}/results.json`, JSON.stringify(results, null, 1) + "\n");
}

/** Writes the error curves of one dataset as `PATH.svg` and `PATH.png`. */
export async function writeCed(path: string, dataset: string, curves: readonly Curve[]): Promise<void> {
  const series = curves.filter((curve) => curve.dataset === dataset).map(({ detector, x, y }) => ({
    name: detector,
    x,
    y,
  }));
  await writeChart(path, series, cedOptions(dataset));
}
