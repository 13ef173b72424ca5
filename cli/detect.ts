/**
 * The command `detect`: landmarks of faces in images, as JSON lines, `.pts` files and overlays.
 *
 * @module
 */

import { Command, Option } from "@commander-js/extra-typings";
import { basename, dirname, extname, join, resolve } from "node:path";
import { parseCsv } from "../formats/csv.ts";
import { InputError } from "../formats/input_error.ts";
import { overlayLandmarks } from "../faces/draw.ts";
import { type Box, cropSquare, cropTransform, type Image } from "../faces/data/image.ts";
import { readImage, writePng } from "../faces/data/image_file.ts";
import { CROP_SCALE, invertAffine, transformLandmarks } from "../faces/landmarks.ts";
import { formatPts } from "../faces/pts.ts";
import { type Detector, loadDetector, uncertainty } from "../models/detectors/detector.ts";
import { searchFace } from "../models/detectors/face_search.ts";
import { type Context, Exit, SHIPPED_DETECTOR, UsageError } from "./command.ts";
import { openDevice } from "../engine/device.ts";

/** An image with the crop that goes to the detector. */
interface Work {
  readonly file: string;
  readonly image: Image;
  readonly crop: Box;
  /** Facts about the crop in the output. */
  readonly notes: Readonly<Record<string, unknown>>;
}

/**
 * Declares `detect`, which prints a JSON line for each image:
 *
 * - `landmarks`, `[P, 2]`, and `uncertainty_px`, `[P]`, see {@linkcode uncertainty}. It is no calibrated error. On
 *   two sets of rendered faces, in five and in six styles and turned far, its rank correlation with models/tiny's error
 *   was 0.40 and 0.33 with `--flip` (0.63 and 0.45 between means of faces), and 0.20 and 0.14 without; with it, errors
 *   were on average 1.1 to 1.2 times as large;
 * - `crop`, left, top and side of the square that the detector saw, and `crop_from`: the flag `box`, the file `boxes`,
 *   `none` for the whole image, or `search`, see {@linkcode searchFace}, with `approximate: true`;
 * - or `error` in place of these. The other images are done all the same, and the exit code is 1.
 *
 * Pixels count from 0 at the centre of the first one. Boxes are around the face from brows to chin, ear to ear, as
 * `x,y,width,height` from the image's left top corner.
 */
export const detect = (context: Context) =>
  new Command()
    .argument("<IMAGE|DIR...>", "PNG and JPEG files, or folders of them")
    .addOption(new Option("--detector <DIR>", "folder of a detector").default(SHIPPED_DETECTOR, "models/faces"))
    .addOption(
      new Option(
        "--box <X,Y,W,H>",
        "box of the face, brows to chin and ear to ear, in pixels; the same for every image",
      )
        .conflicts(["boxes", "crop"]),
    )
    .addOption(
      new Option("--boxes <FILE>", "CSV file with a box for each image: name,x,y,width,height").conflicts("crop"),
    )
    .addOption(
      new Option(
        "--crop <HOW>",
        "none uses whole images that are crops of faces already; without --box, --boxes and --crop " +
          "the detector searches for the face, which is approximate",
      ).choices(["none"]),
    )
    .option("--flip", "average the landmarks of the image and of its mirror image")
    .option("--out <DIR>", "write NAME.pts, and NAME.png with the landmarks drawn over the image, to this folder")
    .addHelpText("after", "\nExample:\n  deno task detect face.jpg --flip --out found")
    .action((paths, options) => detectPaths(paths, options, context));

interface DetectOptions {
  readonly detector: string;
  readonly box?: string | undefined;
  readonly boxes?: string | undefined;
  readonly crop?: "none" | undefined;
  readonly flip?: boolean | undefined;
  readonly out?: string | undefined;
}

