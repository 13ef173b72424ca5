import assert from "node:assert/strict";
// 90 MB, so neither in deno.json nor in deno.lock: what is there is downloaded at a user's first command.
// deno-lint-ignore no-import-prefix
import * as ort from "npm:onnxruntime-web@1.22.0";
import { Detector, detectorOnnx, detectorSpecs, readDetector } from "../../../models/detectors/detector.ts";
import { finderOnnx, readFinder } from "../../../models/finder/finder.ts";
import { CELL_PX, CELL_VALUES, finderNetwork, finderSpecs } from "../../../models/finder/network.ts";
import type { StarDetectorConfig } from "../../../models/detectors/star_detector.ts";
import { onnxModel } from "../../../models/io/onnx.ts";
import { createParameters, initialise, type ParameterSpec, Scope } from "../../../models/io/params.ts";
import { unet, unetFormat } from "../../../models/diffusion/unet.ts";
import { relu } from "../../../ops/relu.ts";
import { softmax } from "../../../ops/softmax.ts";
import { tanh } from "../../../ops/tanh.ts";
import { Graph } from "../../../engine/graph.ts";
import { Executable } from "../../../engine/executable.ts";
import { runCommand } from "../../cli/run_command.ts";
import { inFolder } from "../../stages/run_stages.ts";
import { gpuTest, testDevice } from "../../gpu.ts";

ort.env.wasm.numThreads = 1;
// What ONNX Runtime opens with its first session stays open, which no test is to be charged with.
Deno.test.beforeAll(async () => {
  const y = relu(new Graph().input("x", [1]));
  await (await ort.InferenceSession.create(onnxModel({ y }, new Map(), { name: "first", doc: "" }))).release();
});

/** A smooth picture with some grain. */
function picture(side: number): Uint8Array {
  return Uint8Array.from({ length: side * side * 3 }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % side / side, Math.floor(i / 3 / side) / side];
    return 128 + 70 * Math.sin(9 * x + i % 3) * Math.cos(7 * y) + (i * i) % 37;
  });
}

function far(a: Float32Array, b: Float32Array): number {
  assert.equal(a.length, b.length);
  return a.reduce((worst, v, i) => Math.max(worst, Math.abs(v - b[i]!)), 0);
}

const star: StarDetectorConfig = {
  model_type: "star",
  size_px: 32,
  stacks: 2,
  depth: 1,
  channels: 16,
  schema: "ibug68",
};
const cases = {
  "the small hourglass that ships": await readDetector("models/tiny/detector"),
  "a STAR detector": { config: star, tensors: initialise(detectorSpecs(star), 4) },
};
for (const [name, { config, tensors }] of Object.entries(cases)) {
  gpuTest(`ONNX Runtime finds the same landmarks as ${name}`, async () => {
    const side = config.size_px;
    const bytes = picture(side);
    const parameters = createParameters(testDevice(), detectorSpecs(config), tensors);
    const detector = new Detector(testDevice(), config, parameters, { batch: 1, own: true });
    const { landmarks, covariance } = await detector.predict(bytes, side);
    detector.destroy();

    const session = await ort.InferenceSession.create(detectorOnnx(config, tensors));
    const images = new ort.Tensor("float32", Float32Array.from(bytes, (byte) => byte / 127.5 - 1), [
      1,
      side,
      side,
      3,
    ]);
    const found = await session.run({ images });
    await session.release();
    assert.deepEqual(found["landmarks"]!.dims, [1, 68, 2]);
    assert.ok(far(landmarks, found["landmarks"]!.data as Float32Array) < 0.05);
    assert.ok(far(covariance, found["covariance"]!.data as Float32Array) < 0.5);
  });
}

gpuTest("ONNX Runtime finds the same cells as a finder, in pictures of several sizes", async () => {
  const { config, tensors } = await readFinder("models/faces/finder");
  const { slope, shift } = config.calibration;
  const session = await ort.InferenceSession.create(finderOnnx(config, tensors));
  const parameters = createParameters(testDevice(), finderSpecs(config), tensors);
  for (const [height, width] of [[64, 64], [32, 96]] as const) {
    const { cells } = finderNetwork(new Graph(), config, [1, height, width]);
    const executable = new Executable(testDevice(), { outputs: { cells } }, parameters);
    const images = Float32Array.from({ length: height * width * 3 }, (_, i) => Math.sin(i * i / 7));
    executable.run({ images });
    const ours = (await executable.read("cells")).map((value, i) =>
      i % CELL_VALUES === 0 ? 1 / (1 + Math.exp(-(slope * value + shift))) : value
    );
    executable.destroy();
    const found = await session.run({ images: new ort.Tensor("float32", images, [1, height, width, 3]) });
    assert.deepEqual(found["cells"]!.dims, [1, height / CELL_PX, width / CELL_PX, CELL_VALUES]);
    assert.ok(far(ours, found["cells"]!.data as Float32Array) < 1e-3);
  }
  for (const tensor of parameters.values()) tensor.destroy();
  await session.release();
});

