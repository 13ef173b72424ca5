/**
 * Every face of a whole picture, with its landmarks: a finder gives places, and a landmark detector looks at them in several
 * passes.
 *
 *     picture ─ finder ─ places ─ turned crop ─ detector ─ landmarks ─ merge ─ faces
 *                                     └─ next pass: place and angle ─┘
 *
 * The finder searches a picture turned by quarters, and the turn counts in which its faces are the most upright by all four
 * looks: so a picture and the same one turned have the same faces and landmarks. Where the first pass is in doubt, the crop
 * is turned by quarters too.
 *
 * A finder whose config has a calibration with the detector gives more places than faces, and the detector's doubt decides:
 * see `models/finder/pair_score.ts`.
 *
 * The first crop follows the finder, each next one the landmarks of the pass before. So the last crop frames the face as in
 * the detector's training, whatever the finder's error was, and is upright.
 *
 * @module
 */

import { Pyramid } from "../../faces/data/turned_crop.ts";
import type { Image } from "../../faces/data/image.ts";
import { boundingBox, type Landmarks, transformLandmarks } from "../../faces/landmarks.ts";
import type { FacePlace } from "../../faces/place.ts";
import { checkFindOptions, type Finder, type FindOptions, MIN_SCORE } from "../finder/finder.ts";
import type { FinderConfig } from "../finder/network.ts";
import { meanEvidence } from "../finder/evidence.ts";
import { type PairCalibration, pairScore } from "../finder/pair_score.ts";
import { type Candidate, cropAround, KNOWN_SURE, type LandmarkDetector, look } from "./face_passes.ts";
import { searchTurned, type Turned } from "./search_turned.ts";

/** The part of a finder that is needed here; with a config whose `with_detector` is of the detector, both give the score. */
export type PlaceFinder = Pick<Finder, "find"> & { readonly config?: Pick<FinderConfig, "with_detector"> };

/** Options of {@linkcode findFaces}. */
export interface FindFacesOptions extends FindOptions {
  /**
   * Passes of the detector at most, by default 3: the first by the finder's place, the second by the landmarks of the first,
   * and another one where the second still moved the face.
   */
  readonly passes?: number;
  /** True for the mean of four views of a crop from the second pass on, see {@linkcode Detector.predict}: four times the work; by default false. */
  readonly flip?: boolean;
}

