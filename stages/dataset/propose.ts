/**
 * Proposes landmarks for pictures that have none: a dataset to correct by hand.
 *
 * @module
 */

import { z } from "zod";
import { stem } from "../../faces/data/annotations/format.ts";
import type { BadFile } from "../../faces/data/annotations/registry.ts";
import { DatasetWriter } from "../../faces/data/dataset_writer.ts";
import { isImageName } from "../../faces/data/folder_files.ts";
import type { Image } from "../../faces/data/image.ts";
import { readImage, writePng } from "../../faces/data/image_file.ts";
import { cropTurned, Pyramid, turnedFaceBox, turnedTransform } from "../../faces/data/turned_crop.ts";
import { contactSheet, overlayLandmarks } from "../../faces/draw.ts";
import { boxDiagonal, transformLandmarks } from "../../faces/landmarks.ts";
import { DEFAULT_SCHEMA, type LandmarkSchema } from "../../faces/schema.ts";
import { mean, roundTo } from "../../faces/statistics.ts";
import { filesBelow } from "../../formats/files.ts";
import { InputError } from "../../formats/input_error.ts";
import { counted } from "../../formats/numbers.ts";
import { loadDetector } from "../../models/detectors/detector.ts";
import { type Face, findFacesOfEach } from "../../models/detectors/find_faces.ts";
import { loadFinder, MIN_SCORE } from "../../models/finder/finder.ts";
import { folder, stage } from "../../runtime/stage.ts";
import { writeBadFiles } from "./_bad_files.ts";
import { detectorOf, NETWORK_FILES } from "../lib/artifacts.ts";
import { globFilter } from "../lib/glob.ts";

/** Images on the contact sheet, at most. */
const SHEET = 60;

/** A picture, or the reason that the file is none. */
type Item = { readonly path: string; readonly image: Image } | { readonly path: string; readonly reason: string };

/**
 * `dataset/propose`: crops of the faces that a finder and a detector find. Each line of `metadata.jsonl` has the
 * `uncertainty_px` of the landmarks, `doubt`, their mean as percent of the diagonal of the landmarks' box, and the finder's
 * `score`; `contact.png` has the most doubtful faces, `bad.jsonl` the files that are no pictures, and `empty.txt` the
 * pictures without a face.
 */
export const proposeLandmarks = stage({
  id: "dataset/propose",
  doc:
    "Finds the faces of pictures without landmarks, and makes a dataset of their crops with landmarks to be corrected.",
  version: 2,
  inputs: { detector: "detector" },
  output: "dataset",
  options: z.object({
    path: folder(z.string()).describe("Folder of the pictures; those in folders below it count too"),
    size_px: z.int().min(8).max(2048).describe("Side of the images that are written, pixels"),
    finder: folder(z.string(), NETWORK_FILES).default("models/faces/finder").describe("The face finder's folder"),
    min_score: z.number().min(0).max(1).default(MIN_SCORE).describe("Least score of a face"),
    max_faces: z.int().min(1).optional().describe("Most faces of a picture; by default all"),
    min_size_px: z.number().positive().optional().describe(
      "Least size of a face, pixels of the picture; by default as small as the finder finds them quickly",
    ),
    flip: z.boolean().default(true).describe(
      "Average the landmarks of a face and of its mirror image, both also moved by half a pixel of the heatmaps",
    ),
    style: z.string().min(1).default("photo").describe("Style of the images"),
    include: z.array(z.string()).default([]).describe("Names to include, with * and ?; all when empty"),
    exclude: z.array(z.string()).default([]).describe("Names to exclude, with * and ?"),
  }),
  describeOutput: async ({ size_px }, { detector }) => ({
    size_px,
    schema: (await detectorOf(detector)).schema ?? DEFAULT_SCHEMA,
  }),
  async run(ctx, { detector: { dir } }, { path, size_px, style, include, exclude, ...options }) {
    const isSelected = globFilter(include, exclude);
    const files = filesBelow(path).filter((file) => isImageName(file) && isSelected(stem(file)));
    if (files.length === 0) throw new InputError(`Cannot use ${path}: no picture was chosen in it`);
    const device = await ctx.device();
    using detector = await loadDetector(device, dir, { partial: true });
    using finder = await loadFinder(device, options.finder);
    const { flip, min_score, max_faces, min_size_px } = options;
    const search = {
      flip,
      min_score,
      ...(max_faces !== undefined && { max_faces }),
      ...(min_size_px !== undefined && { min_size_px }),
    };
    const pictures = readEach(path, files, ctx.signal);
    const pictureOf = (item: Item) => "image" in item ? item : null;
    const writer = await DatasetWriter.create(ctx.dir, detector.schema);
    const bad: BadFile[] = [], empty: string[] = [];
    let done = 0, sheet: SheetCell[] = [];
    for await (const [item, faces] of findFacesOfEach(finder, detector, pictures, pictureOf, search)) {
      ctx.progress(++done, files.length);
      if ("reason" in item) bad.push({ file: item.path, reason: item.reason });
      else if (!faces.length) empty.push(item.path);
      else {
        const cells = await addFaces(writer, item, faces, { size_px, style, schema: detector.schema });
        sheet = [...sheet, ...cells].sort((a, b) => b.doubt - a.doubt).slice(0, SHEET);
      }
    }
    if (writer.count === 0) {
      throw new InputError(
        `Cannot propose landmarks for ${path}: there is no face in ${counted(files.length, "picture")}`,
        { hint: "a lower min_score" },
      );
    }
    await writer.close();
    await writeBadFiles(ctx.dir, bad);
    if (empty.length) await Deno.writeTextFile(`${ctx.dir}/empty.txt`, empty.map((file) => file + "\n").join(""));
    const labels = sheet.map(({ label }) => label);
    await writePng(`${ctx.dir}/contact.png`, contactSheet(sheet.map(({ image }) => image), 10, { labels }));
    ctx.log(
      `${counted(writer.count, "face")} in ${counted(files.length, "picture")} of ${path}` +
        (empty.length ? `, none in ${empty.length}, see empty.txt` : "") +
        (bad.length ? `; bad.jsonl names ${counted(bad.length, "file")} that cannot be read as pictures` : ""),
    );
  },
});

