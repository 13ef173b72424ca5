/**
 * A one-stage network that finds faces of any in-plane angle in whole pictures, by config.
 *
 *     images [N, H, W, 3] ─ stem /2 ─ /4 ─ c8 /8 ─ c16 /16 ─ c32 /32
 *                                          │         │          │
 *                                     lateral8   lateral16    top32
 *                                          + ─ up ── + ── up ───┘
 *                                          └ fuse8 ─ neck ─┬─ heat [N, H/8, W/8, 1]
 *                                                          └─ box  [N, H/8, W/8, 5]
 *
 * Each cell of 8 x 8 pixels has the logit that the centre of a face lies in it, and of that face the centre's offset
 * from the cell's centre (cells), the logarithm of its side over {@linkcode REFERENCE_PX}, and sine and cosine of its
 * angle.
 *
 * Zhou et al. 2019, arXiv 1904.07850 (centres as points, penalty-reduced focal loss), with a feature pyramid (Lin et al.
 * 2017, arXiv 1612.03144), residual blocks and batch norm.
 *
 * Easy to get wrong:
 * - a cell covers 8 pixels, so its centre lies at `(j + 0.5) 8 - 0.5`;
 * - sine and cosine are not normalised: only their direction is read;
 * - the loss of sine and cosine is the squared error, whose least is at the mean of the angles that a face may have: the
 *   absolute error's is at their median, which is upright for every face where most are;
 * - weights of cells contain the division by the number of faces of the batch: the loss is a plain sum.
 *
 * @module
 */

import { z } from "zod";
import { add } from "../../ops/add.ts";
import { affine } from "../../ops/affine.ts";
import { clamp } from "../../ops/clamp.ts";
import { concat } from "../../ops/concat.ts";
import { log } from "../../ops/log.ts";
import { mul } from "../../ops/mul.ts";
import { batchNorm, batchNormTrain } from "../../ops/norm.ts";
import { relu } from "../../ops/relu.ts";
import { sigmoid } from "../../ops/sigmoid.ts";
import { slice } from "../../ops/slice.ts";
import { smoothL1 } from "../../ops/smooth_l1.ts";
import { sub } from "../../ops/sub.ts";
import { sum } from "../../ops/sum.ts";
import { upsampleNearest } from "../../ops/upsample_nearest.ts";
import { extent, Graph, type Value } from "../../engine/graph.ts";
import { convolve } from "../diffusion/layers.ts";
import type { ConfigFormat } from "../io/config.ts";
import { ONES, type ParameterSpec, Scope, type Specs, ZEROS } from "../io/params.ts";
import type { PairCalibration } from "./pair_score.ts";

/** Prefix of the parameters' names in a graph. */
export const FINDER = "finder/";
/** Side of a cell, pixels of the network's images. */
export const CELL_PX = 8;
/** Sides of the network's images are multiples of this. */
export const SIDE_STEP_PX = 32;
/** Side of a face whose logarithm is 0, pixels of the network's images. */
export const REFERENCE_PX = 32;
/** Values of a cell: the logit, then those of the face. */
export const CELL_VALUES = 6;

const channels = (by: string, standard: number) =>
  z.int().min(4).max(512).default(standard).describe(`Channels of the maps at 1/${by} of the side`);

/** Options of a finder's network. */
export const finderOptions = {
  stem: channels("2", 16),
  c4: channels("4", 32),
  c8: channels("8", 48),
  c16: channels("16", 96),
  c32: channels("32", 128),
  neck: z.int().min(4).max(512).default(64).describe("Channels of the maps that the outputs are read from"),
  blocks: z.int().min(1).max(8).default(1).describe("Residual blocks at 1/16 of the side, and at 1/32"),
};

const slope = z.number().positive().default(1).describe("Factor of a logit");
const shift = z.number().default(0).describe("Number added to it");

/** Checks of a {@linkcode FinderConfig}, with its defaults. */
export const finderConfig = z.strictObject({
  model_type: z.literal("face_finder").default("face_finder").describe("Kind of network"),
  ...finderOptions,
  calibration: z.strictObject({ slope, shift }).default({ slope: 1, shift: 0 }).describe(
    "Map of logits to scores: 1 / (1 + exp(-(slope logit + shift)))",
  ),
  with_detector: z.strictObject({
    detector: z.string().regex(/^[0-9a-f]{8}$/).describe(
      "Fingerprint of the detector; others leave the score as it is",
    ),
    slope: z.number().describe("Factor of the logit of the finder's score"),
    doubt: z.number().describe("Factor of the logarithm of the detector's doubt"),
    features: z.array(z.number()).optional().describe(
      "Factors of the logarithms of 1 and each feature of the detector",
    ),
    shift: z.number().describe("Number added to them"),
    least_score: z.number().gt(0).lt(1).describe("Least score of the finder from which the detector looks at a place"),
    turn: z.strictObject({
      sure: z.number().describe("Factor of the finder's sureness of its angle"),
      doubt: z.number().describe("Factor of the logarithm of the detector's doubt"),
      features: z.array(z.number()).optional().describe(
        "Factors of the logarithms of 1 and each feature of the detector",
      ),
    }).optional().describe("Choice among four turns of a crop; by default by the detector's doubt alone"),
  }).optional().describe("Scores by the finder and one detector together"),
});

