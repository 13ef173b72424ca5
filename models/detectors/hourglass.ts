/**
 * A compact stacked hourglass that finds the landmarks of a schema, by config.
 *
 *     images [N, S, S, 3] ─ + x, y ─ stem ─ [N, H, H, C] ─ hourglass ─ features ─ heatmaps [N, H, H, P] ─ soft-argmax ─ [N, P, 2]
 *                                               └──────── + ─────────────┴─────────────┘ next stack
 *
 * Newell et al. 2016, arXiv 1603.06937, with coordinate channels (Liu et al. 2018, arXiv 1807.03247), group norm and a
 * read-out by soft-argmax (Sun et al. 2017, arXiv 1711.08229).
 *
 * Easy to get wrong:
 * - a pixel of a heatmap covers S / H pixels of the image, so centres are at `(h + 0.5) S / H - 0.5`;
 * - coordinates are taken about the middle of the map: the variance is a difference of squares, which are smaller so;
 * - every stack is supervised, and the last counts most: it is the one that is read.
 *
 * @module
 */

import { z } from "zod";
import { counted } from "../../formats/numbers.ts";
import { DEFAULT_SCHEMA, type SchemaName, schemaName, SCHEMAS } from "../../faces/schema.ts";
import { add } from "../../ops/add.ts";
import { concat } from "../../ops/concat.ts";
import { matmul } from "../../ops/matmul.ts";
import { maxPool } from "../../ops/max_pool.ts";
import { mul } from "../../ops/mul.ts";
import { permute } from "../../ops/permute.ts";
import { relu } from "../../ops/relu.ts";
import { reshape } from "../../ops/reshape.ts";
import { affine } from "../../ops/affine.ts";
import { slice } from "../../ops/slice.ts";
import { smoothL1 } from "../../ops/smooth_l1.ts";
import { softmax } from "../../ops/softmax.ts";
import { sub } from "../../ops/sub.ts";
import { sumLast } from "../../ops/sum_last.ts";
import { mean } from "../../ops/sum.ts";
import { upsampleNearest } from "../../ops/upsample_nearest.ts";
import { dims, type Value } from "../../engine/graph.ts";
import { convolve, normalise } from "../diffusion/layers.ts";
import type { Scope } from "../io/params.ts";
import { pooledFeatures } from "./pooled_features.ts";
import type { DetectorNetwork } from "./network.ts";

/** Options of an hourglass network. */
const hourglassOptions = {
  size_px: z.int().min(16).max(1024).default(64).describe("Side of the images that the network takes, pixels"),
  heatmap_px: z.int().min(8).max(256).optional().describe(
    "Side of the heatmaps: size_px, or a half or quarter of it; by default a quarter",
  ),
  stacks: z.int().min(1).max(8).default(2).describe("Hourglasses one after the other"),
  depth: z.int().min(1).max(6).default(4).describe("Number of times an hourglass halves the side"),
  channels: z.int().min(8).max(512).default(128).describe("Channels of the features"),
  groups: z.int().min(1).default(8).describe("Groups of the normalisations; divides half the channels"),
  temperature: z.number().positive().default(5).describe("Factor of the heatmaps before the softmax"),
};

/** Checks of a {@linkcode HourglassConfig}, with its defaults. */
export const hourglassConfig = z.strictObject({
  model_type: z.literal("hourglass").default("hourglass").describe("Kind of network"),
  ...hourglassOptions,
  heatmap_px: hourglassOptions.heatmap_px.unwrap().default(16),
  schema: schemaName.default(DEFAULT_SCHEMA).describe("Schema of the landmarks, one heatmap each"),
}).superRefine((config, context) => {
  const { size_px, heatmap_px, depth, channels, groups } = config;
  const fail = (key: string, message: string) => context.addIssue({ code: "custom", path: [key], message });
  if (![1, 2, 4].includes(size_px / heatmap_px)) fail("heatmap_px", `must be ${size_px}, or a half or quarter of it`);
  if (heatmap_px % 2 ** depth) fail("depth", `cannot halve ${heatmap_px} pixels ${depth} times`);
  if (channels % 2 || (channels / 2) % groups) fail("groups", `must divide ${channels / 2}, half the channels`);
});

/** Configuration of an hourglass network. */
export interface HourglassConfig {
  /** Kind of network. */
  model_type: "hourglass";
  /** Side of the images that the network takes, pixels. */
  size_px: number;
  /** Side of the heatmaps: `size_px`, or a half or quarter of it. */
  heatmap_px: number;
  /** Hourglasses one after the other. */
  stacks: number;
  /** Number of times an hourglass halves the side. */
  depth: number;
  /** Channels of the features. */
  channels: number;
  /** Groups of the normalisations; divides half the channels. */
  groups: number;
  /** Factor of the heatmaps before the softmax. */
  temperature: number;
  /** Schema of the landmarks, one heatmap each. */
  schema: SchemaName;
}

