/**
 * The command `score`: detectors, and landmarks that other tools found, against true landmarks.
 *
 * @module
 */

import { Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { basename, join, resolve } from "node:path";
import { InputError } from "../formats/input_error.ts";
import { type Dataset, isDataset, openDataset, type Sample } from "../faces/data/dataset.ts";
import { openFolder } from "../faces/data/face_folder.ts";
import { accountLine, accountOf } from "../faces/data/folder/account.ts";
import { findOne, listFolder, NameFinder } from "../faces/data/folder_files.ts";
import { noteLine } from "../faces/data/index_file.ts";
import { type Box, cropSquare, cropTransform } from "../faces/data/image.ts";
import { boundingBox, CROP_SCALE, faceBox, transformLandmarks } from "../faces/landmarks.ts";
import { convertLandmarks, DEFAULT_SCHEMA, type SchemaName, schemaName, SCHEMAS } from "../faces/schema.ts";
import { evaluate, type Evaluation, type Measures, type Normaliser } from "../faces/metrics.ts";
import { type Origin, readPts } from "../faces/pts.ts";
import { loadDetector } from "../models/detectors/detector.ts";
import { collect, type Context, SHIPPED_DETECTOR, UsageError } from "./command.ts";
import { itemAt } from "../engine/lookup.ts";
import type { Device } from "../engine/device.ts";
import { gpuOption, LazyDevice } from "./_device.ts";
import { makeFolder, writeFile } from "../formats/files.ts";
import { formatTable } from "../runtime/run/progress.ts";
import { Random } from "../engine/rng.ts";
import { rates } from "../stages/lib/faces.ts";
import { fitsPath, globFilter } from "../stages/lib/glob.ts";
import { addResults, noResults, type Results, type Row, writeCed } from "../stages/report/_results.ts";

const NORMALISERS: readonly Normaliser[] = ["interocular", "interpupil", "box_diagonal"];

/** Cropping of images for the detector. */
type Crop = "none" | "landmarks";

/** `--detector`. */
export const detectorOption = () =>
  new Option("--detector <[NAME=]DIR>", "a detector; may be given several times; models/faces if nothing is given")
    .argParser<string[] | undefined>(collect);

/** `--predicted`. */
export const predictedOption = () =>
  new Option(
    "--predicted <[NAME=]DIR>",
    "a folder of another tool's .pts files, named as the images; may be given several times",
  ).argParser<string[] | undefined>(collect);

/** `--origin`. */
export const originOption = () =>
  new Option("--origin <NUMBER>", "coordinate of the centre of the first pixel in .pts files: 1 in 300-W's own")
    .choices(["0", "1"]).default("0");

/** `--schema`. */
export const schemaOption = () =>
  new Option("--schema <NAME>", "schema of the landmarks in .pts files; datasets have their own")
    .choices(schemaName.options).default(DEFAULT_SCHEMA);

/** `--crop`. */
export const cropOption = () =>
  new Option(
    "--crop <HOW>",
    "input of the detector: the whole image, or a square around the true landmarks; " +
      "without it, whole images if they are crops of faces already",
  ).choices(["none", "landmarks"]);

/** `--flip`. */
export const flipOption = () => new Option("--flip", "average the landmarks of the image and of its mirror image");

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

/** Tools as the command line names them. */
export interface ToolOptions {
  /** Detectors. */
  readonly detector?: readonly string[] | undefined;
  /** Landmarks of other tools. */
  readonly predicted?: readonly string[] | undefined;
}

/** Options of reading folders. */
export interface DataOptions {
  /** Of `.pts` files. */
  readonly origin: "0" | "1";
  /** Of `.pts` files. */
  readonly schema: SchemaName;
  /** Names of images of folders to leave out, with * and ?. */
  readonly exclude?: readonly string[] | undefined;
}

/** Options of measuring errors. */
export interface MeasureOptions extends DataOptions {
  /** By default `cropFor`. */
  readonly crop?: Crop | undefined;
  /** Length that errors are divided by. */
  readonly normaliser: Normaliser;
  /** Of failure rate and AUC, percent. */
  readonly thresholds: readonly number[];
  /** See `--gpu`. */
  readonly gpu?: string | undefined;
  /** True to average with the mirror image. */
  readonly flip?: boolean | undefined;
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
    if (out !== undefined) await writeResults(out, basename(resolve(dir)), scores);
  });
}

