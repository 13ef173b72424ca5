/**
 * Measures of a finder: which faces it finds, what it takes for faces, and what its scores mean.
 *
 * @module
 */

import type { FacePlace } from "../../faces/place.ts";
import { circleArea, circleIntersection, type FaceCandidate } from "./decode.ts";
import { fitLogistic } from "./logistic.ts";
import type { LabelledFace } from "./targets.ts";

/** Intersection over union of the circles of two faces from which one counts as found by the other. */
export const FOUND_OVERLAP = 0.4;

/** Something found, and the face that it is. */
export type Judged<C extends FaceCandidate = FaceCandidate> = C & {
  /** The face, if it is the surest at one that is. */
  readonly face: LabelledFace | null;
};

/** The part of what was found that its probability is about. */
export type Outcome = Pick<Judged, "logit" | "face">;

/** Result of {@linkcode judge}. */
export interface Judgement<C extends FaceCandidate = FaceCandidate> {
  /** Detections, without those at faces that do not count. */
  readonly found: readonly Judged<C>[];
  /** Faces that count. */
  readonly faces: readonly LabelledFace[];
}

const overlap = (a: FacePlace, b: FacePlace): number => {
  const both = circleIntersection(a, b);
  return both / (circleArea(a) + circleArea(b) - both);
};

/**
 * Compares what was found in a picture with its faces. From the surest on, each takes the face that it overlaps most of
 * those that are left.
 */
export function judge<C extends FaceCandidate>(found: readonly C[], faces: readonly LabelledFace[]): Judgement<C> {
  const left = new Set(faces);
  const judged: Judged<C>[] = [];
  for (const one of found.toSorted((a, b) => b.logit - a.logit)) {
    const near = [...left].map((face) => ({ face, share: overlap(one, face) })).filter(({ share }) =>
      share >= FOUND_OVERLAP
    );
    const [best] = near.toSorted((a, b) => b.share - a.share);
    if (best && !best.face.counts) continue;
    if (best) left.delete(best.face);
    judged.push({ ...one, face: best?.face ?? null });
  }
  return { found: judged, faces: faces.filter(({ counts }) => counts) };
}

/** Recall and false ones at a logit. */
export interface Rate {
  /** Share of the faces that are found. */
  readonly recall: number;
  /** False ones, a picture. */
  readonly false_per_picture: number;
  /** Share of what is found that is right; 1 if nothing is. */
  readonly precision: number;
}

/** Rates of the judgements of pictures, at a least logit. */
export function rateAt(pictures: readonly Judgement[], least: number): Rate {
  const sure = pictures.flatMap(({ found }) => found.filter(({ logit }) => logit >= least));
  const right = sure.filter(({ face }) => face).length;
  const faces = pictures.reduce((sum, { faces }) => sum + faces.length, 0);
  return {
    recall: faces ? right / faces : 1,
    false_per_picture: (sure.length - right) / pictures.length,
    precision: sure.length ? right / sure.length : 1,
  };
}

/** Errors of the angles of the faces that were found at a least logit, radians from 0 to pi. */
export function angleErrors(pictures: readonly Judgement[], least: number): number[] {
  return pictures.flatMap(({ found }) =>
    found.flatMap(({ logit, angle, face }) => {
      if (!face || logit < least) return [];
      const off = angle - face.angle;
      return [Math.abs(Math.atan2(Math.sin(off), Math.cos(off)))];
    })
  );
}

/** Average precision: the area under precision over recall, with the best precision at each recall or more. */
export function averagePrecision(pictures: readonly Judgement[]): number {
  const all = pictures.flatMap(({ found }) => found).toSorted((a, b) => b.logit - a.logit);
  const faces = pictures.reduce((sum, { faces }) => sum + faces.length, 0);
  let right = 0;
  const precision = all.map(({ face }, k) => (right += face ? 1 : 0) / (k + 1));
  let [area, best] = [0, 0];
  for (let k = all.length - 1; k >= 0; k--) {
    best = Math.max(best, precision[k]!);
    if (all[k]!.face) area += best / faces;
  }
  return faces ? area : 1;
}

/**
 * Finds the map from logits to probabilities: `1 / (1 + exp(-(slope logit + shift)))` of the greatest likelihood.
 *
 * Source: Platt 1999, see {@linkcode fitLogistic}.
 */
export function calibrate(judged: readonly Outcome[]): { slope: number; shift: number } {
  const [slope = 1, shift = 0] = fitLogistic(judged.map(({ logit }) => [logit]), judged.map(({ face }) => !!face), [1]);
  return { slope: Math.max(1e-3, slope), shift };
}

/** Scores between two bounds, and the share of them that are right. */
export interface Bin {
  /** Least score. */
  readonly from: number;
  /** Greatest score. */
  readonly to: number;
  /** Number of them. */
  readonly count: number;
  /** Mean score. */
  readonly score: number;
  /** Share that is right. */
  readonly right: number;
}

/** Compares scores with the shares that are right, in bins of equal width. */
export function reliability(
  judged: readonly Outcome[],
  scoreOf: (logit: number) => number,
  bins: number = 10,
): Bin[] {
  return Array.from({ length: bins }, (_, k): Bin => {
    const [from, to] = [k / bins, (k + 1) / bins];
    const scores = judged.map(({ logit, face }) => ({ score: scoreOf(logit), face }))
      .filter(({ score }) => score >= from && (score < to || k === bins - 1));
    const mean = (values: readonly number[]) => values.length ? values.reduce((a, b) => a + b, 0) / values.length : NaN;
    return {
      from,
      to,
      count: scores.length,
      score: mean(scores.map(({ score }) => score)),
      right: mean(scores.map(({ face }) => face ? 1 : 0)),
    };
  }).filter(({ count }) => count > 0);
}
