import assert from "node:assert";
import { countParameters, createParameters, initialise, type ParameterSpec, Scope } from "../../../models/io/params.ts";
import {
  fromStar,
  star,
  type StarConfig,
  starConfig,
  starTrainingLoss,
  toStar,
} from "../../../models/detectors/star.ts";
import { STAR_SIZES, starNetwork } from "../../../models/detectors/star_detector.ts";
import { awingLoss } from "../../../ops/awing.ts";
import { starLoss } from "../../../ops/star_loss.ts";
import { Executable } from "../../../engine/executable.ts";
import { Graph } from "../../../engine/graph.ts";
import { Random } from "../../../engine/rng.ts";
import { gpuTest } from "../../gpu.ts";

function build(config: StarConfig, training: boolean) {
  const graph = new Graph();
  const specs = new Map<string, ParameterSpec>();
  const images = graph.input("images", [2, config.height, config.width, 3]);
  return { graph, specs, output: star(new Scope(graph, specs), images, config, training) };
}

Deno.test("star() has the parameters of the published 300-W detector", () => {
  const { specs, output } = build(starConfig.parse(starNetwork(STAR_SIZES.star)), false);
  const statistics = [...specs.values()].filter(({ name }) => /running_/.test(name));
  const total = countParameters(specs) - countParameters(new Map(statistics.map((spec) => [spec.name, spec])));
  assert.equal(total, 17_069_572);
  assert.deepEqual(specs.get("pre.0.conv.weight")!.shape, [7, 7, 6, 64]);
  assert.deepEqual(specs.get("hgs.1.coordconv.conv.weight")!.shape, [1, 1, 261, 256]);
  assert.ok(specs.has("hgs.3.low2.low2.low2.low3.skip_layer.conv.bias"));
  assert.deepEqual(output.stacks.map(({ landmarks }) => landmarks.shape), Array(4).fill([2, 68, 2]));
  assert.deepEqual(output.stacks[3]!.edgemaps.shape, [2, 64, 64, 9]);
  assert.equal(output.updates.length, 0);
});

gpuTest("star() updates every running statistic in training, and its loss is what its parts make", async (device) => {
  const config = { ...starNetwork(STAR_SIZES.star), width: 32, height: 32, nstack: 2, nlevels: 2, in_channel: 8 };
  const { graph, specs, output } = build(config, true);
  assert.equal(output.updates.length, [...specs.keys()].filter((name) => /running_/.test(name)).length);
  const loss = starTrainingLoss(output, {
    landmarks: graph.input("landmarks", [2, 68, 2]),
    pointmaps: graph.input("pointmaps", [2, 8, 8, 68]),
    edgemaps: graph.input("edgemaps", [2, 8, 8, 9]),
  });
  const parameters = createParameters(device, specs, initialise(specs, 3));
  const parts = Object.fromEntries(output.stacks.flatMap(({ heatmaps, pointmaps, edgemaps }, s) => [
    [`star${s}`, starLoss(heatmaps, graph.input("landmarks", [2, 68, 2]))],
    [`points${s}`, awingLoss(pointmaps, graph.input("pointmaps", [2, 8, 8, 68]))],
    [`edges${s}`, awingLoss(edgemaps, graph.input("edgemaps", [2, 8, 8, 9]))],
  ]));
  const exe = new Executable(device, { outputs: { loss, ...parts }, updates: output.updates }, parameters);
  const random = new Random(3, "star");
  const before = await parameters.get("pre.0.bn.running_mean")!.read();
  exe.run({
    images: random.fillNormal(new Float32Array(2 * 32 * 32 * 3)),
    landmarks: random.fillUniform(new Float32Array(2 * 68 * 2)).map((x) => x - 0.5),
    pointmaps: random.fillUniform(new Float32Array(2 * 64 * 68)),
    edgemaps: random.fillUniform(new Float32Array(2 * 64 * 9)),
  });
  const read = async (name: string) => (await exe.read(name))[0]!;
  let expected = 0;
  for (const [s, weight] of [0.5, 1].entries()) {
    expected += weight * (await read(`star${s}`) + 10 * (await read(`points${s}`) + await read(`edges${s}`)));
  }
  const got = await read("loss");
  assert.ok(got > 1 && Math.abs(got / expected - 1) < 1e-5, `${got}, expected ${expected}`);
  const after = await parameters.get("pre.0.bn.running_mean")!.read();
  assert.ok(after.every((v, k) => v !== before[k]), "every channel of a statistic moved");
  exe.destroy();
  for (const tensor of parameters.values()) tensor.destroy();
});

Deno.test("toStar() and fromStar() are inverse, and count the first pixel's centre as the peer does", () => {
  assert.equal(toStar(0, 256), 1 / 256 - 1);
  assert.equal(fromStar(toStar(100.25, 256), 256), 100.25);
});
