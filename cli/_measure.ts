/**
 * Measures tools on datasets: detectors, and landmarks that other tools found, against true landmarks.
 *
 * @module
 */
import { basename, join } from "node:path";
import type { Device } from "../engine/device.ts";
import { itemAt } from "../engine/lookup.ts";
import { Random } from "../engine/rng.ts";
import { type Dataset, isDataset, openDataset, type Sample } from "../faces/data/dataset.ts";
import { openFolder } from "../faces/data/face_folder.ts";
import { accountLine, accountOf } from "../faces/data/folder/account.ts";
import { findOne, listFolder, NameFinder } from "../faces/data/folder_files.ts";
import { type Box, cropSquare, cropTransform } from "../faces/data/image.ts";
import { noteLine } from "../faces/data/index_file.ts";
import { boundingBox, CROP_SCALE, faceBox, transformLandmarks } from "../faces/landmarks.ts";
import { evaluate, type Evaluation } from "../faces/metrics.ts";
import { type Origin, readPts } from "../faces/pts.ts";
import { convertLandmarks, SCHEMAS } from "../faces/schema.ts";
import { InputError } from "../formats/input_error.ts";
import { loadDetector } from "../models/detectors/detector.ts";
import { fitsPath, globFilter } from "../stages/lib/glob.ts";
import type { LazyDevice } from "./_device.ts";
import type { Crop, DataOptions, MeasureOptions, Tool } from "./_score_options.ts";
import { type Context, UsageError } from "./command.ts";

/** Runs an action; what it does not find is a wrong argument. */
export async function orUsageError(action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new UsageError(`Cannot score: ${error.message}`);
    throw error;
  }
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

/** Measured errors, and the cropping of the images. */
export interface Score {
  /** Tool that was measured. */
  readonly tool: Tool;
  /** Its errors. */
  readonly evaluation: Evaluation;
  /** Cropping of the images, of detectors only. */
  readonly crop?: Crop;
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
