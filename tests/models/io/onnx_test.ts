import assert from "node:assert/strict";
// 90 MB, so neither in deno.json nor in deno.lock: what is there is downloaded at a user's first command.
// deno-lint-ignore no-import-prefix
import * as ort from "npm:onnxruntime-web@1.22.0";
import { enlarge, type Image, resizeArea } from "../../../faces/data/image.ts";
import { cropTurned, Pyramid } from "../../../faces/data/turned_crop.ts";
import { CROP_SCALE, rescale } from "../../../faces/landmarks.ts";
import { facePlace } from "../../../faces/place.ts";
import { mean } from "../../../faces/statistics.ts";
import { Detector, detectorSpecs, readDetector, uncertainty } from "../../../models/detectors/detector.ts";
import { detectorOnnx } from "../../../models/detectors/detector_onnx.ts";
import { finderOnnx, readFinder } from "../../../models/finder/finder.ts";
import { type FaceCandidate, readCells, suppress } from "../../../models/finder/decode.ts";
import { logistic, logitOf } from "../../../models/finder/logistic.ts";
import { CELL_PX, finderNetwork, finderSpecs } from "../../../models/finder/network.ts";
import type { StarDetectorConfig } from "../../../models/detectors/star_detector.ts";
import { onnxModel } from "../../../models/io/onnx.ts";
import { squareOf } from "../../../models/io/onnx_squares.ts";
import { createParameters, initialise, type ParameterSpec, Scope } from "../../../models/io/params.ts";
import { unet, unetFormat } from "../../../models/diffusion/unet.ts";
import { affine } from "../../../ops/affine.ts";
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

function far(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assert.equal(a.length, b.length);
  return Math.max(0, ...Array.from(a, (v, i) => Math.abs(v - b[i]!)));
}

const tensor = (values: ArrayLike<number>, dims: number[]) =>
  new ort.Tensor("float32", Float32Array.from(values), dims);
const floats = (found: ort.Tensor | undefined) => found!.data as Float32Array;

/** An image of large and small waves. */
const noise = (width: number, height: number): Image => ({
  width,
  height,
  data: Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    return 128 + 60 * Math.sin(x / 9 + i % 3) * Math.cos(y / 7) + 40 * Math.sin(x * x / 50 + y * y / 31 + 2 * i % 3);
  }),
});

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
    const { landmarks, covariance, features } = await detector.predict(bytes, side);
    assert.equal(features?.length, config.model_type === "hourglass" ? 2 * config.channels : undefined);
    detector.destroy();

    const session = await ort.InferenceSession.create(detectorOnnx(config, tensors));
    // The face whose square is the whole picture.
    const middle = (side - 1) / 2, whole = side / CROP_SCALE;
    const found = await session.run({
      picture: tensor(bytes, [side, side, 3]),
      place: tensor([middle, middle, whole, 0], [4]),
    });
    await session.release();
    assert.deepEqual(found["landmarks"]!.dims, [68, 2]);
    assert.ok(far(landmarks, floats(found["landmarks"])) < 0.05);
    const spreads = uncertainty({ landmarks, covariance });
    assert.ok(far(spreads, floats(found["uncertainty"])) < 0.1);
    const evidence = [Math.log(mean(spreads) / side), ...Array.from(features ?? [], Math.log1p)];
    assert.ok(far(evidence, floats(found["evidence"])) < 0.02);
    const { x, y, side: longer, angle } = facePlace(landmarks);
    assert.ok(far([x, y, longer, angle], floats(found["next"])) < 0.1);
    assert.ok([0, 1].includes(floats(found["settled"])[0]!));
  });
}