/** Runs an action; what it does not find is a wrong argument. */
export async function orUsageError(action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new UsageError(`Cannot score: ${error.message}`);
    throw error;
  }
}

/**
 * Reads the names of the tools; without any it is the detector that ships.
 *
 * @throws {UsageError} If two have one name.
 */
export function toolsOf({ detector = [], predicted = [] }: ToolOptions): Tool[] {
  const tools = [...detector.map(toolOf("detector")), ...predicted.map(toolOf("predicted"))];
  if (!tools.length) tools.push(toolOf("detector")(`faces=${SHIPPED_DETECTOR}`));
  const twice = tools.find(({ name }, i) => tools.findIndex((other) => other.name === name) < i);
  if (twice) {
    throw new UsageError(
      `Cannot score two tools called "${twice.name}", hint: name them: --${twice.kind} NAME=${twice.dir}`,
    );
  }
  return tools;
}

/** Opens a dataset, or a folder of images with `.pts` files. */
export async function openData(
  dir: string,
  { origin, schema, exclude = [] }: DataOptions,
  note: Context["note"],
): Promise<Dataset> {
  if (await isDataset(dir)) return await openDataset(dir);
  const filter = globFilter([], exclude, fitsPath);
  const folder = await openFolder(dir, {
    origin: Number(origin) as Origin,
    schema: SCHEMAS[schema],
    filter,
    remedy: "mend them, or move them to another folder",
  });
  for (const one of folder.notes) note(noteLine(one));
  note(`${dir}: ${accountLine(accountOf(folder))}`);
  return folder;
}

/** Measures a tool on a dataset. */
export async function scoreTool(
  tool: Tool,
  data: Dataset,
  { origin, crop, normaliser, thresholds, flip = false }: MeasureOptions,
  gpu: LazyDevice,
): Promise<Score> {
  const pairs = tool.kind === "detector"
    ? await detect(await gpu.open(), tool.dir, data, crop, flip)
    : await readPredicted(tool.dir, data, Number(origin) as Origin);
  const evaluation = evaluate(pairs.found, pairs.truth, data.schema, new Random(0, "score"), {
    normaliser,
    thresholds,
    styles: data.records.map(({ style }) => style),
    groups: data.records.map(({ group }) => group),
  });
  return { tool, evaluation, ...(pairs.crop && { crop: pairs.crop }) };
}

/** A folder with a name. */
export interface NamedFolder {
  /** Name in tables. */
  readonly name: string;
  /** Its path. */
  readonly dir: string;
}

/** A detector or landmarks to measure. */
export interface Tool extends NamedFolder {
  /** Kind of the folder. */
  readonly kind: "detector" | "predicted";
}

/** Measured errors, and the cropping of the images. */
export interface Score {
  /** Tool that was measured. */
  readonly tool: Tool;
  /** Its errors. */
  readonly evaluation: Evaluation;
  /** Cropping of the images, of detectors only. */
  readonly crop?: Crop;
}

/** Reads `NAME=DIR`, or `DIR` with the folder's own name. */
export function namedFolder(text: string): NamedFolder {
  const [, name = basename(resolve(text)), dir = text] = /^([^/=]+)=(.+)$/.exec(text) ?? [];
  return { name, dir };
}

