import assert from "node:assert/strict";
import { hourglass, hourglassConfig, hourglassLoss, landmarksIn, toHeatmap } from "../../models/hourglass.ts";
import { countParameters, createParameters, initialise, type ParameterSpec, Scope } from "../../models/params.ts";
import { Trainer } from "../../models/trainer.ts";
import { Graph } from "../../runtime/graph.ts";
import { Random } from "../../runtime/rng.ts";
import { testDevice } from "../check_op.ts";
import { neutralFace } from "../faces/neutral_face.ts";

const options = { sanitizeResources: false, sanitizeOps: false }; // the device outlives a test

function build(config: ReturnType<typeof hourglassConfig.parse>, batch: number) {
  const graph = new Graph();
  const specs = new Map<string, ParameterSpec>();
  const images = graph.input("images", [batch, config.size_px, config.size_px, 3]);
  const outputs = hourglass(new Scope(graph, specs, "detector/"), images, config);
  const loss = hourglassLoss(outputs, graph.input("target", [batch, config.landmarks, 2]));
  return { graph, specs, outputs, loss, landmarks: landmarksIn(outputs, config) };
}

Deno.test("hourglass() has the shapes and the number of parameters of its config", () => {
  const { specs, outputs, landmarks } = build(hourglassConfig.parse({}), 3);
  assert.equal(outputs.length, 2);
  for (const { mean, square } of outputs) {
    assert.deepEqual(mean.shape, [3, 68, 2]);
    assert.deepEqual(square.shape, [3, 68, 1]);
  }
  assert.deepEqual(landmarks.shape, [3, 68, 2]);
  assert.equal(countParameters(specs), 816_328);
  const small = build(hourglassConfig.parse({ size_px: 32, heatmap_px: 8, stacks: 1, depth: 2, channels: 16 }), 1);
  assert.deepEqual(small.landmarks.shape, [1, 68, 2]);
  assert.ok(small.specs.has("detector/stacks.0.hourglass.inner.down.conv2.weight"));
});

Deno.test("hourglassConfig names what does not fit", () => {
  const wrong = (config: object) => hourglassConfig.safeParse(config).error!.issues.map(({ path }) => path[0]);
  assert.deepEqual(wrong({ size_px: 64, heatmap_px: 48 }), ["heatmap_px"]);
  assert.deepEqual(wrong({ size_px: 48, heatmap_px: 24 }), ["depth"]);
  assert.deepEqual(wrong({ groups: 5 }), ["groups"]);
});

Deno.test({
  name: "hourglass() learns four images by heart",
  ...options,
  async fn() {
    const [side, batch] = [32, 4];
    const config = hourglassConfig.parse({
      size_px: side,
      heatmap_px: 16,
      stacks: 1,
      depth: 2,
      channels: 32,
      groups: 4,
    });
    const { specs, loss, landmarks } = build(config, batch);
    const device = await testDevice();
    const parameters = createParameters(device, specs, initialise(specs, 3));
    const trainer = new Trainer(device, {
      loss,
      trainable: specs.keys(),
      outputs: { landmarks },
      clip_norm: 10,
      weight_decay: 0,
      ema: 0.9,
    }, parameters);
    await trainer.start();
    // Faces of other places and sizes: the picture must be looked at.
    const truth = Array.from({ length: batch }, (_, k) => neutralFace(side).map((v) => v * (0.6 + 0.1 * k) + 2 * k));
    const images = new Random(1, "images").fillUniform(new Float32Array(batch * side * side * 3));
    const target = Float32Array.from(truth.flatMap((face) => [...face]), (px) => toHeatmap(px, config));
    let first = 0, last = 0;
    for (let step = 0; step < 120; step++) {
      last = await trainer.step({ images, target }, 4e-3);
      if (step === 0) first = last;
    }
    const found = await trainer.step_plan.read("landmarks");
    const error = found.reduce((sum, v, i) => sum + Math.abs(v - truth[Math.floor(i / 136)]![i % 136]!), 0) /
      found.length;
    assert.ok(last < first / 10, `loss ${first} became ${last}`);
    assert.ok(error < 0.5, `mean error is ${error} pixels of ${side}`);
    trainer.destroy();
    for (const tensor of parameters.values()) tensor.destroy();
  },
});