/** Outputs of one stack. */
export interface StackOutput {
  /** Input of the hourglass, `[N, H, W, C]`: the stem's output in the first stack. */
  readonly input: Value;
  /** Features that the heatmaps are made of, not negative: `[N, H, W, C]`. */
  readonly features: Value;
  /** Mean of each heatmap about the middle of the map, heatmap pixels: `[N, P, 2]`, x and y. */
  readonly mean: Value;
  /** Mean squared distance from the middle of the map, heatmap pixels: `[N, P, 1]`. */
  readonly square: Value;
  /** Share of each pixel in the mean, rows of the map one after the other: `[N, P, H W]`. */
  readonly weights: Value;
}

/**
 * The network.
 *
 * @param images `[N, S, S, 3]`, -1 to 1.
 * @returns One output a stack; the last is the detector's.
 */
export function hourglass(scope: Scope, images: Value, config: HourglassConfig): StackOutput[] {
  const { size_px, heatmap_px, stacks, depth, channels, groups, temperature } = config;
  const { count: landmarks } = SCHEMAS[config.schema];
  const norm = { groups, eps: 1e-5 };
  const act = (at: Scope, name: string, h: Value) => relu(normalise(at, name, h, norm));

  // One norm a block, at half the channels: the sum that a block adds does not depend on how large its input has grown.
  const residual = (at: Scope, x: Value): Value => {
    let h = act(at, "norm", convolve(at, "conv1", x, channels / 2, { kernel: 1, bias: false }));
    h = relu(convolve(at, "conv2", h, channels / 2));
    return add(x, convolve(at, "conv3", h, channels, { kernel: 1, bias: false }));
  };
  const level = (at: Scope, x: Value, below: number): Value => {
    let low = residual(at.at("down"), maxPool(x));
    low = below > 0 ? level(at.at("inner"), low, below - 1) : residual(at.at("inner"), low);
    return add(residual(at.at("skip"), x), upsampleNearest(residual(at.at("up"), low)));
  };

  const ratio = size_px / heatmap_px;
  let x = convolve(scope, "stem", withCoordinates(images), channels, { stride: Math.min(2, ratio) });
  if (ratio === 4) x = maxPool(x);
  const outputs: StackOutput[] = [];
  for (let s = 0; s < stacks; s++) {
    const at = scope.at(`stacks.${s}`);
    const y = level(at.at("hourglass"), x, depth - 1);
    const features = act(at, "norm", y);
    const heatmaps = convolve(at, "heatmaps", features, landmarks, { kernel: 1 });
    outputs.push({ input: x, features, ...readOut(heatmaps, temperature) });
    if (s + 1 < stacks) {
      const back = add(
        convolve(at, "merge_features", features, channels, { kernel: 1 }),
        convolve(at, "merge_heatmaps", heatmaps, channels, { kernel: 1, bias: false }),
      );
      x = add(x, back);
    }
  }
  return outputs;
}

/** Two more channels: x and y from -1 to 1. */
function withCoordinates(images: Value): Value {
  const { N, H, W } = dims(images, "N H W C");
  const data = new Float32Array(N * H * W * 2);
  for (let k = 0; k < data.length; k += 2) {
    data[k] = ((k / 2) % W + 0.5) / W * 2 - 1;
    data[k + 1] = (Math.floor(k / 2 / W) % H + 0.5) / H * 2 - 1;
  }
  return concat([images, images.graph.constant(data, [N, H, W, 2])]);
}

/** Mean place and mean square of each heatmap, as weights over pixels: `softmax` over a map, then sums. */
function readOut(heatmaps: Value, temperature: number): Pick<StackOutput, "mean" | "square" | "weights"> {
  const { N, H, W, P } = dims(heatmaps, "N H W P");
  const weights = softmax(permute(reshape(heatmaps, [N, H * W, P]), [0, 2, 1]), { scale: temperature });
  const sums = expectation(weights, H, (x, y) => [x, y, x * x + y * y]);
  return { mean: slice(sums, 2, 0, 2), square: slice(sums, 2, 2, 1), weights };
}

