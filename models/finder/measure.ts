/**
 * Measures of a finder: which faces it finds, what it takes for faces, and what its scores mean.
 *
 * @module
 */

import type { FacePlace } from "../../faces/place.ts";
import { circleArea, circleIntersection, type FaceCandidate } from "./decode.ts";
import type { LabelledFace } from "./targets.ts";

/** Intersection over union of the circles of two faces from which one counts as found by the other. */
export const FOUND_OVERLAP = 0.4;

/** Something found, and the face that it is. */
export interface Judged extends FaceCandidate {
  /** The face, if it is the surest at one that is. */
  readonly face: LabelledFace | null;
}

/** The part of what was found that its probability is about. */
export type Outcome = Pick<Judged, "logit" | "face">;

/** Result of {@linkcode judge}. */
export interface Judgement {
  /** Detections, without those at faces that do not count. */
  readonly found: readonly Judged[];
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
export function judge(found: readonly FaceCandidate[], faces: readonly LabelledFace[]): Judgement {
  const left = new Set(faces);
  const judged: Judged[] = [];
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
 * Both outcomes are counted as a little short of sure, so that the map is finite where they are apart.
 *
 * Source: Platt 1999, "Probabilistic outputs for support vector machines", with Newton's method (Lin et al. 2007).
 */
export function calibrate(judged: readonly Outcome[]): { slope: number; shift: number } {
  const right = judged.filter(({ face }) => face).length, wrong = judged.length - right;
  const [high, low] = [(right + 1) / (right + 2), 1 / (wrong + 2)];
  let [slope, shift] = [1, 0];
  const lossOf = (slope: number, shift: number) =>
    judged.reduce((sum, { logit, face }) => {
      const z = slope * logit + shift, target = face ? high : low;
      // log(1 + exp(z)) - target z
      return sum + Math.max(0, z) + Math.log1p(Math.exp(-Math.abs(z))) - target * z;
    }, 0);
  for (let step = 0; step < 50; step++) {
    let [ga, gb, aa, ab, bb] = [0, 0, 1e-9, 0, 1e-9];
    for (const { logit, face } of judged) {
      const p = 1 / (1 + Math.exp(-(slope * logit + shift)));
      const d = p - (face ? high : low), w = p * (1 - p);
      ga += d * logit;
      gb += d;
      aa += w * logit * logit;
      ab += w * logit;
      bb += w;
    }
    const determinant = aa * bb - ab * ab;
    const [da, db] = [(bb * ga - ab * gb) / determinant, (aa * gb - ab * ga) / determinant];
    let size = 1;
    const before = lossOf(slope, shift);
    while (size > 1e-6 && lossOf(slope - size * da, shift - size * db) > before) size /= 2;
    slope -= size * da;
    shift -= size * db;
    if (Math.hypot(size * da, size * db) < 1e-8) break;
  }
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
