/**
 * Looks of a landmark detector at the places of faces, pass after pass.
 *
 * @module
 */

import { cropTurned, Pyramid, type TurnedSquare, turnedTransform } from "../../faces/data/turned_crop.ts";
import type { Image } from "../../faces/data/image.ts";
import { itemAt } from "../../engine/lookup.ts";
import { pointAt } from "../../faces/geometry.ts";
import { CROP_SCALE, invertAffine, type Landmarks, transformLandmarks } from "../../faces/landmarks.ts";
import { type FacePlace, facePlace } from "../../faces/place.ts";
import { mean } from "../../faces/statistics.ts";
import { type FoundFace, MIN_SCORE } from "../finder/finder.ts";
import { type Evidence, meanEvidence } from "../finder/evidence.ts";
import { logitOf } from "../finder/logistic.ts";
import { type PairCalibration, pairScore } from "../finder/pair_score.ts";
import { BY_DOUBT, type TurnEvidence, turnScore, type TurnWeights } from "../finder/turn_score.ts";
import { type Detector, uncertainty } from "./detector.ts";
import type { FindFacesOptions } from "./find_faces.ts";
import type { Turned } from "./search_turned.ts";

/** The part of a detector that is needed here. */
export type LandmarkDetector =
  & Pick<Detector, "config" | "schema" | "batch" | "predict">
  & Partial<Pick<Detector, "fingerprint">>;

/** A pass that moves a face by less than this part of the crop's side, and turns it by less, radians, was the last. */
export const SETTLED = 0.03, SETTLED_RAD = 0.1;
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
/** Sureness of an angle that is known, on the scale of `FoundFace.angle_sure`. */
export const KNOWN_SURE = Infinity;

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

/** A face on its way through the passes. */
export interface Candidate {
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
export const cropAround = ({ side, ...place }: FacePlace): TurnedSquare => ({ ...place, side: CROP_SCALE * side });

/** Passes of the detector over all candidates. One whose score is out of reach of the least score is not looked at again. */
export async function look(
  detector: LandmarkDetector,
  candidates: readonly Candidate[],
  { passes = 3, flip = false, min_score = MIN_SCORE }: Pick<FindFacesOptions, "passes" | "flip" | "min_score">,
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
