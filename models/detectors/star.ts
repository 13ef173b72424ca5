/**
 * STAR's landmark detector: stacked hourglasses with heatmaps for points and for edges, under the peer's own names.
 *
 *     images [N, H, W, 3] ─ pre: + coordinates, 7x7 / 2, block, pool, block, block ─ x [N, H/4, W/4, C]
 *
 *     for each stack s:
 *       x ─ hgs.s: + coordinates (+ masked ones), hourglass ─ features.s ─┬─ out_heatmaps ─ instance norm, ReLU ─ h
 *                                                                         ├─ out_pointmaps ─ sigmoid ─ p
 *                                                                         └─ out_edgemaps ─ sigmoid ─ e
 *       landmarks = weighted mean of place under h * p * (edges' points of e)
 *       x ← x + merge_features(features) + merge_heatmaps(h) + merge_pointmaps(p) + merge_edgemaps(e)
 *
 * Easy to get wrong:
 * - images are BGR; landmarks are normalised as `(2 p + 1) / S - 1` ({@linkcode toStar}), while the heatmaps' places
 *   run from -1 at the first pixel's centre to 1 at the last's. The peer mixes the two, so this does too;
 * - the first coordinate channel runs down the rows, the second along the columns; the radius is divided by its maximum;
 * - from the second stack on, the two coordinates are there again where the LAST heatmap of the stack before (after
 *   instance norm and ReLU, without the mask) exceeds 0.05;
 * - every block has the parameters of a skip layer, and uses them only where the width changes;
 * - `num_batches_tracked` and `e2h_transform` are in checkpoints and follow from the rest: {@linkcode STAR_DERIVED}.
 *
 * Source: Zhou et al. 2023, arXiv 2306.02763; ZhenglinZhou/STAR at 9b12574, lib/backbone/stackedHGNetV1.py.
 *
 * @module
 */

import { z } from "zod";
import type { Box } from "../../faces/data/image.ts";
import { add } from "../../ops/add.ts";
import { awingLoss } from "../../ops/awing.ts";
import { concat } from "../../ops/concat.ts";
import { expandTo } from "../../ops/expand.ts";
import { centres, heatmapMoments } from "../../ops/heatmap.ts";
import { linear } from "../../ops/linear.ts";
import { maxPool } from "../../ops/max_pool.ts";
import { mul } from "../../ops/mul.ts";
import { batchNorm, batchNormTrain, instanceNorm } from "../../ops/norm.ts";
import { relu } from "../../ops/relu.ts";
import { affine } from "../../ops/affine.ts";
import { sigmoid } from "../../ops/sigmoid.ts";
import { slice } from "../../ops/slice.ts";
import { starLoss } from "../../ops/star_loss.ts";
import { step } from "../../ops/step.ts";
import { upsampleNearest } from "../../ops/upsample_nearest.ts";
import { dims, extent, type Value } from "../../engine/graph.ts";
import { convolve } from "../diffusion/layers.ts";
import { ONES, type Scope, ZEROS } from "../io/params.ts";

const size = z.int().min(1);

/** The peer's constructor arguments. */
export const starConfig = z.strictObject({
  width: size.describe("Width of the images, pixels"),
  height: size.describe("Height of the images, pixels"),
  nstack: size.describe("Hourglasses one after the other"),
  nlevels: size.describe("Number of times an hourglass halves its maps"),
  in_channel: size.describe("Channels of the features"),
  classes_num: z.tuple([size, size, size]).describe("Landmarks, edges, points"),
  edge_info: z.array(z.tuple([z.boolean(), z.array(z.int().min(0))])).describe("Edges: whether closed, and its points"),
});

/** See {@linkcode starConfig}. */
export type StarConfig = z.output<typeof starConfig>;

/** Names in the peer's checkpoints that are no parameters here: they follow from the configuration, or are counters. */
export const STAR_DERIVED = /(^|\.)num_batches_tracked$|^e2h_transform\.(weight|bias)$/;

