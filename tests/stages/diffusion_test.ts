import assert from "node:assert/strict";
import { openDataset } from "../../faces/data/dataset.ts";
import { readImage } from "../../faces/data/image_file.ts";
import { openModel } from "../../models/io/pipeline_folder.ts";
import { openDevice } from "../../engine/device.ts";
import { readPipeline } from "../../runtime/pipeline/file.ts";
import { runPipeline } from "../../runtime/run/run.ts";
import type { Reporter } from "../../runtime/run/progress.ts";
import { readSafetensors } from "../../formats/safetensors.ts";
import { stages } from "../../stages/mod.ts";
import { inFolder } from "./run_stages.ts";
import { slowTest } from "../slow.ts";

const WEIGHTS = "diffusion_pytorch_model.safetensors";

const text = `stages:
  faces: { uses: faces/render, with: { styles: [photo, ink], count: 6, size_px: 16 } }
  autoencoder:
    uses: autoencoder/train
    in: { data: faces }
    with: { steps: 3, batch_size: 2, lr: 1e-3, warmup_steps: 1, channels: [8, 8], groups: 2 }
  base:
    uses: diffusion/pretrain
    in: { model: autoencoder, data: faces, val: faces }
    with: { val_every: 2, steps: 3, batch_size: 2, lr: 1e-3, warmup_steps: 1, channels: [8, 16], groups: 2, heads: 2, text_width: 16, text_layers: 1 }
  star: { uses: detector/load, with: { path: models/tiny/detector } }
  stage1:
    uses: diffusion/train
    in: { model: base, data: faces, detector: star, val: faces }
    with: { prompt: "", preview_every: 2, previews: 3, val_every: 1, steps: 3, batch_size: 2, lr: 1e-2, warmup_steps: 1, hint_channels: [8, 8], gradient_accumulation_steps: 2, min_snr: 5, sd_locked: false, frozen_dtype: f16 }
  # Goes on from that ControlNet beside the first UNet, with steps of no length.
  again:
    uses: diffusion/train
    in: { model: base, init: stage1, data: faces }
    with: { steps: 1, batch_size: 2, lr: 0 }
  kept: { uses: model/export, in: { model: stage1 } }
  synth:
    uses: dataset/generate
    in: { model: kept, landmarks: faces }
    with: { styles: [ink, anime], per_style: 2, steps: 2, batch_size: 3, dtype: f16 }
`;

const equal = (a: { data: Float32Array }, b: { data: Float32Array }) => a.data.every((v, k) => v === b.data[k]);

slowTest("a model is trained, exported and paints pairs; neither a stop nor a look changes a byte", async () => {
  await inFolder(async (dir) => {
    await Deno.writeTextFile(`${dir}/test.yaml`, text);
    const run = async (signal: AbortSignal, event: Reporter["event"]) => {
      const pipeline = await readPipeline(`${dir}/test.yaml`, stages);
      await runPipeline(pipeline, { root: `${dir}/runs`, reporter: { event }, openDevice, signal });
    };
    const at = (stage: string) => `${dir}/runs/test/${stage}`;
    const pictures = () =>
      Promise.all([0, 1, 2, 3].map((k) => Deno.readFile(`${at("synth")}/images/${String(k).padStart(6, "0")}.png`)));

    // The first run is stopped in the middle of stage 1 and, gone on with, after the first batch of pairs.
    for (const stop of ["stage1", "synth"]) {
      const controller = new AbortController();
      const until: Reporter["event"] = (event) => {
        if (event.event === "progress" && event.stage === stop && event.done >= 2 && event.done < 4) {
          controller.abort();
        }
      };
      await assert.rejects(() => run(controller.signal, until));
    }
    const go = () => run(new AbortController().signal, () => {});
    await go();
    const resumed = {
      weights: await Deno.readFile(`${at("stage1")}/controlnet/${WEIGHTS}`),
      unet: await Deno.readFile(`${at("stage1")}/unet/${WEIGHTS}`),
      pictures: await pictures(),
    };
    const metrics = (await Deno.readTextFile(`${at("stage1")}/metrics.jsonl`)).trim().split("\n").map((line) =>
      JSON.parse(line)
    );
    const measured = (record: Record<string, number>) =>
      ["loss", "loss_val", "alignment_nme"].find((name) => record[name]! > 0);
    assert.deepEqual(metrics.map((record) => [record.step, measured(record)]), [
      [1, "loss"],
      [1, "loss_val"],
      [2, "loss"],
      [2, "loss_val"],
      [2, "alignment_nme"],
      [3, "loss"],
      [3, "loss_val"],
      [3, "alignment_nme"],
    ]);
    const preview = await readImage(`${at("stage1")}/preview.png`);
    assert.equal(preview.width, 6 * (16 + 2) + 2);

    // All in one, and nobody looks at it.
    await Deno.writeTextFile(
      `${dir}/test.yaml`,
      text.replace(", detector: star, val: faces", "").replace("preview_every: 2, previews: 3, val_every: 1, ", ""),
    );
    for (const stage of ["stage1", "synth"]) await Deno.remove(at(stage), { recursive: true });
    await go();
    assert.deepEqual(await Deno.readFile(`${at("stage1")}/controlnet/${WEIGHTS}`), resumed.weights);
    assert.deepEqual(await Deno.readFile(`${at("stage1")}/unet/${WEIGHTS}`), resumed.unet);
    assert.deepEqual(await pictures(), resumed.pictures);

    // Not locked, the decoder of the base model learns too, and nothing else of it.
    using before = await readSafetensors(`${at("base")}/unet/${WEIGHTS}`);
    using after = await readSafetensors(`${at("stage1")}/unet/${WEIGHTS}`);
    for (const name of before.names) {
      const same = equal(await before.read(name), await after.read(name));
      assert.equal(same, !/^(up_blocks|conv_norm_out|conv_out)\./.test(name), name);
    }

    // A ControlNet is taken over whole, and only from a model that has one.
    const taken = await Deno.readFile(`${at("again")}/controlnet/${WEIGHTS}`);
    assert.deepEqual(taken, await Deno.readFile(`${at("stage1")}/controlnet/${WEIGHTS}`));
    await Deno.writeTextFile(`${dir}/test.yaml`, text.replace("init: stage1", "init: base"));
    await assert.rejects(
      go,
      /Cannot use input "init" in stage "again" as "base" has no ControlNet[^]*hint: leave init out/,
    );
    const other = "  tiny: { uses: model/load, with: { path: models/tiny } }\n";
    await Deno.writeTextFile(`${dir}/test.yaml`, text.replace("init: stage1", "init: tiny") + other);
    await assert.rejects(
      go,
      /Cannot use input "init" in stage "again" as in_channels of its ControlNet is 8 and of the UNet 4/,
    );
    await Deno.writeTextFile(`${dir}/test.yaml`, text);

    const model = await openModel(at("kept"));
    assert.deepEqual(model.unet.block_out_channels, [8, 16]);
    assert.ok(model.controlnet);
    using unet = await readSafetensors(`${at("kept")}/unet/${WEIGHTS}`);
    assert.equal(unet.info("conv_in.weight").dtype, "F16");
    assert.deepEqual(unet.info("conv_in.weight").shape, [8, 4, 3, 3]);

    const pairs = await openDataset(at("synth"));
    assert.deepEqual(pairs.records.map(({ style }) => style), ["ink", "anime", "ink", "anime"]);
    assert.ok(pairs.records.every(({ edits }) => edits && edits.length > 0));
    assert.equal(pairs.size_px, 16);
  });
});
