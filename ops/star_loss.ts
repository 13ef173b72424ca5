/**
 * STAR loss: the error of a landmark is measured along the axes of its heatmap, less where the map is uncertain.
 *
 * Source: Zhou et al. 2023, arXiv 2306.02763, section 3.
 *
 * @module
 */

import { dims, type Value } from "../engine/graph.ts";
import { abs } from "./abs.ts";
import { add } from "./add.ts";
import { concat } from "./concat.ts";
import { div } from "./div.ts";
import { eigen2x2 } from "./eigen_2x2.ts";
import { heatmapMoments } from "./heatmap.ts";
import { mul } from "./mul.ts";
import { relu } from "./relu.ts";
import { reshape } from "./reshape.ts";
import { affine } from "./affine.ts";
import { slice } from "./slice.ts";
import { smoothDistance } from "./smooth_l1.ts";
import { sqrt } from "./sqrt.ts";
import { sub } from "./sub.ts";
import { mean, sumMiddle } from "./sum.ts";
import { wingDistance } from "./wing.ts";

const EPS = 1e-5;
/** Below this distance STAR's smooth L1 is quadratic; coordinates run from -1 to 1. */
const BETA = 0.01;

/** Distance function of a projected error. */
export type StarDistance = "smooth_l1" | "l1" | "l2" | "wing";

/** Options of {@linkcode starLoss}; the defaults are those of STAR's training. */
export interface StarLossOptions {
  /** 1 divides the projected errors by the spread and measures then; 2 measures each projection and divides the result. */
  readonly version?: 1 | 2;
  /** `wing` is for version 1 only. */
  readonly distance?: StarDistance;
  /** Weight of the eigenvalues, which keeps the maps from growing. */
  readonly eigenvalue_weight?: number;
}

/** Mean and spread of each heatmap. */
export interface HeatmapSpread {
  /** `[N, P, 2]`. */
  readonly mean: Value;
  /** Unbiased weighted covariance xx, yy, xy: `[N, P, 3]`. */
  readonly covariance: Value;
}

const lane = (x: Value, k: number) => slice(x, 2, k, 1);

/**
 * Weighted mean and covariance of maps of weights, which need not sum to one.
 *
 * The covariance of weights `p` that sum to one is divided by `V1 - V2 / V1`, `V1 = 1 + eps`, `V2 = sum p^2 + eps`.
 *
 * @param heatmaps Not negative, `[N, H, W, P]`.
 */
export function heatmapSpread(heatmaps: Value): HeatmapSpread {
  const { N, H, W, P } = dims(heatmaps, "N H W P");
  const { mean, second, total } = heatmapMoments(heatmaps);
  const squares = reshape(sumMiddle(reshape(mul(heatmaps, heatmaps), [N, H * W, P])), [N, P, 1]);
  const denominator = affine(div(squares, mul(total, total)), -1 / (1 + EPS), 1 + EPS - EPS / (1 + EPS));
  const products = mul(concat([mean, lane(mean, 0)]), concat([mean, lane(mean, 1)]));
  return { mean, covariance: div(sub(second, products), denominator) };
}

/**
 * Mean STAR loss.
 *
 * Where a map is a single pixel or perfectly round its axes are not defined; they are taken as constant there, where
 * the peer's gradient is NaN.
 *
 * @param heatmaps Not negative, `[N, H, W, P]`; normalised here.
 * @param target Coordinates from -1 (first pixel's centre) to 1 (last's), `[N, P, 2]`.
 * @returns `[1]`.
 * @throws {TypeError} For version 2 with the wing distance.
 */
export function starLoss(heatmaps: Value, target: Value, options: StarLossOptions = {}): Value {
  const { version = 2, distance = "smooth_l1", eigenvalue_weight = 1 } = options;
  const { mean: centre, covariance } = heatmapSpread(heatmaps);
  const axes = eigen2x2(covariance);
  // The variances of a map of nearly one pixel are differences of equal numbers, and may round to below zero.
  const [low, high] = [relu(lane(axes, 0)), relu(lane(axes, 1))];
  const [cos, sin] = [lane(axes, 2), lane(axes, 3)];
  const error = sub(target, centre);
  const [x, y] = [lane(error, 0), lane(error, 1)];
  const across = sub(mul(cos, y), mul(sin, x));
  const along = add(mul(cos, x), mul(sin, y));
  const [narrow, wide] = [sqrt(affine(low, 1, EPS)), sqrt(affine(high, 1, EPS))];
  const square = (v: Value) => mul(v, v);
  // Distances of one projection, and of both as a vector.
  const single = { smooth_l1: (v: Value) => smoothDistance(square(v), BETA), l1: abs, l2: square };
  const half = (of: (v: Value) => Value) => (a: Value, b: Value) => affine(add(of(a), of(b)), 0.5);
  const both = {
    smooth_l1: (a: Value, b: Value) => smoothDistance(add(square(a), square(b)), BETA),
    wing: (a: Value, b: Value) => wingDistance(add(square(a), square(b))),
    l1: half(abs),
    l2: half(square),
  };
  const measured = () => {
    if (version === 1) return both[distance](div(across, narrow), div(along, wide));
    if (distance === "wing") {
      throw new TypeError(`Cannot use the wing distance in STAR loss 2, hint: version 1 or "smooth_l1"`);
    }
    return add(div(single[distance](across), narrow), div(single[distance](along), wide));
  };
  return mean(add(measured(), affine(add(low, high), eigenvalue_weight)));
}