function toolOf(kind: Tool["kind"]): (text: string) => Tool {
  return (text) => ({ kind, ...namedFolder(text) });
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

async function writeResults(out: string, dataset: string, scores: readonly Score[]): Promise<void> {
  const results = noResults();
  for (const { tool, evaluation } of scores) addResults(results, tool.name, dataset, evaluation);
  await makeFolder(out);
  await saveResults(out, results);
  await writeCed(join(out, "ced"), dataset, results.ced);
}

/** Writes `results.json` to a folder. */
export async function saveResults(dir: string, results: Results): Promise<void> {
  await writeFile(join(dir, "results.json"), JSON.stringify(results, null, 1) + "\n");
}

/** Landmarks found and true ones, `[n, P, 2]`, in one unit. */
interface Pairs {
  readonly found: Float32Array;
  readonly truth: Float32Array;
  readonly crop?: Crop;
}

async function detect(
  device: Device,
  dir: string,
  data: Dataset,
  asked: Crop | undefined,
  flip: boolean,
): Promise<Pairs> {
  const CHUNK = 64;
  const crop = asked ?? await cropFor(data);
  const detector = await loadDetector(device, dir);
  try {
    const side = detector.config.size_px;
    const count = data.records.length;
    const stride = 2 * data.schema.count;
    const [found, truth] = [new Float32Array(count * stride), new Float32Array(count * stride)];
    for (let first = 0; first < count; first += CHUNK) {
      const here = Math.min(CHUNK, count - first);
      const images = new Uint8Array(here * side * side * 3);
      for (let k = 0; k < here; k++) {
        const sample = await data.load(first + k);
        const box = boxOf(sample, crop);
        images.set(cropSquare(sample.image, box, side).data, k * side * side * 3);
        truth.set(transformLandmarks(sample.landmarks, cropTransform(box, side)), (first + k) * stride);
      }
      const { landmarks } = await detector.predict(images, side, { flip });
      found.set(convertLandmarks(landmarks, detector.schema, data.schema), first * stride);
    }
    return { found, truth, crop };
  } finally {
    detector.destroy();
  }
}

/** True if a folder's images are crops of faces already; see the command's help. */
async function cropFor(data: Dataset): Promise<Crop> {
  let fitting = 0;
  for (const [k, { landmarks }] of data.records.entries()) {
    let side = data.size_px;
    if (side === 0) {
      const { width, height } = (await data.load(k)).image;
      if (width !== height) return "landmarks";
      side = width;
    }
    const { width, height } = boundingBox(landmarks);
    const share = Math.max(width, height) / side;
    if (share >= 0.45 && share <= 0.9) fitting++;
  }
  return fitting >= data.records.length / 2 ? "none" : "landmarks";
}

function boxOf({ image: { width, height }, landmarks, record }: Sample, crop: Crop): Box {
  if (crop === "landmarks") return faceBox(landmarks, CROP_SCALE);
  if (width === height) return { x: -0.5, y: -0.5, side: width };
  throw new InputError(`Cannot use ${record.file_name} whole: its size is ${width} x ${height}`, {
    hint: "--crop landmarks",
  });
}

/** Reads the file of each image: of the same path, or of the same name if there are no folders. */
async function readPredicted(dir: string, { records, schema }: Dataset, origin: Origin): Promise<Pairs> {
  const stride = 2 * schema.count;
  const [found, truth] = [new Float32Array(records.length * stride), new Float32Array(records.length * stride)];
  const finder = new NameFinder(listFolder(dir).paths);
  const files = records.map(({ file_name }) => {
    const path = file_name.replace(/\.[^.]*$/, ".pts"), name = basename(path);
    return { name, file_name, file: findOne(finder, path) ?? findOne(finder, name) };
  });
  const missing = files.flatMap(({ name, file }) => file === undefined ? [name] : []);
  if (missing.length) {
    throw new UsageError(
      `Cannot score ${dir} as ${
        join(dir, itemAt(missing, 0, "missing files"))
      } is missing, one of ${missing.length} of ${files.length}, hint: a mean error ` +
        "needs landmarks of every image; leave out of --data those that a tool finds no face in, for all tools",
    );
  }
  const imageOf = new Map<string, string>();
  for (const { file = "", file_name } of files) {
    const other = imageOf.get(file) ?? file_name;
    if (other !== file_name) {
      throw new UsageError(
        `Cannot score ${dir}: ${file} would be the landmarks of ${other} and of ${file_name}, hint: use the same folders ` +
          "as --data",
      );
    }
    imageOf.set(file, file_name);
  }
  for (const [k, { file = "" }] of files.entries()) {
    found.set(await readPts(`${dir}/${file}`, schema, origin), k * stride);
    truth.set(itemAt(records, k, "records").landmarks, k * stride);
  }
  return { found, truth };
}
