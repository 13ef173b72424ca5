/**
 * STAR's network as a detector, at any size and for any landmark schema; training, losses and read-out are the peer's.
 *
 * @module
 */

import { z } from "zod";
import { counted } from "../../formats/numbers.ts";
import { DEFAULT_SCHEMA, type SchemaName, schemaName, SCHEMAS } from "../../faces/schema.ts";
import { affine } from "../../ops/affine.ts";
import { concat } from "../../ops/concat.ts";
import { slice } from "../../ops/slice.ts";
import { heatmapSpread } from "../../ops/star_loss.ts";
import type { Value } from "../../engine/graph.ts";
import { countIn, type Facts, failToInfer, type NamedShapes, sizeIn } from "../io/named_shapes.ts";
import type { Scope } from "../io/params.ts";
import { saveStarCheckpoint } from "../io/star_checkpoint.ts";
import { type DetectorNetwork, schemaOf } from "./network.ts";
import {
  star,
  STAR_DERIVED,
  type StarConfig,
  type StarOutput,
  type StarStack,
  starTrainingLoss,
  toStar,
} from "./star.ts";
import { starMaps } from "./star_targets.ts";

/** Checks of a {@linkcode StarDetectorConfig}, with its defaults. */
export const starDetectorConfig = z.strictObject({
  model_type: z.literal("star").default("star").describe("Kind of network"),
  size_px: z.int().min(32).max(1024).describe("Side of the images that the network takes, pixels"),
  stacks: z.int().min(1).max(8).describe("Hourglasses one after the other"),
  depth: z.int().min(1).max(6).describe("Number of times an hourglass halves its maps, a quarter of the images' side"),
  channels: z.int().min(8).max(512).describe("Channels of the features"),
  schema: schemaName.default(DEFAULT_SCHEMA).describe("Schema of the landmarks"),
}).refine(({ size_px, depth }) => size_px % (4 << depth) === 0, {
  error: "depth cannot halve a quarter of size_px so often",
  path: ["depth"],
});

/** Configuration of STAR's network; all else is as published. */
export interface StarDetectorConfig {
  /** Kind of network. */
  model_type: "star";
  /** Side of the images that the network takes, pixels. */
  size_px: number;
  /** Hourglasses one after the other. */
  stacks: number;
  /** Number of times an hourglass halves its maps, which are a quarter of the images' side. */
  depth: number;
  /** Channels of the features. */
  channels: number;
  /** Schema of the landmarks. */
  schema: SchemaName;
}

/** Sizes of STAR's network by name; `star` is the published one for 300-W, with 17.1 million parameters. */
export const STAR_SIZES = {
  star: { model_type: "star", size_px: 256, stacks: 4, depth: 4, channels: 256, schema: "ibug68" },
  small: { model_type: "star", size_px: 128, stacks: 2, depth: 4, channels: 128, schema: "ibug68" },
  tiny: { model_type: "star", size_px: 64, stacks: 2, depth: 3, channels: 64, schema: "ibug68" },
} as const satisfies Record<string, StarDetectorConfig>;

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

/** The output of the last stack. */
function lastOf({ stacks }: StarOutput): StarStack {
  const last = stacks.at(-1);
  if (!last) throw new TypeError("Cannot read landmarks of a network without stacks");
  return last;
}

/** The network on RGB images; the peer's are BGR. */
function build(scope: Scope, images: Value, config: StarDetectorConfig, training: boolean) {
  const bgr = concat([2, 1, 0].map((channel) => slice(images, 3, channel, 1)));
  const output = star(scope, bgr, starNetwork(config), training);
  const { size_px } = config;
  // The inverse of toStar() in the graph.
  return { output, landmarks: affine(lastOf(output).landmarks, size_px / 2, (size_px - 1) / 2) };
}

/**
 * Infers the configuration of a STAR checkpoint, whose schema follows from the number of its maps.
 *
 * @param facts Side of the images, which no tensor shows; without it they are as large as in all published ones.
 */
