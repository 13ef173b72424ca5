/**
 * Measures a finder and a landmark detector together on whole pictures: the faces found, and their landmarks beside those
 * from their true places.
 *
 * @module
 */

import { z } from "zod";
import { FORMAT_NAMES, type FormatName, formatsDoc } from "../../faces/data/annotations/registry.ts";
import type { LoadedDataset } from "../../faces/data/dataset.ts";
import { openFolder } from "../../faces/data/face_folder.ts";
import { type Colour, type Image, turnQuarter } from "../../faces/data/image.ts";
import { readImage, writePng } from "../../faces/data/image_file.ts";
import { contactSheet, drawLine, overlayFaces } from "../../faces/draw.ts";
import { type Affine, boundingBox, composeAffine, type Landmarks, transformLandmarks } from "../../faces/landmarks.ts";
import { nmePerImage } from "../../faces/metrics.ts";
import { facePlace } from "../../faces/place.ts";
import { composePage, type PageFace } from "../../faces/scenes/page.ts";
import type { LandmarkSchema } from "../../faces/schema.ts";
import { mean, median, roundTo } from "../../faces/statistics.ts";
import { type Detector, loadDetector } from "../../models/detectors/detector.ts";
import { type Face, findFaces, findFacesOfEach, overlap } from "../../models/detectors/find_faces.ts";
import { type Finder, loadFinder, MIN_SCORE } from "../../models/finder/finder.ts";
import { itemAt } from "../../engine/lookup.ts";
import { Random } from "../../engine/rng.ts";
import { fileOrFolder, folder, stage } from "../../runtime/stage.ts";
import { imageOf, landmarksOf, loadFaces } from "../lib/faces.ts";
import { detectorsConflicts } from "../lib/checks.ts";

/** Intersection over union of the box of the landmarks found and that of the true ones from which a face counts as found. */
const FOUND = 0.35;
/** Faces on a page, and its side, pixels. */
const PAGE_FACES = 6, PAGE_PX = 900;
/** Pictures on the sheet, and the side of each, pixels. */
const SHEET = 80, SHEET_COLUMNS = 8, CELL_PX = 256;
/** Largest mean distance of the same landmarks in a picture and in the turned one, percent of the distance of the eyes. */
const SAME = 1;

/** A picture and the true landmarks of its faces. */
interface Known {
  readonly name: string;
  readonly image: Image;
  readonly faces: readonly Landmarks[];
}

/** Findings in one. */
interface Measured {
  readonly picture: Known;
  readonly found: readonly Face[];
  /** For each true face the one that was found, or null. */
  readonly matches: readonly (Face | null)[];
  /** Landmarks from the true places. */
  readonly placed: readonly Landmarks[];
}

