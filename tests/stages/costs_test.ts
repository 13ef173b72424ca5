import assert from "node:assert/strict";
import { tunables, workOfStage } from "../../engine/tuning/tune.ts";
import { readPipeline } from "../../runtime/pipeline/file.ts";
import { planRun } from "../../runtime/run/run.ts";
import { stageCosts } from "../../runtime/run/costs.ts";
import { sizeOf } from "../../stages/lib/artifacts.ts";
import { memoize } from "../../stages/lib/estimates.ts";
import { stages } from "../../stages/mod.ts";
import { inFolder, runStages } from "./run_stages.ts";

const published = new URL("../../models/published/", import.meta.url).pathname;

const text = (model: string, size_px: number) =>
  `stages:
  faces: { uses: faces/render, with: { styles: [photo], count: 2, size_px: ${size_px} } }
  base: { uses: model/load, with: { path: ${published}${model} } }
  stage1:
    uses: diffusion/train
    in: { model: base, data: faces }
    with: { prompt: "", steps: 1, batch_size: 4, lr: 1e-5, hint_channels: [16, 32, 96, 256] }
  synth:
    uses: dataset/generate
    in: { model: stage1, landmarks: faces }
    with: { styles: [ink, comic], per_style: 3, batch_size: 1 }
`;

Deno.test("a plan reports the costs of Stable Diffusion v1 before there is a model, an image or a GPU", async () => {
  await inFolder(async (dir) => {
    await Deno.writeTextFile(`${dir}/test.yaml`, text("stable_diffusion_v1", 512));
    const pipeline = await readPipeline(`${dir}/test.yaml`, stages);
    const plan = planRun(pipeline, `${dir}/runs`);
    const costs = Object.fromEntries(
      await Promise.all(plan.map(async (state) => [state.stage.id, await stageCosts(state)] as const)),
    );
    assert.deepEqual(costs["base"], {
      unet_parameters: "859,520,964",
      autoencoder_parameters: "83,653,863",
      text_parameters: "123,060,480",
    });
    const { step, controlnet_parameters, gpu_bytes, step_flops } = costs["stage1"]!;
    assert.equal(step, "training, 4 images of 512 px");
    assert.equal(controlnet_parameters, "361,279,120");
    // Weights of the UNet, the text encoder and the ControlNet, and three more of the last, are f32.
    const weights = 4 * (859_520_964 + 123_060_480 + 4 * 361_279_120);
    assert.ok(gpu_bytes as number > weights && gpu_bytes as number < 5 * weights, `${gpu_bytes}`);
    const { step: sampling, images, step_flops: sampled } = costs["synth"]!;
    assert.deepEqual([sampling, images], ["ddim, 1 image of 512 px, guided", 6]);
    // Two predictions: about 0.8 TFLOP for the UNet and 0.3 for the ControlNet each.
    assert.ok(sampled as number > 1.8e12 && sampled as number < 2.6e12, `${sampled}`);
    assert.ok(step_flops as number > 3 * (sampled as number), `${step_flops}`);
  });
});

const scratch = `stages:
  faces: { uses: faces/render, with: { styles: [photo], count: 2, size_px: 32 } }
  autoencoder:
    uses: autoencoder/train
    in: { data: faces }
    with: { steps: 3, batch_size: 2, lr: 1e-3, channels: [8, 8], groups: 2, gradient_accumulation_steps: 2 }
  base:
    uses: diffusion/pretrain
    in: { model: autoencoder, data: faces }
    with: { steps: 3, batch_size: 2, lr: 1e-3, channels: [8, 16], groups: 2, heads: 2, text_width: 16, text_layers: 1 }
  stage1:
    uses: diffusion/train
    in: { model: base, data: faces }
    with: { prompt: "", steps: 3, batch_size: 2, lr: 1e-3, hint_channels: [8, 8] }
  synth:
    uses: dataset/generate
    in: { model: stage1, landmarks: faces }
    with: { styles: [ink], per_style: 2, steps: 2 }
  detector:
    uses: detector/train
    in: { data: synth }
    with: { steps: 3, batch_size: 2, network: { size_px: 32, heatmap_px: 16, channels: 16, groups: 2 } }
  tuned:
    uses: detector/train
    in: { data: faces, init: detector }
    with: { steps: 3, batch_size: 2 }
`;

/** Costs of each stage that reports them. */
async function costsIn(dir: string, ...set: string[]) {
  const pipeline = await readPipeline(`${dir}/test.yaml`, stages, { set });
  const all = planRun(pipeline, `${dir}/runs`).map(async (state) => [state.stage.id, await stageCosts(state)] as const);
  return new Map((await Promise.all(all)).filter(([, costs]) => !costs || "step" in costs));
}