export function inferStar(
  file: NamedShapes,
  _original?: unknown,
  { size_px = STAR_SIZES.star.size_px }: Facts = {},
): StarDetectorConfig {
  const what = "STAR detector";
  const [P, E] = ["heatmaps", "edgemaps"].map((name) => sizeIn(file, what, `out_${name}.0.conv.weight`, 0));
  const schemas = Object.values(SCHEMAS);
  const schema = schemas.find(({ count, contours }) => count === P && contours.length === E) ??
    failToInfer(
      file,
      what,
      `it has ${P} landmarks and ${E} edges, and known are ${
        schemas.map(({ name, contours }) => `${name} with ${contours.length} edges`).join(", ")
      }`,
    );
  const config = starDetectorConfig.safeParse({
    model_type: "star",
    size_px,
    stacks: countIn(file, (k) => `out_heatmaps.${k}.conv.weight`),
    // Each level of an hourglass holds the next one as its low2.
    depth: countIn(file, (k) => `hgs.0.${"low2.".repeat(k)}up1.conv1.conv.weight`),
    channels: sizeIn(file, what, "out_heatmaps.0.conv.weight", 1),
    schema: schema.name,
  });
  if (config.success) return config.data;
  const problems = config.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  return failToInfer(file, what, problems.join("; "));
}

const sizes = z.enum(Object.keys(STAR_SIZES) as [keyof typeof STAR_SIZES, ...(keyof typeof STAR_SIZES)[]]);

/** The row of `DETECTORS`. */
export const starDetector = {
  title: "STAR network",
  format: { name: "star", schema: starDetectorConfig, fixed: {} },
  option: {
    name: "star",
    schema: sizes.optional().describe(
      "STAR's network, with its losses, in place of the compact hourglass: star is as published, 256 pixels, " +
        "4 stacks, 256 channels; small 128, 2, 128; tiny 64, 2, 64",
    ),
    config: (value, schema) =>
      starDetectorConfig.safeParse({ ...STAR_SIZES[sizes.default("star").parse(value)], schema }),
  },
  statistics: /\.running_(mean|var)$/,
  original: {
    prefixes: [""],
    mark: "hgs.0.coordconv.conv.weight",
    unused: STAR_DERIVED,
    infer: inferStar,
    note: ({ size_px }, facts) =>
      `images of ${size_px} pixels${
        facts.size_px === size_px ? "" : ", as in all published ones: the file does not say, hint: --config for others"
      }`,
    names: () => (name) => name,
  },
  exports: {
    star: {
      doc: "a folder with model/train.pkl, a checkpoint of the original STAR code",
      async save(path, config, specs, tensors) {
        const file = await saveStarCheckpoint(path, starNetwork(config), specs, tensors);
        const { size_px, stacks, depth, channels } = config;
        // The original builds this network unless it is changed.
        const { star } = STAR_SIZES;
        const published = size_px === star.size_px && stacks === star.stacks && depth === star.depth &&
          channels === star.channels;
        return { file, size_px, stacks, channels, published };
      },
    },
  },
  describe: ({ stacks, channels }) => `${counted(stacks, "stack")} of ${channels} channels`,
  build(scope, images, config) {
    const { output, landmarks } = build(scope, images, config, false);
    const { covariance } = heatmapSpread(lastOf(output).heatmaps);
    return { landmarks, covariance: affine(covariance, (config.size_px / 2) ** 2) };
  },
  features: (scope, images, config) => build(scope, images, config, false).output.features,
  train(scope, images, config, input) {
    const { output, landmarks } = build(scope, images, config, true);
    const { pointmaps, edgemaps } = lastOf(output);
    const loss = starTrainingLoss(output, {
      landmarks: input("target", landmarks.shape),
      pointmaps: input("pointmaps", pointmaps.shape),
      edgemaps: input("edgemaps", edgemaps.shape),
    });
    return { landmarks, loss, updates: output.updates };
  },
  targets(config, landmarks) {
    const { count, contours } = schemaOf(config);
    const edges = contours.map(({ closed, points }) => [closed, points] as const);
    const drawn = Array.from(
      { length: landmarks.length / (2 * count) },
      (_, k) => starMaps(landmarks.subarray(k * count * 2, (k + 1) * count * 2), config.size_px, edges),
    );
    const joined = (name: "pointmaps" | "edgemaps") => {
      const all = new Float32Array(drawn.reduce((sum, maps) => sum + maps[name].length, 0));
      drawn.forEach((maps, k) => all.set(maps[name], k * maps[name].length));
      return all;
    };
    return {
      target: landmarks.map((px) => toStar(px, config.size_px)),
      pointmaps: joined("pointmaps"),
      edgemaps: joined("edgemaps"),
    };
  },
} as const satisfies DetectorNetwork<StarDetectorConfig>;