/** Means of three functions of the place, in heatmap pixels about the middle of the map: `[N, P, 3]`. */
function expectation(weights: Value, height: number, of: (x: number, y: number) => [number, number, number]): Value {
  const { N, P, pixels } = dims(weights, "N P pixels");
  const W = pixels / height;
  const places = Array.from(
    { length: pixels },
    (_, k) => of(k % W - (W - 1) / 2, Math.floor(k / W) - (height - 1) / 2),
  );
  const sums = matmul(reshape(weights, [N * P, pixels]), weights.graph.constant(places.flat(), [pixels, 3]));
  return reshape(sums, [N, P, 3]);
}

/**
 * Distance, heatmap pixels, below which the loss is quadratic. Landmarks are off by less than a pixel early on, and a
 * quadratic loss hardly pulls there: L1 finds them better than L2 does (Feng et al. 2018, arXiv 1711.06753). In place of
 * 1, the detector of `models/tiny` came to 3.5 % on photographs in place of 4.3.
 */
const BETA = 0.25;
/** Share of the variance in the loss. */
const VARIANCE_WEIGHT = 0.02;

/**
 * The loss: for each stack smooth L1 of the coordinates plus a share of the heatmap's variance about the target, both in
 * heatmap pixels, averaged over the landmarks; later stacks count more.
 *
 * @param target True landmarks about the middle of the map, heatmap pixels: `[N, P, 2]`, see {@linkcode toHeatmap}.
 */
export function hourglassLoss(outputs: readonly StackOutput[], target: Value): Value {
  const total = outputs.length * (outputs.length + 1) / 2;
  return outputs.map((output, s) => {
    // E |p - t|^2 = E |p|^2 - 2 t E p + |t|^2
    const spread = sub(output.square, sumLast(mul(target, sub(affine(output.mean, 2), target))));
    const loss = add(mean(smoothL1(output.mean, target, BETA)), affine(mean(spread), VARIANCE_WEIGHT));
    return affine(loss, (s + 1) / total);
  }).reduce((a, b) => add(a, b));
}

/** Pixels of an image of `size_px` to heatmap pixels about the middle of the map. */
function toHeatmap(px: number, { size_px, heatmap_px }: HourglassConfig): number {
  return (px - (size_px - 1) / 2) * heatmap_px / size_px;
}

/** The detector's landmarks in pixels of its images, `[N, P, 2]`. */
export function landmarksIn(outputs: readonly StackOutput[], { size_px, heatmap_px }: HourglassConfig): Value {
  return affine(outputs.at(-1)!.mean, size_px / heatmap_px, (size_px - 1) / 2);
}

/** The covariance of the detector's heatmaps, xx, yy and xy in squared pixels of its images: `[N, P, 3]`. */
function covarianceIn(outputs: readonly StackOutput[], { size_px, heatmap_px }: HourglassConfig): Value {
  const { mean, weights } = outputs.at(-1)!;
  const [x, y] = [slice(mean, 2, 0, 1), slice(mean, 2, 1, 1)];
  const second = expectation(weights, heatmap_px, (x, y) => [x * x, y * y, x * y]);
  return affine(sub(second, mul(concat([mean, x]), concat([mean, y]))), (size_px / heatmap_px) ** 2);
}

/** The row of `DETECTORS`. */
export const hourglassDetector = {
  title: "compact hourglass",
  format: {
    name: "hourglass",
    schema: hourglassConfig,
    fixed: {},
    ignored: /^landmarks$/, // the number of landmarks, which the schema has
  },
  option: {
    name: "network",
    schema: z.strictObject(hourglassOptions).optional().describe("The network; only without init, which has its own"),
    config(value, schema) {
      const given = z.looseObject({ size_px: z.number().optional() }).default({}).parse(value);
      return hourglassConfig.safeParse({ ...given.size_px && { heatmap_px: given.size_px / 4 }, ...given, schema });
    },
  },
  exports: {},
  describe: ({ stacks, channels }) => `${counted(stacks, "stack")} of ${channels} channels`,
  build(scope, images, config) {
    const outputs = hourglass(scope, images, config);
    const features = pooledFeatures(outputs.at(-1)!.features);
    return { landmarks: landmarksIn(outputs, config), covariance: covarianceIn(outputs, config), features };
  },
  features(scope, images, config) {
    const outputs = hourglass(scope, images, config);
    return [...outputs.slice(0, 1).map(({ input }) => input), ...outputs.map(({ features }) => features)];
  },
  train(scope, images, config, input) {
    const outputs = hourglass(scope, images, config);
    const landmarks = landmarksIn(outputs, config);
    return { landmarks, loss: hourglassLoss(outputs, input("target", landmarks.shape)), updates: [] };
  },
  targets: (config, landmarks) => ({ target: landmarks.map((px) => toHeatmap(px, config)) }),
} as const satisfies DetectorNetwork<HourglassConfig>;
