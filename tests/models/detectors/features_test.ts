import assert from "node:assert/strict";
import {
  detectorFeatures,
  FeatureExtractor,
  perceptualDistance,
  takesSide,
} from "../../../models/detectors/features.ts";
import { pooledFeatures } from "../../../models/detectors/pooled_features.ts";
import { saveDetector } from "../../../models/detectors/detector.ts";
import { hourglassConfig } from "../../../models/detectors/hourglass.ts";
import { starDetectorConfig } from "../../../models/detectors/star_detector.ts";
import type { DetectorConfig } from "../../../models/detectors/registry.ts";
import { createParameters, initialise, type ParameterSpec, Scope } from "../../../models/io/params.ts";
import { gradients } from "../../../ops/autodiff.ts";
import { Graph } from "../../../engine/graph.ts";
import { Executable } from "../../../engine/executable.ts";
import { Random } from "../../../engine/rng.ts";
import { difference, evaluate } from "../../evaluate.ts";
import { gpuTest } from "../../gpu.ts";
import { inFolder } from "../../stages/run_stages.ts";

const compact = hourglassConfig.parse({ size_px: 16, heatmap_px: 8, stacks: 1, depth: 1, channels: 8, groups: 2 });
const star = starDetectorConfig.parse({
  model_type: "star",
  size_px: 32,
  stacks: 1,
  depth: 2,
  channels: 8,
  schema: "ibug68",
});
const CONFIGS: readonly DetectorConfig[] = [compact, star];

Deno.test("features are the stem's and each stack's, of images of any side that can be resampled", () => {
  for (const config of CONFIGS) {
    const maps = (side: number) => {
      const graph = new Graph();
      const scope = new Scope(graph, new Map<string, ParameterSpec>(), "detector/");
      return detectorFeatures(scope, config, graph.input("x", [2, side, side, 3])).map(({ shape }) => shape);
    };
    const own = config.size_px;
    assert.equal(maps(own).length, config.stacks + 1);
    for (const side of [own / 2, own - 5, 2 * own]) assert.deepEqual(maps(side), maps(own), `${side}`);
    assert.ok(!takesSide(config, own + 8));
    assert.throws(() => maps(own + 8), new RegExp(`images ${own + 8} pixels wide: the detector takes ${own}`));
  }
});

gpuTest("perceptualDistance() and its gradient are those in f64, and 0 for equal images", async (device) => {
  for (const [config, side, elements] of [[compact, 16, [0, 37]], [compact, 8, [100]], [star, 32, []]] as const) {
    const graph = new Graph(), specs = new Map<string, ParameterSpec>();
    const [x, y] = [graph.input("x", [1, side, side, 3]), graph.input("y", [1, side, side, 3])];
    const distance = perceptualDistance(new Scope(graph, specs, "detector/"), config, x, y);
    const [dy] = gradients(distance, [y]);
    const tensors = initialise(specs, 3);
    const parameters = createParameters(device, specs, tensors);
    const random = new Random(4, "images");
    const images = ["x", "y"].map((name) => [name, random.fillNormal(new Float32Array(side * side * 3))] as const);
    const leaves = new Map<string, ArrayLike<number>>([
      ...images,
      ...[...tensors].map(([name, { data }]) => [name, data] as const),
    ]);
    using executable = new Executable(device, { outputs: { distance, dy: dy! } }, parameters);
    executable.run(Object.fromEntries(images));
    const [got = NaN] = await executable.read("distance");
    const [want = NaN] = evaluate(distance, leaves);
    assert.ok(Math.abs(got - want) < 1e-4 * want && want > 0.01, `${config.model_type}: ${got}, expected ${want}`);
    const gradient = await executable.read("dy");
    const largest = gradient.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
    for (const element of elements) {
      const slope = difference(distance, leaves, "y", element);
      assert.ok(Math.abs(gradient[element]! - slope) < 2e-3 * largest, `${gradient[element]}, expected ${slope}`);
    }
    executable.run({ x: images[0]![1], y: images[0]![1] });
    // The two are computed apart, in kernels that may round differently.
    assert.ok((await executable.read("distance"))[0]! < 1e-10);
    for (const tensor of parameters.values()) tensor.destroy();
  }
});

gpuTest(
  "FeatureExtractor has mean and deviation of each channel, whatever the batch",
  (device) =>
    inFolder(async (dir) => {
      const specs = new Map<string, ParameterSpec>();
      const graph = new Graph();
      const maps = detectorFeatures(
        new Scope(graph, specs, "detector/"),
        compact,
        graph.input("images", [5, 16, 16, 3]),
      );
      const tensors = initialise(specs, 1);
      await saveDetector(dir, compact, tensors);
      const random = new Random(2, "images");
      const images = Uint8Array.from({ length: 5 * 16 * 16 * 3 }, () => random.int(256));
      const leaves = new Map<string, ArrayLike<number>>([
        ["images", Float32Array.from(images, (byte) => byte / 127.5 - 1)],
        ...[...tensors].map(([name, { data }]) => [name, data] as const),
      ]);
      for (const [layer, map] of [["first", maps[0]!], ["last", maps.at(-1)!]] as const) {
        const want = evaluate(pooledFeatures(map), leaves);
        for (const batch of [2, 8]) {
          using extractor = await FeatureExtractor.load(device, dir, 16, layer, batch);
          assert.equal(extractor.width, 16);
          const got = await extractor.extract(images);
          assert.equal(got.length, want.length);
          got.forEach((v, k) => assert.ok(Math.abs(v - want[k]!) < 2e-4, `${layer} ${k}: ${v}, expected ${want[k]}`));
        }
      }
    }),
);
