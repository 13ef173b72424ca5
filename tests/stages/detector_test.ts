import assert from "node:assert/strict";
import { z } from "zod";
import { type Dataset, openDataset } from "../../faces/data/dataset.ts";
import { DatasetWriter } from "../../faces/data/dataset_writer.ts";
import { drawLandmarks } from "../../faces/draw.ts";
import { readImage } from "../../faces/data/image_file.ts";
import { similarity, transformLandmarks } from "../../faces/landmarks.ts";
import { detectorSpecs, readDetector, saveDetector } from "../../models/detectors/detector.ts";
import { readErrors } from "../../models/detectors/errors.ts";
import type { StarDetectorConfig } from "../../models/detectors/star_detector.ts";
import { initialise } from "../../models/io/params.ts";
import { openDevice } from "../../engine/device.ts";
import { readPipeline } from "../../runtime/pipeline/file.ts";
import { planRun, runPipeline, type Summary } from "../../runtime/run/run.ts";
import { stageCosts } from "../../runtime/run/costs.ts";
import { Random } from "../../engine/rng.ts";
import { type AnyStage, stage } from "../../runtime/stage.ts";
import { stages } from "../../stages/mod.ts";
import { runCommand } from "../cli/run_command.ts";
import { nmePerImage } from "../../faces/metrics.ts";
import { neutralFace } from "../faces/neutral_face.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import { gpuTest } from "../gpu.ts";
import { inFolder } from "./run_stages.ts";

const SIDE = 32;

/** Drawn landmarks as pictures: one face, moved and turned at random. */
const drawings = stage({
  id: "fake/drawings",
  doc: "Draws landmarks.",
  version: 1,
  inputs: {},
  output: "dataset",
  options: z.object({ count: z.int(), first: z.int().default(0) }),
  async run(ctx, _inputs, { count, first }) {
    const writer = await DatasetWriter.create(ctx.dir, SCHEMAS.ibug68);
    for (let i = first; i < first + count; i++) {
      const random = new Random(5, "drawings", i);
      const spread = (size: number) => (2 * random.uniform() - 1) * size;
      const move = similarity([15.5, 15.5], 0.9 + spread(0.15), spread(0.3), [spread(2), spread(2)]);
      const landmarks = transformLandmarks(neutralFace(SIDE), move);
      const style = i % 2 ? "odd" : "even";
      await writer.add(drawLandmarks(landmarks, SCHEMAS.ibug68, SIDE), { style, group: `${i}`, landmarks });
    }
    await writer.close();
  },
});

const network = "{ size_px: 32, heatmap_px: 16, stacks: 1, depth: 2, channels: 16, groups: 2 }";
const pipeline = (steps: number) => `
stages:
  data: { uses: fake/drawings, with: { count: 64 } }
  more: { uses: fake/drawings, with: { count: 8, first: 64 } }
  test: { uses: fake/drawings, with: { count: 20, first: 100 } }
  first:
    uses: detector/train
    in: { data: [data, more], val: test }
    with: { steps: ${steps}, batch_size: 8, lr: 1e-2, ema_decay: 0.9, warmup_steps: 5, checkpoint_every: 10, val_every: 20, data_weights: [3, 1], network: ${network} }
  second:
    uses: detector/train
    in: { data: data, init: first }
    with: { steps: 4, batch_size: 4, dtype: f16 }
  found: { uses: detector/detect, in: { detector: second, data: test }, with: { flip: false } }
  table:
    uses: detector/evaluate
    in: { detectors: [first, second], data: test }
`;

interface Update {
  stage: string;
  done: number;
}

async function run(
  dir: string,
  text: string,
  options: { root?: string; at?: (update: Update) => void; signal?: AbortSignal } = {},
) {
  await Deno.writeTextFile(`${dir}/test.yaml`, text);
  const registry = { ...stages, "fake/drawings": () => Promise.resolve(drawings as AnyStage) };
  const { root = "runs", at, signal } = options;
  return await runPipeline(await readPipeline(`${dir}/test.yaml`, registry), {
    root: `${dir}/${root}`,
    reporter: { event: (event) => event.event === "progress" ? at?.(event) : undefined },
    openDevice,
    ...(signal && { signal }),
  });
}

