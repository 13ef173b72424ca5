import assert from "node:assert/strict";
import { hasCodebook } from "../../models/diffusion/autoencoder.ts";
import { openModel } from "../../models/io/pipeline_folder.ts";
import { openDevice } from "../../engine/device.ts";
import { readPipeline } from "../../runtime/pipeline/file.ts";
import { runPipeline } from "../../runtime/run/run.ts";
import { silent } from "../../runtime/run/progress.ts";
import { readManifest } from "../../runtime/run/cache.ts";
import { readSafetensors } from "../../formats/safetensors.ts";
import { stages } from "../../stages/mod.ts";
import { inFolder } from "./run_stages.ts";
import { slowTest } from "../slow.ts";

slowTest("a diffusion model learns on the latents of an autoencoder with a codebook", async () => {
  await inFolder(async (dir) => {
    await Deno.writeTextFile(
      `${dir}/test.yaml`,
      `stages:
  faces: { uses: faces/render, with: { styles: [photo], count: 4, size_px: 16 } }
  autoencoder:
    uses: autoencoder/train
    in: { data: faces }
    with: { steps: 12, batch_size: 4, lr: 1e-2, warmup_steps: 1, channels: [8, 8], groups: 2, codebook: 16, latent_channels: 3, reconstruction: l1 }
  base:
    uses: diffusion/pretrain
    in: { model: autoencoder, data: faces }
    with: { steps: 1, batch_size: 2, lr: 1e-3, channels: [8, 16], groups: 2, heads: 2, text_width: 16, text_layers: 1 }
`,
    );
    const pipeline = await readPipeline(`${dir}/test.yaml`, stages);
    await runPipeline(pipeline, { root: `${dir}/runs`, reporter: silent, openDevice });
    const base = `${dir}/runs/test/base`;
    const model = await openModel(base);
    assert.ok(hasCodebook(model.vae));
    assert.equal(model.unet.in_channels, 3);
    const config = JSON.parse(await Deno.readTextFile(`${base}/vae/config.json`));
    assert.deepEqual([config._class_name, config.num_vq_embeddings], ["VQModel", 16]);
    const index = JSON.parse(await Deno.readTextFile(`${base}/model_index.json`));
    assert.deepEqual(index.vae, ["diffusers", "VQModel"]);
    using weights = await readSafetensors(`${base}/vae/diffusion_pytorch_model.safetensors`);
    assert.deepEqual(weights.info("quantize.embedding.weight").shape, [16, 3]);
    const metrics = await Deno.readTextFile(`${dir}/runs/test/autoencoder/metrics.jsonl`);
    const losses = metrics.trim().split("\n").map((line) => JSON.parse(line).loss as number);
    assert.ok(losses.at(-1)! < losses[0]!, `the loss went from ${losses[0]} to ${losses.at(-1)}`);
    // How long the GPU waited for batches stands in the manifest, which reports show, and in the log.
    const { summary, log } = readManifest(`${dir}/runs/test/autoencoder`)!;
    const waited = Number(summary.find((row) => "waited_for_data_percent" in row)!["waited_for_data_percent"]);
    assert.ok(waited >= 0 && waited < 100, `${waited}`);
    assert.match(log.join("\n"), /waited for data in \d+\.\d % of the .* of its steps/);
    assert.match(await Deno.readTextFile(`${dir}/runs/test/log.jsonl`), /waited for data in/);
  });
});

const sharp = `stages:
  faces: { uses: faces/render, with: { styles: [photo], count: 3, size_px: 32 } }
  detector:
    uses: detector/train
    in: { data: faces }
    with: { steps: 1, batch_size: 1, lr: 1e-4, network: { size_px: 32, channels: 8, groups: 2, depth: 2 } }
  autoencoder:
    uses: autoencoder/train
    in: { data: faces, features: detector }
    with:
      steps: 30
      batch_size: 3
      lr: 1e-2
      warmup_steps: 1
      lr_schedule: constant
      channels: [8, 8]
      groups: 2
      checkpoint_every: 5
      adversarial: { start: 12, channels: 8, layers: 1 }
`;

Deno.test("a discriminator starts at its step, and a training with it goes on to the same bytes and fits its images", () =>
  inFolder(async (dir) => {
    const device = await openDevice();
    const run = async (name: string, text: string, stopAt = Infinity) => {
      await Deno.writeTextFile(`${dir}/${name}.yaml`, text);
      const controller = new AbortController();
      const pipeline = await readPipeline(`${dir}/${name}.yaml`, stages, { roots: [Deno.cwd()] });
      await runPipeline(pipeline, {
        root: `${dir}/runs`,
        reporter: {
          event(event) {
            if (event.event === "progress" && event.stage === "autoencoder" && event.done >= stopAt) controller.abort();
          },
        },
        openDevice: () => Promise.resolve({ ...device, destroy() {} }),
        signal: controller.signal,
      });
      return `${dir}/runs/${name}/autoencoder`;
    };
    const whole = await run("whole", sharp);
    await assert.rejects(run("parts", sharp, 17));
    const parts = await run("parts", sharp);
    for (const file of ["vae/diffusion_pytorch_model.safetensors", "metrics.jsonl", "contact.png"]) {
      assert.deepEqual(await Deno.readFile(`${parts}/${file}`), await Deno.readFile(`${whole}/${file}`), file);
    }
    const records: Record<string, number>[] = (await Deno.readTextFile(`${whole}/metrics.jsonl`)).trim().split("\n")
      .map((line) => JSON.parse(line));
    const weights = records.flatMap(({ step, adaptive_weight }) =>
      adaptive_weight === undefined ? [] : [[step, adaptive_weight] as const]
    );
    assert.deepEqual(weights.map(([step, weight]) => [step, weight > 0]), [[10, false], [20, true]]);
    const losses = records.flatMap(({ loss }) => loss ?? []);
    assert.equal(losses.length, 30);
    // Before the discriminator starts, the loss is that of the distances alone.
    assert.ok(losses[11]! < 0.8 * losses[0]!, `the loss went from ${losses[0]} to ${losses[11]}`);
    // The folder has the autoencoder alone.
    assert.deepEqual([...Deno.readDirSync(whole)].filter(({ isDirectory }) => isDirectory).map(({ name }) => name), [
      "vae",
    ]);
    device.destroy();
  }));