/** Configuration of a finder. */
export interface FinderConfig {
  /** Kind of network. */
  model_type: "face_finder";
  /** Channels of the maps at a half of the side. */
  stem: number;
  /** Channels of the maps at a quarter of the side. */
  c4: number;
  /** Channels of the maps at 1/8 of the side. */
  c8: number;
  /** Channels of the maps at 1/16 of the side. */
  c16: number;
  /** Channels of the maps at 1/32 of the side. */
  c32: number;
  /** Channels of the maps that the outputs are read from. */
  neck: number;
  /** Residual blocks at 1/16 of the side, and at 1/32; there is one at 1/8. */
  blocks: number;
  /** Map of logits to scores (Platt 1999): `1 / (1 + exp(-(slope logit + shift)))`. */
  calibration: { slope: number; shift: number };
  /** Scores by the finder and one detector together; without it the finder's own stay. */
  with_detector?: PairCalibration | undefined;
}

/** `config.json` of a finder. */
export const finderFormat: ConfigFormat<FinderConfig> = { name: "face_finder", schema: finderConfig, fixed: {} };

/** Logit of every cell of a network without training: few cells hold the centre of a face. */
const PRIOR_LOGIT = -4;

/** A network and, in training, the new values of its running statistics. */
interface Built {
  readonly cells: Value;
  readonly updates: readonly (readonly [Value, Value])[];
}

/**
 * Builds the network.
 *
 * @param images `[N, H, W, 3]`, RGB from -1 to 1; H and W are multiples of {@linkcode SIDE_STEP_PX}.
 * @param training True to normalise by the statistics of the batch.
 * @returns `[N, H/8, W/8, 6]`: logit, offset x and y, logarithm of the side, sine and cosine of the angle.
 */
function build(scope: Scope, images: Value, config: FinderConfig, training: boolean): Built {
  const updates: [Value, Value][] = [];
  const norm = (at: Scope, name: string, x: Value): Value => {
    const C = extent(x, 3);
    const { gamma, beta } = at.norm(name, C);
    const running = {
      mean: at.vector(`${name}.running_mean`, C, ZEROS),
      var: at.vector(`${name}.running_var`, C, ONES),
    };
    if (!training) return batchNorm(x, gamma, beta, running);
    const { y, running_mean, running_var } = batchNormTrain(x, gamma, beta, running);
    updates.push([running.mean, running_mean], [running.var, running_var]);
    return y;
  };
  const conv = (at: Scope, x: Value, width: number, options: { kernel?: number; stride?: number } = {}): Value =>
    norm(at, "norm", convolve(at, "conv", x, width, { bias: false, ...options }));
  const block = (at: Scope, x: Value): Value => {
    const h = conv(at.at("1"), relu(conv(at.at("0"), x, extent(x, 3))), extent(x, 3));
    return relu(add(x, h));
  };
  const level = (name: string, x: Value, width: number, blocks: number): Value => {
    const at = scope.at(name);
    let y = block(at.at("block"), relu(conv(at.at("down"), x, width, { stride: 2 })));
    for (let k = 1; k < blocks; k++) y = block(at.at(`block${k}`), y);
    return y;
  };
  const half = relu(conv(scope.at("stem"), images, config.stem, { stride: 2 }));
  const quarter = relu(conv(scope.at("c4"), half, config.c4, { stride: 2 }));
  const c8 = level("c8", quarter, config.c8, 1);
  const c16 = level("c16", c8, config.c16, config.blocks);
  const c32 = level("c32", c16, config.c32, config.blocks);
  const pointwise = (name: string, x: Value, width: number) => conv(scope.at(name), x, width, { kernel: 1 });
  const merged = (name: string, x: Value, above: Value): Value => {
    const width = extent(above, 3);
    const together = relu(add(pointwise(`lateral${name}`, x, width), upsampleNearest(above)));
    return relu(conv(scope.at(`fuse${name}`), together, width));
  };
  const up16 = merged("16", c16, pointwise("top32", c32, config.neck));
  const up8 = merged("8", c8, pointwise("top16", up16, config.c8));
  const neck = relu(conv(scope.at("neck"), up8, config.neck));
  const heat = affine(convolve(scope, "heat", neck, 1, { kernel: 1 }), 1, PRIOR_LOGIT);
  return { cells: concat([heat, convolve(scope, "box", neck, CELL_VALUES - 1, { kernel: 1 })]), updates };
}

