/**
 * The networks that a landmark detector may be: the compact hourglass, and STAR's published one at any size.
 *
 * @module
 */

import { z } from "zod";
import { DEFAULT_SCHEMA, type LandmarkSchema, type SchemaName, schemaName, SCHEMAS } from "../../faces/schema.ts";
import { starMaps } from "./star_targets.ts";
import { concat } from "../../ops/concat.ts";
import { affine } from "../../ops/affine.ts";
import { slice } from "../../ops/slice.ts";
import { heatmapSpread } from "../../ops/star_loss.ts";
import type { Graph, Value } from "../../engine/graph.ts";
import type { ConfigFormat } from "../io/config.ts";
import {
  covarianceIn,
  hourglass,
  type HourglassConfig,
  hourglassConfig,
  hourglassLoss,
  landmarksIn,
  toHeatmap,
} from "./hourglass.ts";
import { type ParameterSpec, Scope, type Specs } from "../io/params.ts";
import { star, type StarConfig, type StarOutput, starTrainingLoss, toStar } from "./star.ts";

/** Where the network's parameters are in a graph. */
export const DETECTOR = "detector/";

/** Checks of a {@linkcode StarDetectorConfig}, with its defaults. */
export const starDetectorConfig = z.strictObject({
  size_px: z.int().min(32).max(1024).describe("Side of the images that the network takes, pixels"),
  stacks: z.int().min(1).max(8).describe("Hourglasses one after the other"),
  depth: z.int().min(1).max(6).describe("How often a hourglass halves its maps, a quarter of the images' side"),
  channels: z.int().min(8).max(512).describe("Channels of the features"),
  schema: schemaName.default(DEFAULT_SCHEMA).describe("Schema of the landmarks"),
}).refine(({ size_px, depth }) => size_px % (4 << depth) === 0, {
  error: "depth cannot halve a quarter of size_px so often",
  path: ["depth"],
});

/** Configuration of STAR's network; all else is as published. */
export interface StarDetectorConfig {
  /** Side of the images that the network takes, pixels. */
  size_px: number;
  /** Hourglasses one after the other. */
  stacks: number;
  /** Number of times a hourglass halves its maps, which are a quarter of the images' side. */
  depth: number;
  /** Channels of the features. */
  channels: number;
  /** Schema of the landmarks. */
  schema: SchemaName;
}

/** Sizes of STAR's network by name; `star` is the published one for 300-W, with 17.1 million parameters. */
export const STAR_SIZES = {
  star: { size_px: 256, stacks: 4, depth: 4, channels: 256, schema: "ibug68" },
  small: { size_px: 128, stacks: 2, depth: 4, channels: 128, schema: "ibug68" },
  tiny: { size_px: 64, stacks: 2, depth: 3, channels: 64, schema: "ibug68" },
} as const satisfies Record<string, StarDetectorConfig>;

/** A detector's network. */
export type DetectorConfig = HourglassConfig | StarDetectorConfig;

/** `config.json` of each kind, by its `model_type`. */
export const DETECTOR_FORMATS = {
  hourglass: {
    name: "hourglass",
    schema: hourglassConfig,
    fixed: { model_type: "hourglass" },
    ignored: /^landmarks$/, // the number of landmarks, which the schema has
  },
  star: { name: "star", schema: starDetectorConfig, fixed: { model_type: "star" } },
} as const satisfies { hourglass: ConfigFormat<HourglassConfig>; star: ConfigFormat<StarDetectorConfig> };

/** Which kind of network a configuration is of. */
export function isStar(config: DetectorConfig): config is StarDetectorConfig {
  return !("heatmap_px" in config);
}

/** Schema of the landmarks that a network finds. */
export function schemaOf({ schema }: Pick<DetectorConfig, "schema">): LandmarkSchema {
  return SCHEMAS[schema];
}

/** What a network says about images. */
export interface DetectorOutputs {
  /** Parameters of the network. */
  readonly specs: Specs;
  /** Pixels of the images, `[N, P, 2]`. */
  readonly landmarks: Value;
  /** Covariance of the heatmaps, xx, yy and xy in squared pixels of the images: `[N, P, 3]`. */
  readonly covariance: Value;
}

/**
 * Builds a network for finding landmarks. Its input is `images`, `[batch, size_px, size_px, 3]`, RGB from -1 to 1.
 */
