/**
 * The command `score`: detectors, and landmarks that other tools found, against true landmarks.
 *
 * @module
 */
import { Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { basename, join, resolve } from "node:path";
import { itemAt } from "../engine/lookup.ts";
import { CROP_SCALE } from "../faces/landmarks.ts";
import { type Measures, NORMALISERS } from "../faces/metrics.ts";
import { makeFolder } from "../formats/files.ts";
import { formatTable } from "../runtime/run/progress.ts";
import { rates } from "../stages/lib/faces.ts";
import { addResults, noResults, type Row, writeCed, writeResults } from "../stages/report/_results.ts";
import { gpuOption, LazyDevice } from "./_device.ts";
import { openData, orUsageError, type Score, scoreTool } from "./_measure.ts";
import {
  cropOption,
  detectorOption,
  flipOption,
  type MeasureOptions,
  originOption,
  predictedOption,
  schemaOption,
  type ToolOptions,
  toolsOf,
} from "./_score_options.ts";
import type { Context } from "./command.ts";

/**
 * Declares `score`: measures detectors, and folders of `.pts` files that other tools wrote and that are named as the
 * images, on a dataset, or on a folder of images with a `.pts` file each.
 *
 * Prints a JSON line for one tool. Prints tables for several, or a JSON line each: all images, the regions and the styles
 * side by side, with 95 % intervals. `styles` lists each style of a dataset, or of the folder's `index.csv`, if there are
 * several.
 *
 * Whole images are the default if all are squares and the box of the landmarks takes between 0.45 and 0.9 of the side in
 * half of them or more; the output names the crop. `--crop landmarks` is {@linkcode CROP_SCALE} times the
 * longer side of that box, as in `dataset/import`.
 */
export const score = (context: Context) =>
  new Command()
    .addOption(detectorOption())
    .addOption(predictedOption())
    .requiredOption("--data <DIR>", "a dataset, or a folder of images with .pts files beside them")
    .addOption(originOption())
    .addOption(schemaOption())
    .addOption(cropOption())
    .addOption(
      new Option("--normaliser <LENGTH>", "length that errors are divided by").choices(NORMALISERS)
        .default("interocular" as const),
    )
    .addOption(
      new Option("--thresholds <PERCENT,...>", "error thresholds of failure rate and AUC, percent").argParser(
        thresholdsOf,
      )
        .default([10], "10"),
    )
    .addOption(gpuOption())
    .addOption(flipOption())
    .option("--json", "print a JSON line for each tool")
    .option("--out <DIR>", "write results.json, and error curves as ced.svg and ced.png, to this folder")
    .addHelpText(
      "after",
      "\nExample:\n  deno task score --data art --detector ours=runs/full/detector --predicted dlib=found",
    )
    .action((options) => scoreTools(options, context));

/** Least error, percent, that a threshold is set for; smaller numbers are fractions. */
const MIN_THRESHOLD = 0.5;

function thresholdsOf(text: string): number[] {
  const thresholds = text.split(",").map(Number);
  if (thresholds.every((threshold) => threshold > 0)) {
    if (thresholds.some((threshold) => threshold >= MIN_THRESHOLD)) return thresholds;
    throw new InvalidArgumentError(`They are percent: ${thresholds.map((part) => part * 100)} for these fractions?`);
  }
  throw new InvalidArgumentError("Numbers above 0 with commas between are expected.");
}

interface ScoreOptions extends ToolOptions, MeasureOptions {
  readonly data: string;
  readonly json?: true | undefined;
  readonly out?: string | undefined;
}

async function scoreTools(options: ScoreOptions, { print, note }: Context): Promise<void> {
  const { data: dir, json, out } = options;
  const tools = toolsOf(options);
  await orUsageError(async () => {
    const data = await openData(dir, options, note);
    await using gpu = new LazyDevice(options.gpu, note);
    const scores: Score[] = [];
    for (const tool of tools) scores.push(await scoreTool(tool, data, options, gpu));
    if (scores.length > 1 && !json) print(tables(scores));
    else for (const one of scores) print(JSON.stringify({ ...summaryOf(one), data: dir }));
    if (out !== undefined) await saveScores(out, basename(resolve(dir)), scores);
  });
}

/** The JSON line of a tool. */
function summaryOf(
  { tool: { kind, name, dir }, evaluation: { all, styles, normaliser }, crop }: Score,
): Record<string, unknown> {
  const part = ({ count, nme, failures, nme_interval }: Measures) => ({
    images: count,
    [`nme_${normaliser}`]: nme,
    ...rates(failures),
    nme_interval,
  });
  return {
    ...part(all),
    regions: all.regions,
    ...(Object.keys(styles).length > 1 && {
      styles: Object.fromEntries(Object.entries(styles).map(([style, measures]) => [style, part(measures)])),
    }),
    ...(crop && { crop: crop === "none" ? "none" : `landmarks, ${CROP_SCALE} x their box` }),
    name,
    [kind]: dir,
  };
}

/** All images, the regions and the styles, a column or a row for each tool. */
function tables(scores: readonly Score[]): string {
  const { styles, normaliser } = itemAt(scores, 0, "tools").evaluation;
  const interval = ({ nme, nme_interval }: Measures) =>
    nme.toFixed(2) + (nme_interval ? ` [${nme_interval.map((end) => end.toFixed(2)).join(", ")}]` : "");
  const whole = scores.map(({ tool: { name }, evaluation: { all } }): Row => ({
    tool: name,
    images: all.count,
    [`NME ${normaliser}, %`]: interval(all),
    ...rates(all.failures),
  }));
  const regions = scores.map(({ tool: { name }, evaluation: { all } }): Row => ({
    "tool by region": name,
    ...Object.fromEntries(Object.entries(all.regions).map(([region, nme]) => [region, nme.toFixed(2)])),
  }));
  const byStyle = Object.entries(styles).map(([style, { count }]): Row => ({
    style,
    images: count,
    ...Object.fromEntries(scores.map(({ tool, evaluation }) => [tool.name, interval(evaluation.styles[style]!)])),
  }));
  return formatTable([...whole, ...regions, ...(byStyle.length > 1 ? byStyle : [])]);
}

/** Writes the results of all tools, and their error curves. */
async function saveScores(out: string, dataset: string, scores: readonly Score[]): Promise<void> {
  const results = noResults();
  for (const { tool, evaluation } of scores) addResults(results, tool.name, dataset, evaluation);
  await makeFolder(out);
  await writeResults(out, results);
  await writeCed(join(out, "ced"), dataset, results.ced);
}
