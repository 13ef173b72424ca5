import assert from "node:assert/strict";
import { openDevice } from "../../runtime/device.ts";
import { readPipeline } from "../../runtime/pipeline_file.ts";
import { planRun, runPipeline, stageCosts } from "../../runtime/pipeline_run.ts";
import { silent } from "../../runtime/progress.ts";
import { stages } from "../../stages/mod.ts";
import { inFolder } from "./run_stages.ts";

const published = new URL("../../models/published/", import.meta.url).pathname;

const text = (model: string) =>
  `stages:
  faces: { uses: faces/render, with: { styles: [photo], count: 2, size_px: 64 } }
  base: { uses: model/load, with: { path: ${published}${model} } }
  stage1:
    uses: diffusion/train
    in: { model: base, data: faces }
    with: { prompt: "", steps: 1, batch: 4, lr: 1e-5, hint_channels: [16, 32, 96, 256] }
  synth:
    uses: dataset/generate
    in: { model: stage1, landmarks: faces }
    with: { styles: [ink, comic], per_style: 3, batch: 1 }
`;

Deno.test("a plan tells what Stable Diffusion v1 takes before there is a model, an image or a GPU", async () => {
  await inFolder(async (dir) => {
    await Deno.writeTextFile(`${dir}/test.yaml`, text("stable_diffusion_v1"));
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
    assert.deepEqual([sampling, images], ["DDIM, 1 images of 512 px, guided", 6]);
    // Two predictions: about 0.8 TFLOP for the UNet and 0.3 for the ControlNet each.
    assert.ok(sampled as number > 1.8e12 && sampled as number < 2.6e12, `${sampled}`);
    assert.ok(step_flops as number > 3 * (sampled as number), `${step_flops}`);
  });
});

Deno.test({
  name: "a plan takes the size of a dataset that is there",
  sanitizeResources: false, // the device closes with the run; its poll timers may outlive the test by a moment
  sanitizeOps: false,
  async fn() {
    await inFolder(async (dir) => {
      await Deno.writeTextFile(`${dir}/test.yaml`, text("ldm_text2img_large"));
      const pipeline = await readPipeline(`${dir}/test.yaml`, stages);
      const root = `${dir}/runs`;
      const step = async () => {
        const state = planRun(pipeline, root).find(({ stage }) => stage.id === "stage1")!;
        return (await stageCosts(state))!["step"];
      };
      assert.equal(await step(), "training, 4 images of 256 px");
      await runPipeline(pipeline, { root, reporter: silent, openDevice, until: "faces" });
      assert.equal(await step(), "training, 4 images of 64 px");
    });
  },
});