/** Outputs of one stack; maps are `[N, H/4, W/4, ...]`. */
export interface StarStack {
  /** `[N, P, 2]`, x and y from -1 to 1. */
  readonly landmarks: Value;
  /** Masked heatmaps that the landmarks are the means of, `[..., P]`. */
  readonly heatmaps: Value;
  /** Attention to points, 0 to 1: `[..., P]`. */
  readonly pointmaps: Value;
  /** Attention to edges, 0 to 1: `[..., E]`. */
  readonly edgemaps: Value;
}

/** Outputs of the network. */
export interface StarOutput {
  /** Input of the first hourglass, and the features that the maps of each stack are made of: `[N, H/4, W/4, C]` each. */
  readonly features: readonly Value[];
  /** One output a stack; the last is the detector's. */
  readonly stacks: readonly StarStack[];
  /** In training, running statistics of the batch norms and their new values, for the fetches of an executable. */
  readonly updates: readonly (readonly [Value, Value])[];
}

/**
 * The network.
 *
 * @param images `[N, height, width, 3]`, BGR, -1 to 1.
 * @param training True if batch norms use the batch's statistics, as in the peer's `train()`.
 */
export function star(scope: Scope, images: Value, config: StarConfig, training: boolean): StarOutput {
  const { nstack, nlevels, in_channel: C, classes_num: [P, E, points] } = config;
  const updates: [Value, Value][] = [];

  const norm = (at: Scope, name: string, x: Value): Value => {
    const { gamma, beta } = at.norm(name, extent(x, 3));
    const running = {
      mean: at.vector(`${name}.running_mean`, extent(x, 3), ZEROS),
      var: at.vector(`${name}.running_var`, extent(x, 3), ONES),
    };
    if (!training) return batchNorm(x, gamma, beta, running);
    const { y, running_mean, running_var } = batchNormTrain(x, gamma, beta, running);
    updates.push([running.mean, running_mean], [running.var, running_var]);
    return y;
  };
  const pointwise = (at: Scope, x: Value, channels: number) => convolve(at, "conv", x, channels, { kernel: 1 });
  const block = (at: Scope, x: Value, channels: number): Value => {
    const width = extent(x, 3);
    const middle = Math.floor(channels / 2);
    at.at("skip_layer").conv("conv", 1, 1, width, channels);
    let h = pointwise(at.at("conv1"), relu(norm(at, "bn1", x)), middle);
    h = convolve(at.at("conv2"), "conv", relu(norm(at, "bn2", h)), middle);
    h = pointwise(at.at("conv3"), relu(norm(at, "bn3", h)), channels);
    return add(h, width === channels ? x : pointwise(at.at("skip_layer"), x, channels));
  };
  const hourglass = (at: Scope, x: Value, level: number): Value => {
    let low = block(at.at("low1"), maxPool(x), C);
    low = level > 1 ? hourglass(at.at("low2"), low, level - 1) : block(at.at("low2"), low, C);
    return add(block(at.at("up1"), x, C), upsampleNearest(block(at.at("low3"), low, C)));
  };

  let x = convolve(scope.at("pre.0"), "conv", withCoordinates(images), 64, { kernel: 7, stride: 2 });
  x = maxPool(block(scope.at("pre.1"), relu(norm(scope.at("pre.0"), "bn", x)), 128));
  x = block(scope.at("pre.4"), block(scope.at("pre.3"), x, 128), C);

  const stacks: StarStack[] = [];
  const maps: Value[] = [x];
  let boundary: Value | undefined;
  for (let s = 0; s < nstack; s++) {
    const at = (name: string) => scope.at(`${name}.${s}`);
    const y = hourglass(at("hgs"), pointwise(at("hgs").at("coordconv"), withCoordinates(x, boundary), C), nlevels);
    const tail = at("features").at("1");
    const features = relu(norm(tail, "bn", pointwise(tail, block(at("features").at("0"), y, C), C)));
    maps.push(features);
    const raw = relu(instanceNorm(pointwise(at("out_heatmaps"), features, P)));
    const pointmaps = sigmoid(pointwise(at("out_pointmaps"), features, points));
    const edgemaps = sigmoid(pointwise(at("out_edgemaps"), features, E));
    const heatmaps = mul(mul(pointsOfEdges(edgemaps, config), pointmaps), raw);
    stacks.push({ landmarks: heatmapMoments(heatmaps).mean, heatmaps, pointmaps, edgemaps });
    if (s + 1 < nstack) {
      const merged: [string, Value][] = [
        ["features", features],
        ["heatmaps", raw],
        ["pointmaps", pointmaps],
        ["edgemaps", edgemaps],
      ];
      for (const [name, value] of merged) x = add(x, pointwise(at(`merge_${name}`), value, C));
      boundary = slice(raw, 3, P - 1, 1);
    }
  }
  return { features: maps, stacks, updates };
}