Deno.test("a plan reports the costs of a model made from nothing, before anything is made", async () => {
  await inFolder(async (dir) => {
    await Deno.writeTextFile(`${dir}/test.yaml`, scratch);
    const costs = await costsIn(dir);
    assert.deepEqual([...costs].map(([stage, takes]) => [stage, takes?.["step"]]), [
      ["autoencoder", "training, 2 x 2 images of 32 px"],
      ["base", "training, 2 images of 32 px"],
      ["stage1", "training, 2 images of 32 px"],
      ["synth", "ddim, 8 images of 32 px, guided"],
      ["detector", "training, 2 images of 32 px"],
      ["tuned", "training, 2 images of 32 px"],
    ]);
    for (const [stage, takes] of costs) {
      assert.ok(Number(takes!["step_flops"]) > 1e6 && Number(takes!["gpu_bytes"]) > 1e5, stage);
    }
    const flops = (stage: string) => Number(costs.get(stage)!["step_flops"]);
    assert.equal(flops("detector"), flops("tuned"));
    const single = await costsIn(dir, "stages.autoencoder.with.gradient_accumulation_steps=1");
    const ratio = flops("autoencoder") / Number(single.get("autoencoder")!["step_flops"]);
    assert.ok(ratio > 1.9 && ratio < 2.1, `${ratio}`);

    // Frozen weights of f16 take half of what they take as f32.
    const bytes = async (...set: string[]) => Number((await costsIn(dir, ...set)).get("stage1")!["gpu_bytes"]);
    const saved = await bytes() - await bytes("stages.stage1.with.frozen_dtype=f16");
    const parameters = Number(String(costs.get("base")!["unet_parameters"]).replaceAll(",", ""));
    assert.ok(saved > 2 * parameters && saved < 4 * parameters, `${saved} bytes of ${parameters} parameters`);
  });
});

Deno.test("a dataset's side is that of its images, unless it is to be made anew", async () => {
  await inFolder(async (dir) => {
    const at = await runStages(dir, "  faces: { uses: fake/squares, with: { count: 2, size_px: 64 } }\n");
    assert.equal(await sizeOf([{ dir: at("faces") }]), 64);
    assert.equal(await sizeOf([{ dir: at("faces"), info: () => Promise.resolve({ size_px: 32 }) }]), 32);
    await assert.rejects(sizeOf([{ dir: at("others"), info: () => Promise.resolve({}) }]), Deno.errors.NotFound);
  });
});

Deno.test("what two stages have in common is computed once, however many steps they make", () => {
  let computed = 0;
  const costs = (networks: unknown, options: object) => memoize(networks, options, () => ++computed, () => {});
  const options = { steps: 10, lr: 1e-3, prompt: null, batch_size: 4 };
  assert.equal(costs({ unet: 1 }, options), 1);
  assert.equal(costs({ unet: 1 }, { ...options, steps: 20, lr: 1e-4, prompt: "a face" }), 1);
  assert.equal(costs({ unet: 1 }, { ...options, batch_size: 8 }), 2);
  assert.equal(costs({ unet: 2 }, options), 3);
});

Deno.test("equal stages weigh as many times in tuning as there are of them, though they are planned once", async () => {
  await inFolder(async (dir) => {
    const seeds = `stages:
  faces: { uses: faces/render, with: { styles: [photo], count: 2, size_px: 64 } }
  base: { uses: detector/load, with: { path: models/tiny/detector } }
  detector: { uses: detector/train, in: { data: faces, init: base }, with: { steps: 3, batch_size: 2, lr: 1e-4 }, matrix: { seed: [1, 2, 3] } }
`;
    await Deno.writeTextFile(`${dir}/test.yaml`, seeds);
    const planned = planRun(await readPipeline(`${dir}/test.yaml`, stages), `${dir}/runs`);
    const detectors = planned.filter(({ stage: { of } }) => of === "detector");
    assert.equal(detectors.length, 3);
    const work = await Promise.all(detectors.map((state) => workOfStage((onPlan) => stageCosts(state, onPlan))));
    assert.deepEqual(work.map((of) => of.map(({ times }) => times)), [[3], [3], [3]]);
    const on = { storage: "texture", bindings: 16, tiled: false } as const;
    const [one, three] = [work.slice(0, 1), work].map((of) => tunables(of.flat(), on).map((kernel) => kernel.work));
    assert.deepEqual(three, one?.map((work) => 3 * work));
  });
});
