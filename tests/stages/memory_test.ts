import assert from "node:assert/strict";
import { detectorTraining, trainableNames } from "../../models/detectors/registry.ts";
import { STAR_SIZES } from "../../models/detectors/star_detector.ts";
import { createParameters, initialise, type ParameterSpec, Scope, type Specs } from "../../models/io/params.ts";
import { Trainer, type TrainerSpec } from "../../models/trainer.ts";
import { unet, unetFormat } from "../../models/diffusion/unet.ts";
import { mse } from "../../ops/mse.ts";
import { Graph } from "../../engine/graph.ts";
import { openDevice } from "../../engine/device.ts";
import type { Dtype } from "../../engine/tensor.ts";
import { readPipeline } from "../../runtime/pipeline/file.ts";
import type { RunEvent } from "../../runtime/run/progress.ts";
import { runPipeline } from "../../runtime/run/run.ts";
import { stages } from "../../stages/mod.ts";
import { inFolder } from "./run_stages.ts";
import { trainingCosts } from "../../stages/lib/estimates.ts";

const options = { clip_norm: 1, weight_decay: 0, ema_decay: 0.999 };

/** Makes a trainer, which has all that its steps take from then on, and compares that with the plan. */
async function compare(spec: TrainerSpec, specs: Specs, frozen: Dtype = "f32"): Promise<void> {
  const device = await openDevice();
  const trainable = new Set(spec.trainable);
  const start = initialise(specs, 0);
  const some = (trained: boolean) => new Map([...specs].filter(([name]) => trainable.has(name) === trained));
  const parameters = new Map([
    ...createParameters(device, some(false), start, frozen),
    ...createParameters(device, some(true), start),
  ]);
  const trainer = new Trainer(device, spec, parameters);
  await trainer.step_plan.read("loss");
  const { gpu_bytes } = trainingCosts(spec, {
    onPlan() {},
    isF16: (name) => frozen === "f16" && specs.has(name) && !trainable.has(name),
  });
  const { peak } = device.memory;
  // An adapter that binds fewer tensors than the estimate is for has a smaller staging buffer.
  const most = device.bindings < 16 ? 0.2 : 0.1;
  assert.ok(Math.abs(gpu_bytes / peak - 1) < most, `planned ${gpu_bytes}, there were ${peak}`);
  trainer.destroy();
  for (const tensor of parameters.values()) tensor.destroy();
  assert.equal(device.memory.live, 0);
  device.destroy();
}

function smallUnet(frozen: RegExp, batch = 2) {
  const config = unetFormat.schema.parse({
    block_out_channels: [16, 32],
    down_block_types: ["DownBlock2D", "CrossAttnDownBlock2D"],
    up_block_types: ["CrossAttnUpBlock2D", "UpBlock2D"],
    layers_per_block: 1,
    cross_attention_dim: 16,
    attention_head_dim: 4,
    norm_num_groups: 4,
  });
  const graph = new Graph();
  const specs = new Map<string, ParameterSpec>();
  const sample = graph.input("sample", [batch, 8, 8, 4]);
  const inputs = {
    sample,
    timesteps: graph.input("timesteps", [batch]),
    context: graph.input("context", [batch, 5, 16]),
  };
  const loss = mse(unet(new Scope(graph, specs, "unet/"), config, inputs), graph.input("noise", sample.shape));
  return { specs, spec: { ...options, loss, trainable: [...specs.keys()].filter((name) => !frozen.test(name)) } };
}

Deno.test("a step of a UNet takes the memory of its plan", async () => {
  const { specs, spec } = smallUnet(/never/);
  await compare(spec, specs);
});

Deno.test("so does one of several batches, with frozen weights of half size", async () => {
  const { specs, spec } = smallUnet(/down_blocks|mid_block/);
  await compare({ ...spec, gradient_accumulation_steps: 2 }, specs, "f16");
});

Deno.test("a step of a detector takes the memory of its plan", async () => {
  const config = { ...STAR_SIZES.tiny, size_px: 32, stacks: 1, depth: 2, channels: 16 };
  const { specs, loss, landmarks, updates } = detectorTraining(new Graph(), config, 2);
  const trainable = trainableNames(config, specs);
  await compare({ ...options, loss, trainable, updates, outputs: { landmarks } }, specs);
});

Deno.test("a step in less memory takes that of its plan, which reports what it would take without the limit", async () => {
  const { specs, spec } = smallUnet(/never/, 16);
  const { gpu_bytes } = trainingCosts(spec, { onPlan() {} });
  const memory = Math.floor(0.9 * gpu_bytes);
  const costs = trainingCosts({ ...spec, memory_limit: memory }, { onPlan() {} });
  assert.ok(costs.gpu_bytes <= memory);
  assert.equal("unlimited_gpu_bytes" in costs && costs.unlimited_gpu_bytes, gpu_bytes);
  await compare({ ...spec, memory_limit: memory }, specs);
});

Deno.test("a stage that fails or is stopped leaves the memory of the GPU as it was, and a failed training names the op", async () => {
  await inFolder(async (dir) => {
    await Deno.writeTextFile(
      `${dir}/test.yaml`,
      `stages:
  faces: { uses: faces/render, with: { styles: [photo], count: 4, size_px: 32 } }
  autoencoder:
    uses: autoencoder/train
    in: { data: faces }
    with: { steps: 40, batch_size: 2, lr: 1e-3, channels: [8, 8], groups: 2, kl_weight: 1e+38 }
  detector:
    uses: detector/train
    in: { data: faces }
    with: { steps: 40, batch_size: 2, lr: 1e-4, network: { size_px: 32, channels: 8, groups: 2, depth: 2 } }
`,
    );
    const device = await openDevice();
    const run = async (only: string, see: (event: RunEvent, stop: () => void) => void = () => {}) => {
      const controller = new AbortController();
      const pipeline = await readPipeline(`${dir}/test.yaml`, stages);
      await runPipeline(pipeline, {
        root: `${dir}/runs`,
        only,
        reporter: { event: (event) => see(event, () => controller.abort()) },
        openDevice: () => Promise.resolve({ ...device, destroy() {} }),
        signal: controller.signal,
      });
    };
    await run("faces");
    const { live } = device.memory;
    await assert.rejects(
      run("autoencoder"),
      /The loss is (NaN|-?Infinity) in step \d+: the first value that is not finite is .*, made by op "\w+" \(.+\), shape \[.+\], in step \d+/,
    );
    assert.equal(device.memory.live, live);
    await assert.rejects(run("detector", (event, stop) => {
      if (event.event === "progress" && event.stage === "detector") stop();
    }));
    assert.equal(device.memory.live, live);
    device.destroy();
  });
});
