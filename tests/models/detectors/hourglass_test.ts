import assert from "node:assert/strict";
import { hourglass, hourglassConfig, landmarksIn } from "../../../models/detectors/hourglass.ts";
import { countParameters, type ParameterSpec, Scope } from "../../../models/io/params.ts";
import { Graph } from "../../../engine/graph.ts";

function build(config: ReturnType<typeof hourglassConfig.parse>, batch: number) {
  const graph = new Graph();
  const specs = new Map<string, ParameterSpec>();
  const images = graph.input("images", [batch, config.size_px, config.size_px, 3]);
  const outputs = hourglass(new Scope(graph, specs, "detector/"), images, config);
  return { specs, outputs, landmarks: landmarksIn(outputs, config) };
}

Deno.test("hourglass() has the shapes and the number of parameters of its config", () => {
  const { specs, outputs, landmarks } = build(hourglassConfig.parse({}), 3);
  assert.equal(outputs.length, 2);
  for (const { mean, square } of outputs) {
    assert.deepEqual(mean.shape, [3, 68, 2]);
    assert.deepEqual(square.shape, [3, 68, 1]);
  }
  assert.deepEqual(landmarks.shape, [3, 68, 2]);
  assert.equal(countParameters(specs), 1_438_600);
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
