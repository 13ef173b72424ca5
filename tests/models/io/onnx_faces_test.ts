import assert from "node:assert/strict";
// As in onnx_test.ts.
// deno-lint-ignore no-import-prefix
import * as ort from "npm:onnxruntime-web@1.22.0";
import { createImage, type Image } from "../../../faces/data/image.ts";
import { CROP_SCALE, faceBox } from "../../../faces/landmarks.ts";
import { DEFAULT_POSE, renderFaces, samplePerson, sampleShot } from "../../../faces/render/render.ts";
import { loadStyle } from "../../../faces/render/styles.ts";
import { mean } from "../../../faces/statistics.ts";
import { Random } from "../../../engine/rng.ts";
import { loadDetector } from "../../../models/detectors/detector.ts";
import { findFaces } from "../../../models/detectors/find_faces.ts";
import { loadFinder } from "../../../models/finder/finder.ts";
import { onnxModel } from "../../../models/io/onnx.ts";
import { Graph } from "../../../engine/graph.ts";
import { relu } from "../../../ops/relu.ts";
import { runCommand } from "../../cli/run_command.ts";
import { gpuTest } from "../../gpu.ts";
import { inFolder } from "../../stages/run_stages.ts";

ort.env.wasm.numThreads = 1;
// What ONNX Runtime opens with its first session stays open, which no test is to be charged with.
Deno.test.beforeAll(async () => {
  const y = relu(new Graph().input("x", [1]));
  await (await ort.InferenceSession.create(onnxModel({ y }, new Map(), { name: "first", doc: "" }))).release();
});

/** The program of docs/onnx.md. */
interface Program {
  findFaces(image: Image): Promise<{ score: number; points: Float32Array }[]>;
}

gpuTest("the JavaScript of docs/onnx.md finds the faces and landmarks that detect finds", async (device) => {
  const persons = new Random(5, "persons"), shots = new Random(5, "shots"), side = 240;
  const heads = [0, 1].map((k) => ({
    person: samplePerson(persons.at(k)),
    shot: sampleShot(shots.at(k), { ...DEFAULT_POSE, heavy: false }),
  }));
  const { render } = await loadStyle("pipelines/styles/photo.yaml");
  const rendered = await renderFaces(device.gpu, heads, render, side);
  // Of a size that is no multiple of the cells, and enlarged in no direction.
  const page = createImage(2 * side + 37, side + 25, [120, 140, 150]);
  rendered.forEach(({ image }, k) => {
    for (let y = 0; y < side; y++) {
      const row = image.data.subarray(y * side * 3, (y + 1) * side * 3);
      page.data.set(row, ((y + 12) * page.width + 10 + k * (side + 11)) * 3);
    }
  });
  using detector = await loadDetector(device, "models/faces", { partial: true });

  await inFolder(async (dir) => {
    using finder = await loadFinder(device, "models/faces/finder");
    assert.ok(finder.config.with_detector?.features, "scores are by the features of the detector, too");
    const ours = await findFaces(finder, detector, page);
    assert.ok(ours.length >= 2);
    for (const [option, from] of [["finder", "models/faces/finder"], ["detector", "models/faces"]] as const) {
      const args = [`--${option}`, from, "--format", "onnx", "--out", `${dir}/${option}.onnx`];
      assert.equal((await runCommand(["export", ...args])).code, 0);
    }
    const text = await Deno.readTextFile("docs/onnx.md");
    const [, code] = /```js\n([^]*?)```/.exec(text)!;
    // So that it is taken over at a glance; the Python is run by tests/interop/onnx.ts.
    for (const [, program] of text.matchAll(/```(?:js|py)\n([^]*?)```/g)) {
      assert.ok(program!.split("\n").filter((line) => line.trim()).length <= 40);
    }
    const file = `${dir}/faces.mjs`;
    await Deno.writeTextFile(
      file,
      code!.replace('"onnxruntime-web"', '"npm:onnxruntime-web@1.22.0"')
        .replace(/"(finder|detector)\.onnx"/g, (_, name) => JSON.stringify(`${dir}/${name}.onnx`)),
    );
    const program: Program = await import(new URL(file, "file:///").href);
    const theirs = await program.findFaces(page);
    assert.equal(theirs.length, ours.length);
    for (const [k, { score, landmarks }] of ours.entries()) {
      const { score: other, points } = theirs[k]!;
      assert.ok(Math.abs(score! - other) < 1e-3);
      // Some bytes of the crops are rounded differently, by which uncertain landmarks move most; pixels are those of the crop.
      const pixel = faceBox(landmarks, CROP_SCALE).side / detector.config.size_px;
      const far = Array.from(points, (px, i) => Math.abs(px - landmarks[i]!) / pixel);
      const [most, typical] = [Math.max(...far), mean(far)];
      assert.ok(most < 0.05 && typical < 0.01, `face ${k} of score ${score}: ${most} and ${typical} pixels apart`);
    }
  });
});