gpuTest("ONNX Runtime predicts the same noise as a UNet, with one head and with two", async () => {
  const config = unetFormat.schema.parse({
    block_out_channels: [8, 16],
    down_block_types: ["CrossAttnDownBlock2D", "DownBlock2D"],
    up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D"],
    layers_per_block: 1,
    cross_attention_dim: 12,
    attention_head_dim: [2, 1],
    norm_num_groups: 4,
  });
  const graph = new Graph();
  const specs = new Map<string, ParameterSpec>();
  const inputs = {
    sample: graph.input("sample", [2, 8, 8, 4]),
    timesteps: graph.input("timesteps", [2]),
    context: graph.input("context", [2, 5, 12]),
  };
  const noise = unet(new Scope(graph, specs, "unet/"), config, inputs);
  const tensors = initialise(specs, 6);
  const data: Record<string, Float32Array> = {
    sample: Float32Array.from({ length: 2 * 8 * 8 * 4 }, (_, i) => Math.sin(i * i)),
    timesteps: Float32Array.of(7, 801),
    context: Float32Array.from({ length: 2 * 5 * 12 }, (_, i) => Math.cos(3 * i)),
  };
  const parameters = createParameters(testDevice(), specs, tensors);
  const executable = new Executable(testDevice(), { outputs: { noise } }, parameters);
  executable.run(data);
  const ours = await executable.read("noise");
  executable.destroy();
  for (const tensor of parameters.values()) tensor.destroy();

  const session = await ort.InferenceSession.create(onnxModel({ noise }, tensors, { name: "unet", doc: "" }));
  const found = await session.run(Object.fromEntries(
    Object.entries(inputs).map(([name, { shape }]) => [name, new ort.Tensor("float32", data[name]!, [...shape])]),
  ));
  await session.release();
  assert.deepEqual(found["noise"]!.dims, [2, 8, 8, 4]);
  assert.ok(far(ours, found["noise"]!.data as Float32Array) < 1e-4);
});

Deno.test("onnxModel() names an op that it cannot write", () => {
  const x = new Graph().input("x", [2, 4, 4]);
  const write = (y: typeof x) => onnxModel({ y }, new Map(), { name: "test", doc: "" });
  assert.throws(() => write(tanh(x)), /Cannot write tanh as ONNX/);
  assert.throws(() => write(softmax(x, { causal: true })), /causal softmax/);
  const parameter = x.graph.parameter("w", [2, 4, 4]);
  assert.throws(() => write(parameter), /a value of .*"w"/);
});

Deno.test("export writes a file once, and says what is wrong", () =>
  inFolder(async (dir) => {
    const args = ["--detector", "models/tiny/detector", "--format", "onnx", "--out", `${dir}/net.onnx`];
    const run = (...args: string[]) => runCommand(["export", ...args]);
    const { code, lines } = await run(...args);
    assert.equal(code, 0);
    assert.equal(JSON.parse(lines[0]!).bytes, (await Deno.stat(`${dir}/net.onnx`)).size);
    const refused = async (message: RegExp, ...args: string[]) => {
      const { code, notes } = await run(...args);
      assert.match(notes, message);
      assert.equal(code, 2);
    };
    await refused(/net\.onnx: it is there already/, ...args);
    await refused(/'pth' is invalid. Allowed choices are onnx, star/, ...args.with(3, "pth"));
    await refused(/config\.json is missing/, ...args.with(1, dir).with(5, `${dir}/other.onnx`));
    await refused(/required option '--out <PATH>'/, "--format", "onnx");
    await refused(/without a model, hint: --detector DIR, or --finder DIR/, "--format", "onnx", "--out", `${dir}/f`);
    const finder = ["--finder", "models/faces/finder", "--out", `${dir}/finder.onnx`, "--format"];
    await refused(
      /'--detector <DIR>' cannot be used with option '--finder <DIR>'/,
      ...args.slice(0, 2),
      ...finder,
      "onnx",
    );
    await refused(/Cannot export a finder as star: it must be onnx/, ...finder, "star");
    assert.equal((await run(...finder, "onnx")).code, 0);
    await refused(/finder\.onnx: it is there already/, ...finder, "onnx");
  }));
