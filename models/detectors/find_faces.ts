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

import { cropTurned, Pyramid, turnedTransform } from "../../faces/data/turned_crop.ts";
import type { TurnedSquare } from "../../faces/data/turned_crop.ts";
import { type Image, turnQuarter } from "../../faces/data/image.ts";
import { itemAt } from "../../engine/lookup.ts";
import { pointAt } from "../../faces/geometry.ts";
import {
  type Affine,
  boundingBox,
  composeAffine,
  CROP_SCALE,
  invertAffine,
  type Landmarks,
  transformLandmarks,
} from "../../faces/landmarks.ts";
import { type FacePlace, facePlace } from "../../faces/place.ts";
import { mean } from "../../faces/statistics.ts";
import { checkFindOptions, type Finder, type FindOptions, type FoundFace, MIN_SCORE } from "../finder/finder.ts";
import type { FinderConfig } from "../finder/network.ts";
import { type Evidence, meanEvidence } from "../finder/evidence.ts";
import { logitOf } from "../finder/logistic.ts";
import { type PairCalibration, pairScore } from "../finder/pair_score.ts";
import { BY_DOUBT, type TurnEvidence, turnScore, type TurnWeights } from "../finder/turn_score.ts";
import { type Detector, uncertainty } from "./detector.ts";

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

/** The part of a detector that is needed here. */
export type LandmarkDetector =
  & Pick<Detector, "config" | "schema" | "batch" | "predict">
  & Partial<Pick<Detector, "fingerprint">>;

/** Pixels of pictures that wait for a full batch of faces, at most. */
const HELD_PIXELS = 1 << 24;
/** Boxes of two faces that overlap so much, intersection over union, are of the same face. */
export const SAME_FACE = 0.5;
/** A pass that moves a face by less than this part of the crop's side, and turns it by less, radians, was the last. */
export const SETTLED = 0.03, SETTLED_RAD = 0.1;
/** Votes for two turns of a picture that differ by less are the same. */
const LEAST_VOTE = 1e-6;
/** Score of a first look by {@linkcode BY_DOUBT} below which the face may lie on its side in the crop, or stand on its head. */
const SETTLED_SCORE = 3.8;
/**
 * Turns whose logits are this near to each other are both looked at in the next passes, of crops with sides of at least so
 * many pixels: in rendered scenes the last look of those chose better, and that of smaller ones did not.
 */
const RIVAL_LOGITS = 1.5, RIVAL_PX = 40;
/**
 * Logits by which later passes may raise a score: of 397 faces of rendered scenes that came to the least score, none was more
 * than 1.4 below it after the first look at the turn that was chosen.
 */
const REACH = 2;
/** Sureness of the angle of a given place, on the scale of `FoundFace.angle_sure`, and of one that is known. */
const GIVEN_SURE = 0.5, KNOWN_SURE = Infinity;

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
 * @param finder Asked for pictures without places.
 * @param detector Finds the landmarks.
 * @param items Never read more than a batch of faces, or 16 megapixels, ahead of what is taken from the result.
 * @param pictureOf The picture of an item; null for one that is only passed on.
 * @param options See {@linkcode FindFacesOptions}.
 * @returns The items in their order, each with the faces of its picture. Faces at given places are in the order of those.
 */