/** `finder/pictures`: writes `results.json` with a row for each picture, and `pictures.png`. */
export const measurePictures = stage({
  id: "finder/pictures",
  doc: "Measures a finder and a detector together on whole pictures, or on pages composed of a dataset's images.",
  version: 1,
  inputs: { finder: "finder", detector: "detector", "data?": "dataset" },
  output: "report",
  options: z.object({
    path: folder(z.string()).optional().describe("Folder of pictures, whose faces are annotated; or give data"),
    format: z.enum(FORMAT_NAMES).optional().describe(`Format of the landmarks; by default pts. ${formatsDoc()}`),
    annotations: fileOrFolder(z.string()).optional().describe(
      "The one file of those formats, or a folder of such files",
    ),
    min_score: z.number().gt(0).lt(1).default(MIN_SCORE).describe("Least score of what counts as found"),
    turned: z.boolean().default(false).describe(
      "Look at each picture turned by a quarter, a half and three quarters too",
    ),
  }),
  check: async (_options, { detector, data }, given) => [
    given.has("path") === (data !== undefined) && {
      option: "path",
      reason: data ? "data is given" : `neither it nor the input "data" is given`,
    },
    ...data ? await detectorsConflicts([detector], [data]) : [],
  ],
  async run(ctx, { finder: { dir }, detector: { dir: detectorDir }, data }, options) {
    const { path, min_score, turned } = options;
    const device = await ctx.device();
    using finder = await loadFinder(device, dir);
    using detector = await loadDetector(device, detectorDir, { partial: true });
    const pictures = data
      ? pagesOf(await loadFaces([data]), ctx.seed)
      : await picturesIn(path ?? "", detector.schema, options);
    const all: Measured[] = [], sheet: Image[] = [], turns: number[] = [];
    let lost = 0;
    for (const [k, read] of pictures.entries()) {
      ctx.signal.throwIfAborted();
      const picture = await read();
      const measured = await look(finder, detector, picture, min_score);
      all.push(measured);
      if (sheet.length < SHEET) sheet.push(drawn(measured, detector));
      if (turned) {
        const again = await lookTurned(finder, detector, measured, min_score);
        turns.push(...again.distances);
        lost += again.lost;
      }
      ctx.progress(k + 1, pictures.length);
    }
    const row = { pictures: all.length, ...summaryOf(all, detector), ...turned && turnsOf(turns, lost) };
    ctx.summary(row);
    const rows = all.map((one) => ({ name: one.picture.name, ...summaryOf([one], detector) }));
    await Deno.writeTextFile(`${ctx.dir}/results.json`, JSON.stringify({ ...row, rows }, null, 1) + "\n");
    if (sheet.length > 0) {
      const labels = all.slice(0, SHEET).map(({ picture: { name } }) => name);
      await writePng(`${ctx.dir}/pictures.png`, contactSheet(sheet, SHEET_COLUMNS, { labels, cell_px: CELL_PX }));
    }
  },
});

/** Pages of a dataset's faces, six on each. */
function pagesOf(faces: LoadedDataset, seed: number): (() => Promise<Known>)[] {
  const random = new Random(seed, "finder/pages"), count = faces.records.length;
  return Array.from({ length: Math.ceil(count / PAGE_FACES) }, (_, page) => () => {
    const those = Array.from({ length: Math.min(PAGE_FACES, count - page * PAGE_FACES) }, (_, k): PageFace => {
      const index = page * PAGE_FACES + k;
      return { image: imageOf(faces, index), landmarks: landmarksOf(faces, index) };
    });
    return Promise.resolve({ name: `page ${page + 1}`, ...composePage(those, PAGE_PX, random.at(page)) });
  });
}

/** The annotated pictures of a folder. */
async function picturesIn(
  path: string,
  schema: LandmarkSchema,
  { format, annotations }: { format?: FormatName | undefined; annotations?: string | undefined },
): Promise<(() => Promise<Known>)[]> {
  const { records } = await openFolder(path, {
    schema,
    ...(format && { format }),
    ...(annotations !== undefined && { annotations }),
  });
  return [...Map.groupBy(records, ({ file_name }) => file_name)].map(([name, those]) => async () => ({
    name,
    image: await readImage(`${path}/${name}`),
    faces: those.map(({ landmarks }) => landmarks),
  }));
}

/** Finds the faces of a picture, and the landmarks at the true places. */
async function look(finder: Finder, detector: Detector, picture: Known, min_score: number): Promise<Measured> {
  const { image, faces } = picture;
  const found = await findFaces(finder, detector, image, { min_score });
  const places = faces.map((landmarks) => facePlace(landmarks, detector.schema));
  let placed: Landmarks[] = [];
  for await (const [, those] of findFacesOfEach(finder, detector, [{ image, places }], (known) => known)) {
    placed = those.map(({ landmarks }) => landmarks);
  }
  return { picture, found, matches: matchesOf(found, faces), placed };
}

/** For each true face what was found there: from the surest on, each takes the true face that it overlaps most. */
function matchesOf(found: readonly Face[], faces: readonly Landmarks[]): (Face | null)[] {
  const matches: (Face | null)[] = faces.map(() => null);
  for (const face of found) {
    const shares = faces.map((truth, k) => matches[k] ? 0 : overlap(face.box, boundingBox(truth)));
    const best = shares.indexOf(Math.max(...shares));
    if ((shares[best] ?? 0) >= FOUND) matches[best] = face;
  }
  return matches;
}

