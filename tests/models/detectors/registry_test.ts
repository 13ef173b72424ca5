import assert from "node:assert/strict";
import { Detector, detectorSpecs, readDetector, saveDetector } from "../../../models/detectors/detector.ts";
import {
  DETECTORS,
  detectorTargets,
  detectorTraining,
  networkOf,
  trainableNames,
} from "../../../models/detectors/registry.ts";
import { STAR_SIZES, type StarDetectorConfig, starDetectorConfig } from "../../../models/detectors/star_detector.ts";
import { hourglassConfig } from "../../../models/detectors/hourglass.ts";
import { readConfig, writeConfig } from "../../../models/io/config.ts";
import { countParameters, createParameters, initialise, Scope } from "../../../models/io/params.ts";
import { fromStar, toStar } from "../../../models/detectors/star.ts";
import { Trainer } from "../../../models/trainer.ts";
import { Graph } from "../../../engine/graph.ts";
import { Random } from "../../../engine/rng.ts";
import { neutralFace } from "../../faces/neutral_face.ts";
import { inFolder } from "../../stages/run_stages.ts";
import { gpuTest, testDevice } from "../../gpu.ts";
import { slow } from "../../slow.ts";

const mini: StarDetectorConfig = {
  model_type: "star",
  size_px: 32,
  stacks: 1,
  depth: 2,
  channels: 16,
  schema: "ibug68",
};
const SIDE = 32;

Deno.test("STAR's sizes: the largest is the published network", () => {
  for (const config of Object.values(STAR_SIZES)) starDetectorConfig.parse(config);
  const specs = detectorSpecs(STAR_SIZES.star);
  const statistics = new Map([...specs].filter(([name]) => /running_/.test(name)));
  assert.equal(countParameters(specs) - countParameters(statistics), 17_069_572);
  assert.ok(specs.has("detector/hgs.3.low2.low2.low2.low3.skip_layer.conv.bias"));
  assert.throws(() => starDetectorConfig.parse({ ...mini, depth: 4 }), /depth cannot halve/);
});

Deno.test("a STAR detector's folder keeps its size and weights", () =>
  inFolder(async (dir) => {
    const tensors = initialise(detectorSpecs(mini), 5);
    await saveDetector(dir, mini, tensors);
    const { config, tensors: read } = await readDetector(dir);
    assert.deepEqual(config, mini);
    for (const [name, { data }] of tensors) assert.deepEqual(read.get(name)!.data, data, name);
  }));

gpuTest("a STAR detector learns faces, with batch norms' statistics, and finds them again", async () => {
  const device = testDevice();
  const batch = 2;
  const graph = new Graph();
  const { specs, loss, updates } = detectorTraining(graph, mini, batch);
  assert.ok(updates.length > 10);
  const parameters = createParameters(device, specs, initialise(specs, 1));
  const trainable = trainableNames(mini, specs);
  const trainer = new Trainer(
    device,
    { loss, trainable, updates, clip_norm: 10, weight_decay: 0, ema_decay: 0.5 },
    parameters,
  );
  await trainer.start();
  // Two pictures of noise, each with a face of its own.
  const random = new Random(3, "noise");
  const bytes = Uint8Array.from({ length: batch * SIDE * SIDE * 3 }, () => random.int(256));
  const images = Float32Array.from(bytes, (byte) => byte / 127.5 - 1);
  const faces = [neutralFace(SIDE), neutralFace(SIDE).map((px) => px * 0.7 + 3)];
  const landmarks = Float32Array.from(faces.flatMap((face) => [...face]));
  const inputs: Record<string, Float32Array> = { images, ...detectorTargets(mini, landmarks) };
  assert.equal(inputs["pointmaps"]!.length, batch * 8 * 8 * 68);
  const losses: number[] = [];
  for (let step = 0; step < 40; step++) losses.push(await trainer.step(inputs, 8e-3));
  assert.ok(losses.at(-1)! < 0.7 * losses[0]!, `the loss went from ${losses[0]} to ${losses.at(-1)}`);

  const detector = new Detector(device, mini, trainer.averaged(), { batch });
  const found = await detector.predict(bytes, SIDE);
  const error = found.landmarks.reduce((sum, px, i) => sum + Math.abs(px - landmarks[i]!), 0) / landmarks.length;
  assert.ok(error < 4, `landmarks are ${error} pixels off`);
  assert.ok(found.covariance.every((v, k) => k % 3 === 2 || v > -1e-3 && v < SIDE ** 2));
  detector.destroy();
  trainer.destroy();
}, slow);

Deno.test("STAR's landmarks are pixels, as its targets are", () => {
  const face = neutralFace(SIDE);
  detectorTargets(mini, face)["target"]!.forEach((place, i) => {
    assert.ok(Math.abs(place - toStar(face[i]!, SIDE)) < 1e-6 && Math.abs(fromStar(place, SIDE) - face[i]!) < 1e-4);
  });
});

Deno.test("every row of DETECTORS builds, trains on its own targets, and is asked for by an option of its own", () => {
  const configs = [mini, hourglassConfig.parse({ size_px: 32, heatmap_px: 8, depth: 2, channels: 16, groups: 2 })];
  for (const config of configs) {
    const { format, option } = networkOf(config);
    assert.deepEqual(readConfig(format, writeConfig(format, config), "it"), config);
    assert.equal(option.config(undefined, "cofw29").data?.schema, "cofw29");
    const graph = new Graph();
    const scope = () => new Scope(graph, new Map());
    const images = graph.input("images", [2, SIDE, SIDE, 3]);
    const asked: Record<string, number> = {};
    const trained = networkOf(config).train(scope(), images, config, (name, shape) => {
      asked[name] = shape.reduce((a, b) => a * b);
      return graph.input(name, shape);
    });
    assert.deepEqual([trained.landmarks.shape, trained.loss.shape], [[2, 68, 2], [1]]);
    const targets = detectorTargets(config, new Float32Array([...neutralFace(SIDE), ...neutralFace(SIDE)]));
    assert.deepEqual(Object.fromEntries(Object.entries(targets).map(([name, { length }]) => [name, length])), asked);
    const found = networkOf(config).build(scope(), images, config);
    assert.deepEqual([found.landmarks.shape, found.covariance.shape], [[2, 68, 2], [2, 68, 3]]);
  }
  assert.deepEqual(configs.map(({ model_type }) => model_type).sort(), Object.keys(DETECTORS).sort());
  assert.equal(new Set(Object.values(DETECTORS).map(({ option }) => option.name)).size, configs.length);
});