export async function* findFacesOfEach<T>(
  finder: PlaceFinder,
  detector: LandmarkDetector,
  items: AsyncIterable<T> | Iterable<T>,
  pictureOf: (item: T) => Picture | null,
  options: FindFacesOptions = {},
): AsyncGenerator<readonly [item: T, faces: Face[]]> {
  checkFindOptions(options);
  const { min_score = MIN_SCORE, max_faces = Infinity, min_size_px } = options;
  const calibrated = finder.config?.with_detector;
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

/** A turned square of a picture. */
interface Crop {
  readonly pyramid: Pyramid;
  readonly square: TurnedSquare;
}

/** Landmarks that the detector finds in a crop. */
interface Seen {
  readonly square: TurnedSquare;
  /** `[P, 2]`, pixels of the picture. */
  readonly landmarks: Landmarks;
  /** `[P]`, pixels of the picture. */
  readonly uncertainty_px: Float32Array;
  /** Mean spread of the heatmaps, parts of the crop's side; the same with `flip` and without. */
  readonly spread: number;
  /** See `Prediction.features`, `[D]`. */
  readonly features: Float32Array | undefined;
}

/** A picture turned by quarters. */
interface Turned {
  readonly image: Image;
  /** Angle by which it is turned, radians, clockwise. */
  readonly angle: number;
  /** From its points to those of the picture. */
  readonly back: Affine;
}

/** A face on its way through the passes. */
interface Candidate {
  readonly score: number | null;
  /** See `FoundFace.angle_sure`. */
  readonly angle_sure: number;
  /** The picture that its crops are cut from. */
  readonly turned: Turned;
  /** The next crop. */
  crop: Crop;
  /** Result of the last pass. */
  seen?: Omit<Seen, "square">;
  /** Evidence of every pass. */
  looks?: readonly Evidence[];
  /** The face in the second likeliest turn, if that is nearly as likely: the last passes decide between the two. */
  rival?: Candidate;
}

/** The square that shows a face as in the detector's training. */
const cropAround = ({ side, ...place }: FacePlace): TurnedSquare => ({ ...place, side: CROP_SCALE * side });

/** The faces that the passes begin with. */
async function candidatesIn(
  { image, places, angles_known }: Picture,
  finder: PlaceFinder,
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
  return candidates(...await searchTurned(finder, asItIs, search));
}

/**
 * Searches a picture from all four quarters.
 *
 * Each face found has a vote for the angle of the picture's faces, by the square of its score and its sureness; a face counts
 * once more where it is upright, as upright ones are found more surely. What a finder takes for upright in every turn is no
 * evidence: its votes cancel out.
 *
 * @returns What is found in the turn in which the faces are the most upright, and that turn.
 */
async function searchTurned(
  finder: PlaceFinder,
  asItIs: Turned,
  search: FindOptions,
): Promise<[found: FoundFace[], turned: Turned]> {
  const looks: { turned: Turned; found: FoundFace[]; upright: number }[] = [];
  let [x, y, turned] = [0, 0, asItIs];
  for (let quarters = 0; quarters < 4; quarters++) {
    if (quarters > 0) turned = turnedOnce(turned);
    const found = await finder.find(turned.image, search);
    let upright = 0;
    for (const { score, angle_sure, angle } of found) {
      const weight = score ** 2 * Math.min(1, angle_sure);
      upright += weight * Math.cos(angle);
      x += weight * Math.cos(angle - turned.angle);
      y += weight * Math.sin(angle - turned.angle);
    }
    looks.push({ turned, found, upright });
  }
  const votes = [x, -y, -x, y].map((vote, quarters) => vote + itemAt(looks, quarters, "looks").upright);
  // Rounding does not turn a picture.
  const quarters = votes.findIndex((vote) => vote > Math.max(...votes) - LEAST_VOTE);
  const best = itemAt(looks, quarters, "looks");
  return [best.found, best.turned];
}

/** The picture turned clockwise by one more quarter. */
function turnedOnce({ image, angle, back }: Turned): Turned {
  return {
    image: turnQuarter(image),
    angle: angle + Math.PI / 2,
    back: composeAffine(back, [0, 1, 0, -1, 0, image.height - 1]),
  };
}

/** Passes of the detector over all candidates. One whose score is out of reach of the least score is not looked at again. */
async function look(
  detector: LandmarkDetector,
  candidates: readonly Candidate[],
  { passes = 3, flip = false, min_score = MIN_SCORE }: FindFacesOptions,
  pair: PairCalibration | undefined,
): Promise<void> {
  const turn = pair?.turn ?? BY_DOUBT, least = logitOf(min_score) - REACH;
  const inReach = ({ score, looks = [] }: Candidate) =>
    !pair || score === null || logitOf(pairScore(pair, score, meanEvidence(looks))) >= least;
  let active = candidates;
  for (let pass = 1; pass <= passes && active.length > 0; pass++) {
    let seen = await lookAt(detector, active.map(({ crop }) => crop), flip && (pass > 1 || passes === 1));
    if (pass === 1 && passes > 1) seen = await lookAround(detector, active, seen, turn);
    active = active.filter((candidate, k) => !take(candidate, itemAt(seen, k, "results"), detector) || pass === 1);
    if (pass === 1) active = active.flatMap((candidate) => candidate.rival ? [candidate, candidate.rival] : candidate);
    active = active.filter(inReach);
  }
  for (const candidate of candidates) {
    const { rival } = candidate, score = ({ seen }: Candidate) => seen ? turnScore(turn, lookOf(seen)) : -Infinity;
    if (rival && score(rival) > score(candidate)) {
      Object.assign(candidate, { seen: rival.seen, looks: rival.looks, crop: rival.crop });
    }
  }
}

/** Looks again at crops with a doubtful result, turned by quarters, and keeps of each the likeliest turn. */
async function lookAround(
  detector: LandmarkDetector,
  candidates: readonly Candidate[],
  seen: readonly Seen[],
  turn: TurnWeights,
): Promise<Seen[]> {
  const best = [...seen];
  const doubtful = [...candidates.entries()].filter(([k, candidate]) =>
    candidate.angle_sure !== KNOWN_SURE &&
    turnScore(BY_DOUBT, turnEvidence(candidate, itemAt(seen, k, "results"))) < SETTLED_SCORE
  );
  const others = await lookAt(detector, doubtful.flatMap(([_, { crop }]) => quarterTurns(crop)), false);
  for (const [i, [k, candidate]] of doubtful.entries()) {
    const score = (one: Seen) => turnScore(turn, turnEvidence(candidate, one));
    const [first, second] = [itemAt(seen, k, "results"), ...others.slice(3 * i, 3 * i + 3)].toSorted((a, b) =>
      score(b) - score(a)
    );
    if (first) best[k] = first;
    if (!first || !second || turn === BY_DOUBT || second.square.side < RIVAL_PX) continue;
    if (score(first) - score(second) < RIVAL_LOGITS) {
      candidate.rival = { ...candidate };
      take(candidate.rival, second, detector);
    }
  }
  return best;
}

/** The crop turned by one, two and three quarters. */
const quarterTurns = ({ pyramid, square }: Crop): Crop[] =>
  [1, 2, 3].map((quarters) => ({ pyramid, square: { ...square, angle: square.angle + quarters * Math.PI / 2 } }));

/** A look for the choice of the turn. */
const turnEvidence = (
  { angle_sure, crop }: Pick<Candidate, "angle_sure" | "crop">,
  { square, spread, features }: Seen,
): TurnEvidence => lookOf({ spread, features }, square.angle === crop.square.angle ? angle_sure : 0);

const lookOf = ({ spread, features }: Pick<Seen, "spread" | "features">, sure = 0): TurnEvidence => ({
  sure,
  doubt: spread,
  features,
});

/**
 * Looks at a place from all four quarters, for the calibration of the choice among them.
 *
 * @returns For the place as it is, and turned clockwise by one, two and three quarters.
 */
export async function lookAtTurns(
  detector: LandmarkDetector,
  image: Image,
  { angle_sure, ...place }: FacePlace & Pick<FoundFace, "angle_sure">,
): Promise<TurnEvidence[]> {
  const crop: Crop = { pyramid: new Pyramid(image), square: cropAround(place) };
  const seen = await lookAt(detector, [crop, ...quarterTurns(crop)], false);
  return seen.map((one) => turnEvidence({ angle_sure, crop }, one));
}

/** Puts crops through the detector. */
async function lookAt(detector: LandmarkDetector, crops: readonly Crop[], flip: boolean): Promise<Seen[]> {
  const { schema: { count: P }, config: { size_px: side } } = detector;
  const all: Seen[] = [];
  for (let first = 0; first < crops.length; first += detector.batch) {
    const batch = crops.slice(first, first + detector.batch);
    const images = new Uint8Array(batch.length * side * side * 3);
    batch.forEach(({ pyramid, square }, k) => images.set(cropTurned(pyramid, square, side).data, k * side * side * 3));
    const found = await detector.predict(images, side, { flip });
    const doubts = uncertainty(found),
      { landmarks, covariance, features } = found,
      spreads = uncertainty({ landmarks, covariance });
    for (const [k, { square }] of batch.entries()) {
      const inPicture = (px: Float32Array) => px.subarray(P * k, P * (k + 1)).map((px) => px * square.side / side);
      all.push({
        square,
        landmarks: transformLandmarks(
          landmarks.subarray(2 * P * k, 2 * P * (k + 1)),
          invertAffine(turnedTransform(square, side)),
        ),
        uncertainty_px: inPicture(doubts),
        spread: mean(spreads.subarray(P * k, P * (k + 1))) / side,
        features: features?.slice(k * features.length / batch.length, (k + 1) * features.length / batch.length),
      });
    }
  }
  return all;
}

/** Notes the result of a pass; true if the next crop would be nearly the same. */
function take(
  candidate: Candidate,
  { square, landmarks, uncertainty_px, ...rest }: Seen,
  { schema }: LandmarkDetector,
): boolean {
  const before = candidate.seen?.landmarks;
  const squares = uncertainty_px.map((_, p) => before ? squaredDistance(landmarks, before, p) : 0);
  const moved = Math.sqrt(squares.reduce((sum, value) => sum + value, 0) / squares.length);
  candidate.seen = { landmarks, uncertainty_px: uncertainty_px.map((px) => Math.hypot(px, moved)), ...rest };
  candidate.looks = [...candidate.looks ?? [], lookOf(candidate.seen)];
  const next = cropAround(facePlace(landmarks, schema));
  candidate.crop = { pyramid: candidate.crop.pyramid, square: next };
  const turn = next.angle - square.angle;
  const shift = Math.max(Math.abs(next.x - square.x), Math.abs(next.y - square.y), Math.abs(next.side - square.side));
  return Math.abs(Math.atan2(Math.sin(turn), Math.cos(turn))) < SETTLED_RAD && shift < SETTLED * square.side;
}

function squaredDistance(a: Landmarks, b: Landmarks, point: number): number {
  const [ax, ay] = pointAt(a, point), [bx, by] = pointAt(b, point);
  return (ax - bx) ** 2 + (ay - by) ** 2;
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