gpuTest(
  "ONNX Runtime cuts the turned square of a face as cropTurned() does, at any size and beyond the borders",
  async () => {
    const image = noise(300, 217), size_px = 32, pyramid = new Pyramid(image);
    const bytes = affine(new Graph().input("images", [1, size_px, size_px, 3]), 127.5, 127.5);
    const model = onnxModel({ bytes }, new Map(), {
      name: "square",
      doc: "",
      around: {
        inputs: { picture: ["h", "w", 3], place: [4] },
        outputs: { bytes: [1, size_px, size_px, 3] },
        write: (w, run) => run({ images: squareOf(w, "picture", "place", size_px).images }),
      },
    });
    const session = await ort.InferenceSession.create(model);
    for (
      const [x, y, side, angle] of [[90, 80, 20, 0.3], [200, 120, 90, -2], [150, 100, 260, 1], [5, 215, 44, 3]] as const
    ) {
      const expected = cropTurned(pyramid, { x, y, side: CROP_SCALE * side, angle }, size_px);
      const found = await session.run({
        picture: tensor(image.data, [image.height, image.width, 3]),
        place: tensor([x, y, side, angle], [4]),
      });
      const theirs = floats(found["bytes"]);
      const off = [...expected.data].map((byte, k) => Math.abs(byte - Math.round(theirs[k]!)));
      // Numbers of 32 bits round another way now and then.
      assert.ok(Math.max(...off) <= 1 && mean(off) < 0.01, `${[x, y, side, angle]}: ${Math.max(...off)}, ${mean(off)}`);
    }
    await session.release();
  },
);

gpuTest("ONNX Runtime finds the same faces as a finder, in copies of several sizes", async () => {
  const { config: shipped, tensors } = await readFinder("models/faces/finder");
  const { slope, shift } = shipped.calibration, least_score = 1e-4;
  const with_detector = { detector: "0123abcd", slope: 0.5, doubt: -2, features: [3, 4], shift: 1, least_score };
  const config = { ...shipped, with_detector };
  const session = await ort.InferenceSession.create(finderOnnx(config, tensors));
  const parameters = createParameters(testDevice(), finderSpecs(config), tensors);
  for (const [height, width, rows, columns] of [[100, 150, 50, 75], [70, 64, 70, 64], [60, 90, 120, 180]] as const) {
    const image = noise(width, height);
    const copy = rows > height ? enlarge(image, columns, rows) : resizeArea(image, columns, rows);
    const [high, wide] = [rows, columns].map((n) => Math.ceil(n / 64) * 64) as [number, number];
    const images = new Float32Array(high * wide * 3);
    copy.data.forEach((byte, k) => {
      images[Math.floor(k / 3 / columns) * wide * 3 + k % (3 * columns)] = byte / 127.5 - 1;
    });
    const { cells } = finderNetwork(new Graph(), config, [1, high, wide]);
    const executable = new Executable(testDevice(), { outputs: { cells } }, parameters);
    executable.run({ images });
    const read = readCells(await executable.read("cells"), wide / CELL_PX, (logitOf(least_score) - shift) / slope);
    executable.destroy();
    const [across, down] = [width / columns, height / rows];
    const here = read.filter(({ x, y, side }) => x < columns - 0.5 && y < rows - 0.5 && side >= 9 && side <= 100)
      .map(({ x, y, side, ...face }) => ({
        ...face,
        x: rescale(x, across),
        y: rescale(y, down),
        side: side * Math.sqrt(across * down),
      }));
    // Hides one of them at least.
    const before = { ...here[0]!, angle: 1, logit: (logitOf(0.9) - shift) / slope };
    const row = ({ logit, x, y, side, angle }: FaceCandidate) => [logistic(slope * logit + shift), x, y, side, angle];
    const expected = suppress([before, ...here]).flatMap(row);

    const found = await session.run({
      picture: tensor(image.data, [height, width, 3]),
      whole: tensor([height, width], [2]),
      size: tensor([rows, columns], [2]),
      sides: tensor([9, 100], [2]),
      before: tensor(row(before), [1, 5]),
    });
    assert.deepEqual(found["copy"]!.dims, [rows, columns, 3]);
    assert.ok(far(copy.data, floats(found["copy"])) <= 1);
    assert.deepEqual(found["found"]!.dims, [here.length + 1, 5]);
    assert.ok(here.length >= expected.length / 5);
    assert.equal(found["faces"]!.dims[0], expected.length / 5);
    assert.ok(far(expected, floats(found["faces"])) < 0.05);
    assert.deepEqual([...floats(found["pair"])], [0.5, 1, -2, 3, 4]);
  }
  for (const parameter of parameters.values()) parameter.destroy();
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