/** A face on the contact sheet. */
interface SheetCell {
  readonly doubt: number;
  readonly label: string;
  readonly image: Image;
}

/** Adds the faces of a picture to the dataset. */
async function addFaces(
  writer: DatasetWriter,
  { path, image: picture }: { readonly path: string; readonly image: Image },
  faces: readonly Face[],
  { size_px, style, schema }: { readonly size_px: number; readonly style: string; readonly schema: LandmarkSchema },
): Promise<SheetCell[]> {
  const pyramid = new Pyramid(picture), group = stem(path), cells: SheetCell[] = [];
  for (const [k, face] of faces.entries()) {
    const { image, landmarks, uncertainty_px } = cropOf(pyramid, face, size_px);
    const doubt = roundTo(100 * mean(uncertainty_px) / boxDiagonal(landmarks), 2);
    const source = k === 0 ? group : `${group}#${k + 1}`;
    const doubts = { doubt, uncertainty_px, ...(face.score !== null && { score: roundTo(face.score, 4) }) };
    await writer.add(image, { style, group, landmarks, source, ...doubts });
    cells.push({ doubt, label: `${doubt} ${source}`, image: overlayLandmarks(image, landmarks, schema) });
  }
  return cells;
}

/** Reads pictures one by one. */
async function* readEach(dir: string, files: readonly string[], signal: AbortSignal): AsyncGenerator<Item> {
  for (const file of files) {
    signal.throwIfAborted();
    try {
      yield { path: file, image: await readImage(`${dir}/${file}`) };
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      yield { path: file, reason: error.message };
    }
  }
}

/** The crop of a face, turned by quarters only: a face on its side or its head is upright, and its tilt stays. */
function cropOf(
  pyramid: Pyramid,
  { landmarks, angle, uncertainty_px }: Face,
  size_px: number,
): { readonly image: Image; readonly landmarks: Float32Array; readonly uncertainty_px: number[] } {
  const square = turnedFaceBox(landmarks, Math.round(angle / (Math.PI / 2)) * (Math.PI / 2));
  return {
    image: cropTurned(pyramid, square, size_px),
    landmarks: transformLandmarks(landmarks, turnedTransform(square, size_px)),
    uncertainty_px: Array.from(uncertainty_px, (px) => roundTo(px * size_px / square.side, 2)),
  };
}