/** Finds the faces of a picture that is turned by quarters, and compares their landmarks with those in the picture. */
async function lookTurned(
  finder: Finder,
  detector: Detector,
  { picture, found }: Measured,
  min_score: number,
): Promise<{ distances: number[]; lost: number }> {
  const distances: number[] = [];
  let { image } = picture, lost = 0, back: Affine = [1, 0, 0, 0, 1, 0];
  for (let quarters = 1; quarters < 4; quarters++) {
    back = composeAffine(back, [0, 1, 0, -1, 0, image.height - 1]);
    image = turnQuarter(image);
    const turned = (await findFaces(finder, detector, image, { min_score }))
      .map(({ landmarks }) => transformLandmarks(landmarks, back));
    for (const { landmarks, box } of found) {
      const same = turned.filter((other) => overlap(box, boundingBox(other)) >= FOUND);
      if (same.length === 0) lost++;
      else distances.push(Math.min(...same.map((other) => errorOf(other, landmarks, detector))));
    }
  }
  return { distances, lost };
}

/** Mean distance of landmarks from the second ones, percent of the distance of the eyes. */
const errorOf = (landmarks: Landmarks, truth: Landmarks, { schema }: Detector): number =>
  mean(nmePerImage(landmarks, truth, schema));

/** Measures of pictures. */
function summaryOf(all: readonly Measured[], detector: Detector) {
  const faces = all.flatMap(({ picture, matches, placed }) =>
    picture.faces.map((truth, k) => ({
      found: matches[k] ? errorOf(matches[k].landmarks, truth, detector) : null,
      placed: errorOf(itemAt(placed, k, "faces"), truth, detector),
    }))
  );
  const both = faces.filter(({ found }) => found !== null);
  const of = (errors: readonly number[], measure: (values: readonly number[]) => number) =>
    errors.length ? roundTo(measure(errors), 3) : null;
  const [ours, placed] = [both.map(({ found }) => found ?? NaN), both.map(({ placed }) => placed)];
  const count = all.reduce((sum, { found }) => sum + found.length, 0);
  return {
    faces: faces.length,
    recall: faces.length ? roundTo(both.length / faces.length, 4) : null,
    others_per_picture: roundTo((count - both.length) / Math.max(1, all.length), 3),
    // Of the faces that were found, percent of the distance of the eyes.
    nme: of(ours, mean),
    nme_at_true_places: of(placed, mean),
    median: of(ours, median),
    median_at_true_places: of(placed, median),
    nme_of_all_at_true_places: of(faces.map(({ placed }) => placed), mean),
  };
}

/** Measures of turned pictures. */
function turnsOf(distances: readonly number[], lost: number) {
  return {
    faces_of_turned: distances.length + lost,
    lost_when_turned: lost,
    same_when_turned: roundTo(distances.filter((far) => far <= SAME).length / Math.max(1, distances.length + lost), 4),
  };
}

/** The picture with the landmarks found, and the boxes: green where a true face is, red elsewhere, yellow for those not found. */
function drawn({ picture: { image, faces }, found, matches }: Measured, { schema }: Detector): Image {
  const sheet = overlayFaces(image, found.map(({ landmarks }) => landmarks), schema);
  for (const face of found) drawBox(sheet, face.box, matches.includes(face) ? [0, 255, 0] : [255, 0, 0]);
  faces.forEach((truth, k) => matches[k] || drawBox(sheet, boundingBox(truth), [255, 255, 0]));
  return sheet;
}

/** Draws the outline of a box, as thick as suits the sheet. */
function drawBox(image: Image, { x, y, width, height }: Face["box"], colour: Colour): void {
  const thick = Math.max(1, Math.max(image.width, image.height) / CELL_PX);
  const corners = [[x, y], [x + width, y], [x + width, y + height], [x, y + height], [x, y]] as const;
  for (let k = 1; k < corners.length; k++) drawLine(image, ...corners[k - 1]!, ...corners[k]!, thick, colour);
}