/** A face of a picture. */
export interface Face {
  /** Tight upright box of the landmarks, pixels; `x` and `y` are its left top corner. */
  readonly box: { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
  /**
   * Probability that it is a face: by the finder and the detector where the finder's config has a calibration for the two,
   * by the finder elsewhere; null where the place was given.
   */
  readonly score: number | null;
  /** Mean over the landmarks of the heatmap's spread, parts of the side of the crop; geometric mean of the passes. */
  readonly doubt: number;
  /** Features, see `Prediction.features`, `[D]`, by the mean of their logarithms over the passes; not of every detector. */
  readonly features?: Float32Array;
  /** Angle by which the face is turned from upright, radians, clockwise on the screen. */
  readonly angle: number;
  /** `[P, 2]`, pixels of the picture; 0 is the centre of the first one. */
  readonly landmarks: Landmarks;
  /**
   * Uncertainty of each landmark, `[P]`, pixels of the picture: {@linkcode uncertainty} of the last pass, and the distance
   * by which the last pass moved the landmarks of the pass before, as the root of the sum of their squares.
   */
  readonly uncertainty_px: Float32Array;
}

/** A picture whose faces are wanted. */
export interface Picture {
  /** The pixels. */
  readonly image: Image;
  /** Places of its faces where they are known; without them the finder is asked. */
  readonly places?: readonly FacePlace[];
  /** True if the angles of the places are known too, as from landmarks: the faces are not looked at from other sides. */
  readonly angles_known?: boolean;
}

/** Pixels of pictures that wait for a full batch of faces, at most. */
const HELD_PIXELS = 1 << 24;
/** Boxes of two faces that overlap so much, intersection over union, are of the same face. */
export const SAME_FACE = 0.5;
/** Sureness of the angle of a given place, on the scale of `FoundFace.angle_sure`. */
const GIVEN_SURE = 0.5;

/**
 * Finds the faces of a picture and their landmarks.
 *
 * @param finder See `loadFinder`.
 * @param detector Finds the landmarks; see `loadDetector`.
 * @param image The picture.
 * @param options See {@linkcode FindFacesOptions}.
 * @returns The faces, from the highest score down; none where there is no face.
 */
export async function findFaces(
  finder: PlaceFinder,
  detector: LandmarkDetector,
  image: Image,
  options: FindFacesOptions = {},
): Promise<Face[]> {
  for await (const [_, faces] of findFacesOfEach(finder, detector, [image], (image) => ({ image }), options)) {
    return faces;
  }
  throw new RangeError("Cannot find the faces of no picture");
}

/**
 * Finds the faces of pictures that come one after the other. Batches of the detector take faces of several pictures, and
 * any number of pictures takes the memory of a few.
 *
 * @param finder Asked for pictures without places; null where there are none.
 * @param detector Finds the landmarks.
 * @param items Never read more than a batch of faces, or 16 megapixels, ahead of what is taken from the result.
 * @param pictureOf The picture of an item; null for one that is only passed on.
 * @param options See {@linkcode FindFacesOptions}.
 * @returns The items in their order, each with the faces of its picture. Faces at given places are in the order of those.
 * @throws {RangeError} If there is no finder for a picture without places.
 */
export async function* findFacesOfEach<T>(
  finder: PlaceFinder | null,
  detector: LandmarkDetector,
  items: AsyncIterable<T> | Iterable<T>,
  pictureOf: (item: T) => Picture | null,
  options: FindFacesOptions = {},
): AsyncGenerator<readonly [item: T, faces: Face[]]> {
  checkFindOptions(options);
  const { min_score = MIN_SCORE, max_faces = Infinity, min_size_px } = options;
  const calibrated = finder?.config?.with_detector;
  const pair = calibrated && calibrated.detector === detector.fingerprint ? calibrated : undefined;
  const search: FindOptions = {
    min_score: Math.min(min_score, pair?.least_score ?? 1),
    ...(min_size_px !== undefined && { min_size_px }),
    // Two of them may turn out to be one face; with the detector's doubt each may be the best one.
    ...(Number.isFinite(max_faces) && !pair && { max_faces: 2 * max_faces }),
  };
  let waiting: { item: T; candidates: Candidate[]; given: boolean }[] = [];
  let faces = 0, pixels = 0;
  async function* finish(): AsyncGenerator<readonly [T, Face[]]> {
    const all = waiting.flatMap(({ candidates }) => candidates);
    await look(detector, all, { ...options, min_score }, pair);
    for (const { item, candidates, given } of waiting) {
      const found = candidates.map(faceOf);
      yield [item, given ? found : apart(pair ? scored(found, pair, min_score) : found).slice(0, max_faces)];
    }
    [waiting, faces, pixels] = [[], 0, 0];
  }
  for await (const item of items) {
    const picture = pictureOf(item);
    const candidates = picture ? await candidatesIn(picture, finder, search) : [];
    waiting.push({ item, candidates, given: picture?.places !== undefined });
    faces += candidates.length;
    if (picture) pixels += picture.image.width * picture.image.height;
    // Without a face there is nothing to wait for.
    if (faces === 0 || faces >= detector.batch || pixels >= HELD_PIXELS) yield* finish();
  }
  yield* finish();
}

/** The faces that the passes begin with. */
async function candidatesIn(
  { image, places, angles_known }: Picture,
  finder: PlaceFinder | null,
  search: FindOptions,
): Promise<Candidate[]> {
  const asItIs: Turned = { image, angle: 0, back: [1, 0, 0, 0, 1, 0] };
  const candidates = (
    found: readonly (FacePlace & Pick<Candidate, "score" | "angle_sure">)[],
    turned: Turned,
  ): Candidate[] => {
    const pyramid = new Pyramid(turned.image);
    return found.map(({ score, angle_sure, x, y, side, angle }) => ({
      score,
      angle_sure,
      turned,
      crop: { pyramid, square: cropAround({ x, y, side, angle }) },
    }));
  };
  const angle_sure = angles_known ? KNOWN_SURE : GIVEN_SURE;
  if (places) return candidates(places.map((place) => ({ ...place, score: null, angle_sure })), asItIs);
  if (!finder) throw new RangeError("Cannot find the faces of a picture without places: there is no finder");
  return candidates(...await searchTurned(finder, asItIs, search));
}

function faceOf({ seen, looks = [], score, turned, crop: { square } }: Candidate): Face {
  if (!seen) throw new RangeError("Cannot give the landmarks of a face that no pass has seen");
  const landmarks = transformLandmarks(seen.landmarks, turned.back);
  const angle = square.angle - turned.angle;
  return {
    box: boundingBox(landmarks),
    score,
    ...meanEvidence(looks),
    angle: Math.atan2(Math.sin(angle), Math.cos(angle)),
    landmarks,
    uncertainty_px: seen.uncertainty_px,
  };
}

/** The faces whose score by finder and detector is high enough, from the highest down. */
function scored(faces: readonly Face[], pair: PairCalibration, min_score: number): Face[] {
  const all = faces.map((face) => face.score === null ? face : { ...face, score: pairScore(pair, face.score, face) });
  const score = (face: Face) => face.score ?? 1;
  return all.filter((face) => score(face) >= min_score).sort((a, b) => score(b) - score(a));
}

/** Leaves out faces that are at the place of one before. */
function apart(faces: readonly Face[]): Face[] {
  const kept: Face[] = [];
  for (const face of faces) if (!kept.some(({ box }) => overlap(box, face.box) > SAME_FACE)) kept.push(face);
  return kept;
}

/**
 * Intersection over union of two upright boxes.
 *
 * @param a A box, pixels.
 * @param b Another one.
 * @returns 0 where they are apart, 1 where they are the same.
 */
export function overlap(a: Face["box"], b: Face["box"]): number {
  const along = (p: number, length: number, q: number, other: number) =>
    Math.max(0, Math.min(p + length, q + other) - Math.max(p, q));
  const both = along(a.x, a.width, b.x, b.width) * along(a.y, a.height, b.y, b.height);
  return both === 0 ? 0 : both / (a.width * a.height + b.width * b.height - both);
}