async function detectPaths(
  paths: readonly string[],
  { detector: dir, box, boxes, crop, flip = false, out }: DetectOptions,
  { print, note }: Context,
): Promise<void> {
  try {
    const fromFile = boxes === undefined ? undefined : await readBoxes(boxes);
    const files = (await Promise.all(paths.map(imagesAt))).flat();
    const flag = box === undefined ? undefined : faceSquare(box, "--box");
    if (out !== undefined) await prepare(out, files);
    const device = await openDevice();
    try {
      const detector = await loadDetector(device, dir);
      const place = async (file: string, image: Image): Promise<Omit<Work, "file" | "image">> => {
        if (crop) return { crop: wholeOf(file, image), notes: { crop_from: "none" } };
        if (flag) return { crop: flag, notes: { crop_from: "box" } };
        if (fromFile) {
          const square = fromFile.get(basename(file)) ?? fromFile.get(stem(file));
          if (!square) throw new InputError(`Cannot place the face: ${boxes} has no line for ${basename(file)}`);
          return { crop: square, notes: { crop_from: "boxes" } };
        }
        const found = await searchFace(detector, image);
        if (!found) {
          throw new InputError("Cannot find a face in it", { hint: "give its place with --box x,y,width,height" });
        }
        const disagreement = Number(found.disagreement.toFixed(2));
        return { crop: found.box, notes: { crop_from: "search", approximate: true, disagreement } };
      };
      const started = performance.now();
      const failed = await detectAll(detector, files, { place, flip, out, print });
      const seconds = (performance.now() - started) / 1000;
      note(`${files.length} images, ${failed} failed, ${(files.length / seconds).toFixed(1)} images a second`);
      detector.destroy();
      if (failed) throw new Exit(1);
    } finally {
      device.destroy();
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new UsageError(`Cannot detect: ${error.message}`);
    throw error;
  }
}

interface How {
  place(file: string, image: Image): Promise<Omit<Work, "file" | "image">>;
  readonly flip: boolean;
  readonly out: string | undefined;
  print(line: string): void;
}

/** Detects image by image, so that memory does not grow with their number; returns how many failed. */
async function detectAll(detector: Detector, files: readonly string[], how: How): Promise<number> {
  const side = detector.config.size_px;
  type Item = Work | { readonly file: string; readonly error: string };
  async function* works(): AsyncGenerator<Item> {
    for (const file of files) {
      try {
        const image = await readImage(file);
        yield { file, image, ...await how.place(file, image) };
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        yield { file, error: error.message };
      }
    }
  }
  const cropOf = (item: Item) => "error" in item ? null : cropSquare(item.image, item.crop, side).data;
  let failed = 0;
  for await (const [item, found] of detector.each(works(), cropOf, side, { flip: how.flip })) {
    if ("error" in item) {
      failed++;
      how.print(JSON.stringify(item));
      continue;
    }
    const { file, image, crop, notes } = item;
    const prediction = found!;
    const face = transformLandmarks(prediction.landmarks, invertAffine(cropTransform(crop, side)));
    const pointOf = (index: number) => Array.from(face.subarray(2 * index, 2 * index + 2), round);
    const points = Array.from({ length: face.length / 2 }, (_, index) => pointOf(index));
    const uncertainty_px = Array.from(uncertainty(prediction), (px) => round(px * crop.side / side));
    const square = [crop.x, crop.y, crop.side].map(round);
    how.print(JSON.stringify({ file, ...notes, crop: square, landmarks: points, uncertainty_px }));
    if (how.out === undefined) continue;
    await Deno.writeTextFile(join(how.out, `${stem(file)}.pts`), formatPts(face));
    await writePng(join(how.out, `${stem(file)}.png`), overlayLandmarks(image, face, detector.schema));
  }
  return failed;
}

const round = (px: number) => Number(px.toFixed(3));
const stem = (file: string) => basename(file, extname(file));

/** The images of a folder, or the file itself. */
async function imagesAt(path: string): Promise<string[]> {
  if (!(await Deno.stat(path)).isDirectory) return [path];
  const names = (await Array.fromAsync(Deno.readDir(path))).filter(({ isFile }) => isFile).map(({ name }) => name);
  const images = names.filter((name) => /\.(png|jpe?g)$/i.test(name)).sort();
  if (!images.length) throw new InputError(`Cannot detect in ${path}: there is no PNG or JPEG in the folder`);
  return images.map((name) => join(path, name));
}

/** Makes the folder of the results; nothing that was there before the run is to be lost. */
async function prepare(out: string, files: readonly string[]): Promise<void> {
  const names = new Map<string, string>();
  for (const file of files) {
    const other = names.get(stem(file));
    if (other !== undefined) {
      throw new InputError(
        `Cannot write the results of ${file} and ${other} to one folder: both would be ${stem(file)}.pts`,
      );
    }
    names.set(stem(file), file);
    if (resolve(dirname(file)) === resolve(out)) {
      throw new InputError(`Cannot write to ${out}: it holds the images`, { hint: "--out with another folder" });
    }
  }
  await Deno.mkdir(out, { recursive: true });
}

function wholeOf(file: string, { width, height }: Image): Box {
  if (width === height) return { x: -0.5, y: -0.5, side: width };
  throw new InputError(`Cannot use ${file} whole: its size is ${width} x ${height}, and a square is expected`);
}

/** The square to cut out around a face given as `x,y,width,height`. */
function faceSquare(text: string, where: string): Box {
  const numbers = text.split(",").map((part) => part.trim() === "" ? NaN : Number(part));
  const areFour = (list: number[]): list is [number, number, number, number] =>
    list.length === 4 && list.every(Number.isFinite);
  if (!areFour(numbers) || numbers[2] <= 0 || numbers[3] <= 0) {
    throw new InputError(`Cannot read ${where} "${text}" as a box: x,y,width,height in pixels is expected`);
  }
  const [x, y, width, height] = numbers;
  const side = CROP_SCALE * Math.max(width, height);
  return { x: x + width / 2 - 0.5 - side / 2, y: y + height / 2 - 0.5 - side / 2, side };
}

/** Rows `name,x,y,width,height`; a first one that names the columns may be there. */
async function readBoxes(path: string): Promise<Map<string, Box>> {
  const boxes = new Map<string, Box>();
  for (const [i, { line, fields: [name = "", ...box] }] of parseCsv(await Deno.readTextFile(path), path).entries()) {
    if (i === 0 && name === "name") continue;
    if (!box.length) throw new InputError(`Cannot read ${path}:${line}: name,x,y,width,height is expected`);
    boxes.set(name, faceSquare(box.join(","), `${path}:${line}`));
  }
  return boxes;
}