Deno.test("detector/train learns, detector/evaluate measures, score agrees", () =>
  inFolder(async (dir) => {
    const { results } = await run(dir, pipeline(100)) as Summary;
    const at = (name: string) => `${dir}/runs/test/${name}`;
    assert.deepEqual(results.map(({ stage, detector, dataset, images }) => [stage, detector, dataset, images]), [
      ["table", "first", "test", 20],
      ["table", "second", "test", 20],
    ]);
    assert.deepEqual(Object.keys(results[0]!).slice(4), ["nme_interocular", "fr_10", "auc_10", "nme_low", "nme_high"]);
    const [first, second] = results.map(({ nme_interocular }) => Number(nme_interocular));
    assert.ok(first! < 15, `NME is ${first}`);
    assert.ok(second! < 1.5 * first!, `NME became ${second}`);

    const [found, truth] = await Promise.all(["found", "test"].map((name) => openDataset(at(name))));
    assert.deepEqual(found!.records.map(({ group }) => group), truth!.records.map(({ group }) => group));
    const landmarks = (data: Dataset) => data.records.flatMap((record) => [...record.landmarks]);
    const nme = nmePerImage(landmarks(found!), landmarks(truth!), SCHEMAS.ibug68);
    assert.ok(Math.abs(nme.reduce((a, b) => a + b) / nme.length - second!) < 1e-2);

    const { rows, regions, ced, examples } = JSON.parse(await Deno.readTextFile(`${at("table")}/results.json`));
    assert.deepEqual(rows.map((row: { dataset: string }) => row.dataset).slice(0, 3), [
      "test",
      "test/even",
      "test/odd",
    ]);
    assert.equal(regions.length, 2);
    assert.equal(ced[1].y.length, ced[1].x.length);
    assert.equal(examples.length, 2 * 10, "the five best and the five worst of each detector");
    assert.equal(examples[0].landmarks.length, 68);
    assert.equal((await readImage(`${at("table")}/test_ced.png`)).width, 960);
    assert.ok((await readImage(`${at("table")}/test.png`)).width > 1000);

    const metrics = (await Deno.readTextFile(`${at("first")}/metrics.jsonl`)).trim().split("\n").map((l) =>
      JSON.parse(l)
    );
    assert.equal(metrics.filter(({ loss }) => loss !== undefined).length, 100);
    assert.equal(metrics.filter(({ nme_val }) => nme_val !== undefined).length, 5);

    const args = ["score", "--detector", at("second"), "--data", at("test"), "--crop", "none"];
    const scored = await runCommand(args);
    assert.equal(scored.code, 0);
    const { images, nme_interocular, crop } = JSON.parse(scored.lines[0]!);
    assert.deepEqual([images, crop], [20, "none"]);
    assert.ok(Math.abs(nme_interocular - second!) < 1e-4);
    const more = JSON.parse((await runCommand([...args, "--thresholds", "5,20"])).lines[0]!);
    assert.deepEqual(["fr_5", "auc_5", "fr_20", "auc_20", "fr_10"].map((key) => key in more), [
      true,
      true,
      true,
      true,
      false,
    ]);
    assert.ok(more.fr_20 <= more.fr_5 && more.auc_20 >= more.auc_5);
    assert.deepEqual(Object.values<{ images: number }>(more.styles).map(({ images }) => images), [10, 10]);
    await Deno.mkdir(`${dir}/empty`);
    assert.match((await runCommand([...args.slice(0, 3), "--data", `${dir}/empty`])).notes, /there is no image in it/);
  }));

Deno.test("detector/train goes on after an interruption to the same bytes", () =>
  inFolder(async (dir) => {
    const text = pipeline(25).split("  second:")[0]!;
    const artifact = async (root: string) => {
      const at = `${dir}/${root}/test/first`;
      return [await Deno.readFile(`${at}/model.safetensors`), await Deno.readTextFile(`${at}/metrics.jsonl`)];
    };
    await run(dir, text, { root: "whole" });
    for (const stop of [3, 14]) {
      const controller = new AbortController();
      const at = ({ stage, done }: Update) => {
        if (stage === "first" && done >= stop) controller.abort();
      };
      await assert.rejects(run(dir, text, { root: "broken", at, signal: controller.signal }), /continues from there/);
    }
    await run(dir, text, { root: "broken" });
    assert.deepEqual(await artifact("broken"), await artifact("whole"));
  }));