export function detectorNetwork(graph: Graph, config: DetectorConfig, batch: number): DetectorOutputs {
  const { specs, scope, images } = begin(graph, config, batch);
  if (!isStar(config)) {
    const outputs = hourglass(scope, images, config);
    return { specs, landmarks: landmarksIn(outputs, config), covariance: covarianceIn(outputs, config) };
  }
  const output = buildStar(scope, images, config, false);
  const { covariance } = heatmapSpread(output.stacks.at(-1)!.heatmaps);
  return { specs, landmarks: starLandmarks(output, config), covariance: affine(covariance, (config.size_px / 2) ** 2) };
}

/** A network with its loss. */
export interface DetectorTraining {
  /** Parameters of the network. */
  readonly specs: Specs;
  /** Pixels of the images, `[N, P, 2]`. */
  readonly landmarks: Value;
  /** Scalar to minimise. */
  readonly loss: Value;
  /** Running statistics and their new values. */
  readonly updates: readonly (readonly [Value, Value])[];
}

/**
 * Inputs of a network's training beside `images`.
 *
 * @param landmarks True ones, `[batch, P, 2]`, pixels of the images.
 */
export function detectorTargets(config: DetectorConfig, landmarks: Float32Array): Record<string, Float32Array> {
  if (!isStar(config)) return { target: landmarks.map((px) => toHeatmap(px, config)) };
  const schema = schemaOf(config);
  const edges = schema.contours.map(({ closed, points }) => [closed, points] as const);
  const count = 2 * schema.count;
  const drawn = Array.from(
    { length: landmarks.length / count },
    (_, k) => starMaps(landmarks.subarray(k * count, (k + 1) * count), config.size_px, edges),
  );
  const joined = (name: "pointmaps" | "edgemaps") => {
    const size = drawn[0]![name].length;
    const all = new Float32Array(drawn.length * size);
    drawn.forEach((maps, k) => all.set(maps[name], k * size));
    return all;
  };
  return {
    target: landmarks.map((px) => toStar(px, config.size_px)),
    pointmaps: joined("pointmaps"),
    edgemaps: joined("edgemaps"),
  };
}

/** Builds a network for training, with the loss of its kind; inputs as of {@linkcode detectorNetwork} and {@linkcode detectorTargets}. */
export function detectorTraining(graph: Graph, config: DetectorConfig, batch: number): DetectorTraining {
  const { specs, scope, images } = begin(graph, config, batch);
  if (!isStar(config)) {
    const outputs = hourglass(scope, images, config);
    return {
      specs,
      loss: hourglassLoss(outputs, graph.input("target", [batch, schemaOf(config).count, 2])),
      landmarks: landmarksIn(outputs, config),
      updates: [],
    };
  }
  const output = buildStar(scope, images, config, true);
  const { pointmaps, edgemaps } = output.stacks[0]!;
  const loss = starTrainingLoss(output, {
    landmarks: graph.input("target", [batch, schemaOf(config).count, 2]),
    pointmaps: graph.input("pointmaps", pointmaps.shape),
    edgemaps: graph.input("edgemaps", edgemaps.shape),
  });
  return {
    specs,
    loss,
    landmarks: starLandmarks(output, config),
    updates: output.updates,
  };
}

function begin(graph: Graph, { size_px }: DetectorConfig, batch: number) {
  const specs = new Map<string, ParameterSpec>();
  return {
    specs,
    scope: new Scope(graph, specs, DETECTOR),
    images: graph.input("images", [batch, size_px, size_px, 3]),
  };
}

function buildStar(scope: Scope, images: Value, config: StarDetectorConfig, training: boolean): StarOutput {
  const bgr = concat([2, 1, 0].map((channel) => slice(images, 3, channel, 1)));
  return star(scope, bgr, starNetwork(config), training);
}

/** The peer's constructor arguments for a detector: its edges are the contours of the schema. */
export function starNetwork(config: StarDetectorConfig): StarConfig {
  const { size_px, stacks, depth, channels } = config;
  const { count, contours } = schemaOf(config);
  return {
    width: size_px,
    height: size_px,
    nstack: stacks,
    nlevels: depth,
    in_channel: channels,
    classes_num: [count, contours.length, count],
    edge_info: contours.map(({ closed, points }) => [closed, [...points]]),
  };
}

/** {@linkcode fromStar} in the graph. */
function starLandmarks({ stacks }: StarOutput, { size_px }: StarDetectorConfig): Value {
  return affine(stacks.at(-1)!.landmarks, size_px / 2, (size_px - 1) / 2);
}