/**
 * Channels for the place of a pixel: vertical, horizontal, radius; with a boundary map, `[N, H, W, 1]`, also vertical and
 * horizontal where it exceeds 0.05.
 */
function withCoordinates(x: Value, boundary?: Value): Value {
  const { N, H, W } = dims(x, "N H W C");
  const place = centres(H).flatMap((v) => centres(W).map((h) => [v, h] as const));
  const radius = Math.max(...place.map(([v, h]) => Math.hypot(v, h)));
  const channels = x.graph.constant(place.flatMap(([v, h]) => [v, h, Math.hypot(v, h) / radius]), [1, H, W, 3]);
  const all = concat([x, expandTo(channels, [N, H, W, 3])]);
  if (!boundary) return all;
  return concat([all, mul(step(boundary, 0.05), x.graph.constant(place.flat(), [1, H, W, 2]))]);
}

/** Each point's share of the edges that pass through it, `[..., E]` to `[..., P]`; 1 for a point on no edge. */
function pointsOfEdges(edgemaps: Value, { edge_info, classes_num: [, E, points] }: StarConfig): Value {
  const matrix = new Float32Array(E * points);
  const bias = new Float32Array(points).fill(1);
  edge_info.forEach(([, members], e) =>
    members.forEach((p) => {
      matrix[e * points + p] = 1;
      bias[p] = 0;
    })
  );
  const { graph } = edgemaps;
  return linear(edgemaps, graph.constant(matrix, [E, points]), graph.constant(bias, [points]));
}

/** Targets of {@linkcode starTrainingLoss}. */
export interface StarTargets {
  /** Landmarks as {@linkcode toStar} gives them, `[N, P, 2]`. */
  readonly landmarks: Value;
  /** `[N, H/4, W/4, P]`. */
  readonly pointmaps: Value;
  /** `[N, H/4, W/4, E]`. */
  readonly edgemaps: Value;
}

/**
 * The loss of the peer's training: STAR loss of the landmarks and ten times AWing of the maps; each stack counts twice the
 * one before, and the last 1.
 */
export function starTrainingLoss({ stacks }: StarOutput, targets: StarTargets): Value {
  return stacks.map(({ heatmaps, pointmaps, edgemaps }, s) => {
    const maps = add(awingLoss(pointmaps, targets.pointmaps), awingLoss(edgemaps, targets.edgemaps));
    return affine(add(starLoss(heatmaps, targets.landmarks), affine(maps, 10)), 2 ** (s + 1 - stacks.length));
  }).reduce((a, b) => add(a, b));
}

/** A place in pixels (0 is the first pixel's centre) of an image of `size_px` as the network counts: -1 to 1. */
export function toStar(px: number, size_px: number): number {
  return (2 * px + 1) / size_px - 1;
}

/** The inverse of {@linkcode toStar}. */
export function fromStar(place: number, size_px: number): number {
  return ((place + 1) * size_px - 1) / 2;
}

/**
 * The square that STAR cuts out for its detector: 200 pixels times the face's scale about its centre.
 *
 * @param scale The longer side of the face's box divided by 200, as lists of 300-W have it.
 * @param centre Middle of the box, pixels.
 * @returns For `cropSquare`; the peer fills with black and does not antialias.
 */
export function starBox(scale: number, [x, y]: readonly [number, number]): Box {
  const side = 200 * scale;
  return { x: x - side / 2, y: y - side / 2, side };
}