/** The network on pictures of a size; its input is `images`, `[N, height, width, 3]`, RGB from -1 to 1. */
export function finderNetwork(
  graph: Graph,
  config: FinderConfig,
  [N, height, width]: readonly [number, number, number],
): { readonly specs: Specs; readonly cells: Value } {
  const specs = new Map<string, ParameterSpec>();
  const images = graph.input("images", [N, height, width, 3]);
  return { specs, cells: build(new Scope(graph, specs, FINDER), images, config, false).cells };
}

/** Parameters of a finder's network. */
export function finderSpecs(config: FinderConfig): Specs {
  return finderNetwork(new Graph(), config, [1, SIDE_STEP_PX, SIDE_STEP_PX]).specs;
}

/** A network in training. */
export interface FinderTraining {
  /** Its parameters. */
  readonly specs: Specs;
  /** Scalar to minimise. */
  readonly loss: Value;
  /** Results of the batch, `[N, H/8, W/8, 6]`. */
  readonly cells: Value;
  /** Running statistics and their new values. */
  readonly updates: readonly (readonly [Value, Value])[];
}

/** Names of the parameters that gradients move: all but running statistics. */
export function finderTrainable(specs: Specs): string[] {
  return [...specs.keys()].filter((name) => !/\.running_(mean|var)$/.test(name));
}

/** Builds a network for training; its inputs are `images` and `targets`, see `finderTargets()`. */
export function finderTraining(graph: Graph, config: FinderConfig, batch: number, side: number): FinderTraining {
  const specs = new Map<string, ParameterSpec>();
  const images = graph.input("images", [batch, side, side, 3]);
  const { cells, updates } = build(new Scope(graph, specs, FINDER), images, config, true);
  const targets = graph.input("targets", [batch, side / CELL_PX, side / CELL_PX, TARGET_VALUES]);
  return { specs, loss: finderLoss(cells, targets), cells, updates };
}

/** Values of a cell's target: weights as centre, as background and of the face's values, and these. */
export const TARGET_VALUES = 8;
/** Logits beyond this have no gradient, so that logarithms are finite. */
export const LOGIT_LIMIT = 9;
/** Values of a face that are lengths: the offset and the size. */
const LENGTHS = 3;
/** Difference of lengths below which their loss is quadratic. */
export const BOX_BETA = 0.1;
/** Weight of the squared error of sine and cosine beside the other parts. */
export const ANGLE_WEIGHT = 2;

/**
 * The loss: penalty-reduced focal loss of the centres, smooth L1 of the faces' offsets and sizes, and the squared error of
 * their sines and cosines.
 *
 * `-sum(c (1 - p)^2 log p + b p^2 log(1 - p)) + sum(w (smooth_l1(v - t) + (u - s)^2))`, with `p = sigmoid(logit)`.
 *
 * @param cells As the network gives them, `[N, h, w, 6]`.
 * @param targets `[N, h, w, 8]`: weights c, b and w, then the three values t and the two values s.
 * @returns `[1]`.
 *
 * Source: Zhou et al. 2019, arXiv 1904.07850, eq. 1.
 */
export function finderLoss(cells: Value, targets: Value): Value {
  const target = (first: number, count = 1) => slice(targets, 3, first, count);
  const p = sigmoid(clamp(slice(cells, 3, 0, 1), -LOGIT_LIMIT, LOGIT_LIMIT));
  const q = affine(p, -1, 1);
  const centres = mul(target(0), mul(mul(q, q), log(p)));
  const background = mul(target(1), mul(mul(p, p), log(q)));
  const lengths = smoothL1(slice(cells, 3, 1, LENGTHS), target(3, LENGTHS), BOX_BETA);
  const directions = sub(slice(cells, 3, 1 + LENGTHS, 2), target(3 + LENGTHS, 2));
  const angles = affine(sum(mul(target(2), mul(directions, directions))), ANGLE_WEIGHT);
  return add(add(affine(sum(add(centres, background)), -1), sum(mul(target(2), lengths))), angles);
}