Deno.test("detector/train says what does not fit", () =>
  inFolder(async (dir) => {
    const wrong = pipeline(5).replace("data_weights: [3, 1]", "data_weights: [1]");
    await assert.rejects(
      run(dir, wrong),
      /Cannot use "data_weights" in stage "first" as 2 datasets take as many numbers/,
    );
    const both = pipeline(1).replace("dtype: f16", `network: ${network}`);
    await assert.rejects(run(dir, both), /Cannot use "network" in stage "\w+" as the network is that of input "init"/);
  }));

Deno.test("detector/train keeps the best weights, stops early, and freezes the parameters that it is given", () =>
  inFolder(async (dir) => {
    const star: StarDetectorConfig = {
      model_type: "star",
      size_px: SIDE,
      stacks: 1,
      depth: 1,
      channels: 16,
      schema: "ibug68",
    };
    const tensors = initialise(detectorSpecs(star), 2);
    await saveDetector(`${dir}/star`, star, tensors);
    const stagesWith = (more: string) => `
stages:
  data: { uses: fake/drawings, with: { count: 16 } }
  loaded: { uses: detector/load, with: { path: ${dir}/star } }
  tuned:
    uses: detector/train
    in: { data: data, init: loaded, val: data }
    with: { steps: 12, batch_size: 2, lr: 1e-2, ema_decay: 0, warmup_steps: 0, val_every: 2, ${more} }
`;
    await run(dir, stagesWith(`keep: best, patience: 4, freeze: ["pre.*", "hgs.0.*"]`));
    const at = `${dir}/runs/test/tuned`;
    const metrics = (await Deno.readTextFile(`${at}/metrics.jsonl`)).trim().split("\n").map((line) => JSON.parse(line));
    const looks = metrics.filter(({ nme_train }) => nme_train !== undefined);
    const best = looks.reduce((a, b) => b.nme_val < a.nme_val ? b : a);
    const { log } = JSON.parse(await Deno.readTextFile(`${at}/manifest.json`)) as { log: string[] };
    const end = metrics.filter(({ loss }) => loss !== undefined).at(-1).step;
    assert.ok(log.some((line) => /kept are the weights of step \d+/.test(line)));
    if (end < 12) assert.ok(log.includes(`no smaller NME in 4 steps: the training ends here`) && end - best.step <= 5);
    const [kept, last] = [await readDetector(at), await readDetector(`${at}/last`)];
    assert.deepEqual(kept.config, star);
    for (const [name, { data }] of tensors) {
      const frozen = /^detector\/(pre|hgs\.0)\./.test(name);
      for (const { tensors: now } of frozen ? [kept, last] : []) assert.deepEqual(now.get(name)!.data, data, name);
    }
    const head = "detector/out_heatmaps.0.conv.weight";
    assert.notDeepEqual(last.tensors.get(head)!.data, tensors.get(head)!.data);

    await assert.rejects(
      run(dir, stagesWith(`freeze: ["hsg.*"]`)),
      /Cannot use "freeze\.0" in stage "tuned" as the network has no parameter "hsg\.\*"/,
    );
    await assert.rejects(
      run(dir, stagesWith(`freeze: ["*"]`)),
      /Cannot use "freeze" in stage "tuned" as no parameter is left to train/,
    );
    await assert.rejects(
      run(dir, stagesWith(`star: tiny`)),
      /Cannot use "star" in stage "tuned" as the network is that of input "init"/,
    );
    const blind = stagesWith(`keep: best`).replace(", val: data", "");
    await assert.rejects(run(dir, blind), /"val" is missing/);
  }));

