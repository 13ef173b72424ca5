/**
 * The command `detect`: every face of pictures, with its landmarks, as JSON lines and files of many formats.
 *
 * @module
 */

import { Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { createHash } from "node:crypto";
import { basename, extname, resolve } from "node:path";
import { exists, readBytes } from "../formats/files.ts";
import { InputError } from "../formats/input_error.ts";
import { counted } from "../formats/numbers.ts";
import type { Image } from "../faces/data/image.ts";
import { decodeImage, readImage } from "../faces/data/image_file.ts";
import { CROP_SCALE } from "../faces/landmarks.ts";
import type { LandmarkSchema } from "../faces/schema.ts";
import { loadDetector } from "../models/detectors/detector.ts";
import { findFacesOfEach, type FindFacesOptions, type Picture } from "../models/detectors/find_faces.ts";
import { FaceTracker } from "../models/detectors/track_faces.ts";
import { loadFinder, MIN_SCORE } from "../models/finder/finder.ts";
import type { FacePlace } from "../faces/place.ts";
import { checkNames, type GivenBox, parseBox, placesIn, readBoxes, type Source, sourcesOf } from "./_detect_inputs.ts";
import { RESULT_FORMATS, ResultFolder, type ResultFormat, type Row } from "./_detect_results.ts";
import { rowOf } from "../models/detectors/face_rows.ts";
import { Tally } from "./_detect_tally.ts";
import { gpuOption, LazyDevice } from "./_device.ts";
import {
  type Context,
  Exit,
  flagOf,
  number,
  SHIPPED_DETECTOR,
  SHIPPED_FINDER,
  STANDARD_INPUT,
  UsageError,
} from "./command.ts";

/** Frames a second of a video. */
const FPS = 25;
const FORMATS = Object.keys(RESULT_FORMATS) as ResultFormat[];

/**
 * Declares `detect`, which prints a JSON line for each picture, see {@linkcode Row}: its faces, or the error of a file that
 * is no picture. The other pictures are done nevertheless, and the exit code is 1.
 *
 * The uncertainty of a landmark is no calibrated error, see {@linkcode uncertainty}: it ranks faces and points.
 */
export const detect = (context: Context) =>
  new Command()
    .argument(
      "<IMAGE|DIR...>",
      "pictures, folders with all below them, patterns as in 'scans/**/*.jpg', or - for a picture on standard input",
    )
    .addOption(new Option("--detector <DIR>", "folder of a detector").default(SHIPPED_DETECTOR, "models/faces"))
    .addOption(new Option("--finder <DIR>", "folder of a face finder").default(SHIPPED_FINDER, "models/faces/finder"))
    .addOption(
      new Option("--min-score <SCORE>", `least score of a face; ${MIN_SCORE} unless given`)
        .argParser(number("a number from 0 to 1", (value) => value >= 0 && value <= 1)),
    )
    .addOption(
      new Option("--max-faces <COUNT>", "most faces of a picture, those of the highest score; all unless given")
        .argParser(number("a whole number from 1", (value) => Number.isInteger(value) && value >= 1)),
    )
    .addOption(
      new Option("--min-size <PX>", "least size of a face, brows to chin or ear to ear, in pixels of the picture")
        .argParser(number("a number above 0", (value) => value > 0 && Number.isFinite(value))),
    )
    .addOption(
      new Option(
        "--box <X,Y,W,H>",
        "box of the face, brows to chin and ear to ear, in pixels; the same for every picture",
      ).conflicts(["boxes", "crop"]),
    )
    .addOption(
      new Option(
        "--boxes <FILE>",
        "CSV file with a box for each face, several for a picture of several: name,x,y,width,height",
      ).conflicts("crop"),
    )
    .addOption(
      new Option("--crop <HOW>", "none uses whole pictures that are crops of one face already").choices(["none"]),
    )
    .addOption(gpuOption())
    .option(
      "--flip",
      "average the landmarks of a face and of its mirror image, both also moved a little: slower, more accurate",
    )
    .option(
      "--frames",
      "the pictures are a video's frames in the order of their names: faces keep their numbers, and landmarks are " +
        "smoothed over time",
    )
    .addOption(
      new Option("--fps <RATE>", `frames a second of --frames; ${FPS} unless given`)
        .argParser(number("a number above 0", (value) => value > 0 && Number.isFinite(value))),
    )
    .option("--out <DIR>", "write the rows to faces.jsonl in this folder, and files in the formats of --format")
    .addOption(
      new Option(
        "--format <NAME,...>",
        `files to write to --out: ${Object.entries(RESULT_FORMATS).map(([name, doc]) => `${name}: ${doc}`).join("; ")}`,
      ).argParser(formatsOf).default(["pts", "png"] as ResultFormat[], "pts,png"),
    )
    .option("--overwrite", "start over in a folder that has results; without it they are kept, and the run continues")
    .addHelpText("after", "\nExample:\n  deno task detect scans --out found --format pts,csv,sheet")
    .action((args, options) => detectAll(args, options, context));

function formatsOf(text: string): ResultFormat[] {
  return [...new Set(text.split(","))].map((name) => {
    const format = FORMATS.find((format) => format === name.trim());
    if (!format) throw new InvalidArgumentError(`"${name}" is none of ${FORMATS.join(", ")}.`);
    return format;
  });
}

interface DetectOptions {
  readonly detector: string;
  readonly finder: string;
  readonly minScore?: number | undefined;
  readonly maxFaces?: number | undefined;
  readonly minSize?: number | undefined;
  readonly box?: string | undefined;
  readonly boxes?: string | undefined;
  readonly crop?: "none" | undefined;
  readonly gpu?: string | undefined;
  readonly flip?: boolean | undefined;
  readonly frames?: boolean | undefined;
  readonly fps?: number | undefined;
  readonly out?: string | undefined;
  readonly format: readonly ResultFormat[];
  readonly overwrite?: boolean | undefined;
}

/** A picture that was read. */
interface Work {
  readonly source: Source;
  readonly picture: Picture;
  /** The file, where it cannot be read again. */
  readonly bytes?: Uint8Array;
}

/** A file that is no picture. */
interface Failed {
  readonly source: Source;
  readonly error: string;
}

async function detectAll(args: readonly string[], options: DetectOptions, context: Context): Promise<void> {
  const { out, crop, frames = false, fps } = options;
  if (fps !== undefined && !frames) throw new UsageError("Cannot use --fps without --frames");
  const sources = await sourcesOf(args, out);
  if (frames) sources.sort((a, b) => byNumber.compare(a.path, b.path));
  const boxed = await boxesOf(options);
  if (out !== undefined) checkNames(sources, out);
  const areKnown = boxed !== undefined || crop !== undefined;
  if (areKnown) refuseFinderOptions(options);
  await using gpu = new LazyDevice(options.gpu, context.note);
  const device = await gpu.open();
  using detector = await loadDetector(device, options.detector, { partial: true });
  using finder = areKnown ? null : await loadFinder(device, options.finder);
  const results = out === undefined ? undefined : await openResults(out, args, sources, detector.schema, options);
  const open = results ? sources.filter((source) => !results.has(source)) : sources;
  if (results) await printKept(results, sources, context);
  const tally = new Tally(sources.length, open.length, context);
  const found = findFacesOfEach(
    finder,
    detector,
    worksOf(open, (image, source) => {
      if (boxed) return placesIn(boxed(source), image);
      return crop && [wholeOf(source.file, image)];
    }),
    (work) => "error" in work ? null : work.picture,
    searchOptions(options),
  );
  const tracker = frames ? new FaceTracker(detector.schema, { fps: fps ?? FPS }) : undefined;
  for await (const [work, untracked] of found) {
    const { source } = work, faces = tracker?.next(untracked) ?? untracked;
    const picture = "error" in work ? undefined : { image: work.picture.image, bytes: work.bytes };
    const row = "error" in work
      ? { file: source.file, error: work.error }
      : rowOf(source.file, work.picture.image, faces);
    await results?.add(source, row, picture);
    printRow(row, results, context);
    tally.add(faces.length, "error" in work);
  }
  await results?.close();
  if (tally.end()) throw new Exit(1);
}

/** Opens the folder of `--out`. */
async function openResults(
  out: string,
  args: readonly string[],
  sources: readonly Source[],
  schema: LandmarkSchema,
  options: DetectOptions,
): Promise<ResultFolder> {
  const { format, overwrite = false, frames = false } = options;
  const settings = { images: args.map((arg) => resolve(arg)), ...await settingsOf(options) };
  return await ResultFolder.open(out, sources, { formats: format, settings, schema, overwrite, resumes: !frames });
}

/** @throws {UsageError} If options of the finder are given, which does nothing where the places of the faces are known. */
function refuseFinderOptions({ minScore, maxFaces, minSize }: DetectOptions): void {
  const given = Object.entries({ minScore, maxFaces, minSize }).find(([, value]) => value !== undefined);
  if (given) throw new UsageError(`Cannot use ${flagOf(given[0])} where boxes or crops are given`);
}

/** The options of the search as {@linkcode findFacesOfEach} takes them. */
function searchOptions({ flip = false, crop, minScore, maxFaces, minSize }: DetectOptions): FindFacesOptions {
  return {
    flip,
    ...(crop && { passes: 1 }),
    ...(minScore !== undefined && { min_score: minScore }),
    ...(maxFaces !== undefined && { max_faces: maxFaces }),
    ...(minSize !== undefined && { min_size_px: minSize }),
  };
}

/** Orders frame_9 before frame_10. */
const byNumber = new Intl.Collator("en", { numeric: true });

/** Prints the rows of an earlier run. */
async function printKept(results: ResultFolder, sources: readonly Source[], context: Context): Promise<void> {
  const wanted = new Set(sources.filter((source) => results.has(source)).map(({ file }) => file));
  if (!wanted.size) return;
  context.note(`done already: ${wanted.size} of ${counted(sources.length, "picture")}; --overwrite starts over`);
  for await (const row of results.rows()) if (wanted.has(row.file)) printRow(row, results, context);
}

/** Prints a row, unless it is in a file and standard output is a terminal. */
function printRow(row: Row, results: ResultFolder | undefined, { print, progress }: Context): void {
  if (results && progress && Deno.stdout.isTerminal()) return;
  print(JSON.stringify(row));
}

/** The pictures, read one by one, with the places of their faces where those are known. */
async function* worksOf(
  sources: readonly Source[],
  places: (image: Image, source: Source) => FacePlace[] | undefined,
): AsyncGenerator<Work | Failed> {
  for (const source of sources) {
    try {
      const bytes = source.file === STANDARD_INPUT ? await readStandardInput() : undefined;
      const image = bytes ? decodeImage(bytes, { name: "standard input" }) : await readImage(source.file);
      const known = places(image, source);
      yield { source, picture: { image, ...(known && { places: known }) }, ...(bytes && { bytes }) };
    } catch (error) {
      const isMissing = error instanceof Deno.errors.NotFound; // since the list was made
      if (!(error instanceof InputError) && !isMissing) throw error;
      yield { source, error: error.message };
    }
  }
}

async function readStandardInput(): Promise<Uint8Array> {
  return new Uint8Array(await new Response(Deno.stdin.readable).arrayBuffer());
}

/** The boxes of a picture, where there are any. */
async function boxesOf({ box, boxes }: DetectOptions): Promise<((source: Source) => GivenBox[]) | undefined> {
  if (box !== undefined) {
    const given = [parseBox(box, "--box")];
    return () => given;
  }
  if (boxes === undefined) return undefined;
  if (!exists(boxes)) throw new UsageError(`Cannot read ${boxes}: there is no such file`);
  const listed = await readBoxes(boxes);
  return ({ file, name }) => {
    const name_ = basename(file);
    const given = listed.get(file) ?? listed.get(name_) ?? listed.get(basename(file, extname(file))) ??
      listed.get(name);
    if (!given) throw new InputError(`Cannot place the face: ${boxes} has no line for ${name_}`);
    return given;
  };
}

/** Everything but the pictures that rows depend on. */
async function settingsOf(options: DetectOptions): Promise<Record<string, unknown>> {
  const { detector, finder, boxes, out: _, overwrite: __, format, ...rest } = options;
  const weights = async (dir: string) =>
    exists(`${dir}/model.safetensors`) ? await digest(`${dir}/model.safetensors`) : null;
  return {
    ...rest,
    format: [...format].sort(),
    detector: await weights(detector),
    finder: await weights(finder),
    // Scores depend on the finder's calibration for this detector.
    ...(exists(`${finder}/config.json`) && { scores: await digest(`${finder}/config.json`) }),
    ...(boxes !== undefined && { boxes: await digest(boxes) }),
  };
}

/** SHA-256 of a file, its first 16 digits. */
async function digest(path: string): Promise<string> {
  return createHash("sha256").update(await readBytes(path)).digest("hex").slice(0, 16);
}

/** The place of a face that a whole picture is the crop of. */
function wholeOf(file: string, { width, height }: Image): FacePlace {
  if (width === height) return { x: (width - 1) / 2, y: (width - 1) / 2, side: width / CROP_SCALE, angle: 0 };
  throw new InputError(`Cannot use ${file} whole: its size is ${width} x ${height}, and a square is expected`);
}