Deno.test("detector/average weighs detectors of the same network by their shares", () =>
  inFolder(async (dir) => {
    const config: StarDetectorConfig = {
      model_type: "star",
      size_px: SIDE,
      stacks: 1,
      depth: 1,
      channels: 16,
      schema: "ibug68",
    };
    const some = [1, 2].map((seed) => initialise(detectorSpecs(config), seed));
    for (const [k, tensors] of some.entries()) await saveDetector(`${dir}/${k}`, config, tensors);
    const wide = { ...config, channels: 32 };
    await saveDetector(`${dir}/wide`, wide, initialise(detectorSpecs(wide), 3));
    const text = (options: string, second = "1") => `
stages:
  a: { uses: detector/load, with: { path: ${dir}/0 } }
  b: { uses: detector/load, with: { path: ${dir}/${second} } }
  both: { uses: detector/average, in: { detectors: [a, b] }, with: { ${options} } }
`;
    const averaged = async (options: string) => {
      await run(dir, text(options));
      return await readDetector(`${dir}/runs/test/both`);
    };
    for (const [options, share] of [["", 0.5], ["weights: [3, 1]", 0.25], ["weights: [0, 2]", 1]] as const) {
      const { config: same, tensors } = await averaged(options);
      assert.deepEqual(same, config);
      for (const [name, { shape, data }] of tensors) {
        const [a, b] = some.map((one) => one.get(name)!);
        assert.deepEqual(shape, a!.shape);
        assert.ok(data.every((v, i) => Math.abs(v - a!.data[i]! * (1 - share) - b!.data[i]! * share) < 1e-6), name);
      }
    }
    await assert.rejects(
      run(dir, text("weights: [1]")),
      /Cannot use "weights" in stage "both" as 2 detectors take as many numbers/,
    );
    await assert.rejects(
      run(dir, text("weights: [0, 0]")),
      /Cannot use "weights" in stage "both" as all numbers are 0/,
    );
    await assert.rejects(
      run(dir, text("", "wide")),
      /Cannot use input "detectors" in stage "both" as "a" and "b" are not of the same network/,
    );
  }));

gpuTest(
  "detector/errors keeps the detector, and says which of its landmarks err together",
  () =>
    inFolder(async (dir) => {
      const tiny = "models/tiny/detector";
      const text = `
stages:
  data: { uses: fake/drawings, with: { count: 12 } }
  tiny: { uses: detector/load, with: { path: ${tiny} } }
  errors: { uses: detector/errors, in: { detector: tiny, data: data }, with: { dtype: f16 } }
`;
      await run(dir, text);
      const made = `${dir}/runs/test/errors`, errors = await readErrors(made, SCHEMAS.ibug68);
      assert.ok(errors);
      const size = 2 * SCHEMAS.ibug68.count, at = (a: number, b: number) => errors[a * size + b]!;
      let trace = 0;
      for (let a = 0; a < size; a++) {
        trace += at(a, a) / size;
        for (let b = 0; b < a; b++) assert.equal(at(a, b), at(b, a));
      }
      assert.ok(Math.abs(trace - 1) < 1e-3, `${trace}`);
      // Neighbours on the jaw err more alike than the jaw and the mouth.
      const correlation = (p: number, q: number) => at(2 * p, 2 * q) / Math.sqrt(at(2 * p, 2 * p) * at(2 * q, 2 * q));
      const mean = (other: (p: number) => number) => {
        let sum = 0;
        for (let p = 0; p < 16; p++) sum += correlation(p, other(p)) / 16;
        return sum;
      };
      const [near, far] = [mean((p) => p + 1), mean((p) => p + 48)];
      assert.ok(near > far + 0.1, `${near} ${far}`);
      assert.deepEqual((await readDetector(made)).config, (await readDetector(tiny)).config);
      assert.equal(await readErrors(tiny, SCHEMAS.ibug68), undefined);
      await assert.rejects(readErrors(made, SCHEMAS.wflw98), /covariance is \[136,136\], not \[196, 196\] of wflw98/);
    }),
);

Deno.test("a plan reports the costs of training STAR's published network", () =>
  inFolder(async (dir) => {
    const train = `uses: detector/train, in: { data: data }, with: { steps: 1, batch_size: 2, star: star }`;
    const text = `stages:\n  data: { uses: fake/drawings, with: { count: 1 } }\n  star: { ${train} }\n`;
    await Deno.writeTextFile(`${dir}/test.yaml`, text);
    const registry = { ...stages, "fake/drawings": () => Promise.resolve(drawings as AnyStage) };
    const plan = planRun(await readPipeline(`${dir}/test.yaml`, registry), `${dir}/runs`);
    const costs = await stageCosts(plan.find(({ stage }) => stage.id === "star")!);
    assert.deepEqual([costs!["step"], costs!["detector_parameters"]], ["training, 2 images of 256 px", "17,069,572"]);
    // Four stacks of 256 channels: about 30 GFLOP an image forwards, and twice that backwards.
    assert.ok(Number(costs!["step_flops"]) > 1.2e11 && Number(costs!["step_flops"]) < 3e11, `${costs!["step_flops"]}`);
  }));
