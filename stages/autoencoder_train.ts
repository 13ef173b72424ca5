/**
 * Trains the autoencoder of a latent diffusion model.
 *
 * @module
 */

import { z } from "zod";
import { contactSheet } from "../faces/draw.ts";
import { type Image, writePng } from "../faces/image.ts";
import { autoencoderFormat, decodeLatent, divergence, encodeImage, sampleLatent } from "../models/autoencoder.ts";
import { loadNetwork, loadNetworkConfig, saveNetwork } from "../models/network_folder.ts";
import { createParameters, initialise, type ParameterSpec, Scope } from "../models/params.ts";
import { Trainer } from "../models/trainer.ts";
import { abs } from "../ops/abs.ts";
import { add } from "../ops/add.ts";
import { mse } from "../ops/mse.ts";
import { scale } from "../ops/scale.ts";
import { sub } from "../ops/sub.ts";
import { mean } from "../ops/sum.ts";
import { Graph } from "../runtime/graph.ts";
import { Random } from "../runtime/rng.ts";
import { Executable } from "../runtime/run.ts";
import { stage } from "../runtime/stage.ts";
import { imageOf, loadFaces, toImage, toNetwork } from "./_faces.ts";
import { train, trainingOptions } from "./_training.ts";

/** `autoencoder/train`: images to latents and back; the model folder has `vae/`. */
export const trainAutoencoder = stage({
  id: "autoencoder/train",
  doc: "Trains an autoencoder (KL), the latent space of a diffusion model, from scratch or from the one of init.",
  version: 1,
  inputs: { "data*": "dataset", "init?": "model" },
  output: "model",
  options: z.object({
    ...trainingOptions,
    channels: z.array(z.int().min(4)).min(1).default([16, 32, 64]).describe(
      "Channels of each level; every level after the first halves the side",
    ),
    latent_channels: z.int().min(1).max(64).default(4).describe("Without init: channels of the latents"),
    groups: z.int().min(1).default(8).describe("Without init: groups of the normalisations"),
    kl_weight: z.number().min(0).default(1e-6).describe("Weight of the Kullback-Leibler term"),
  }),
  async run(ctx, { data, init }, options) {
    const faces = await loadFaces(data);
    const { size_px, records } = faces;
    const { channels, groups, batch } = options;
    const config = init
      ? await loadNetworkConfig(`${init.dir}/vae`, autoencoderFormat)
      : autoencoderFormat.schema.parse({
        down_block_types: channels.map(() => "DownEncoderBlock2D"),
        up_block_types: channels.map(() => "UpDecoderBlock2D"),
        block_out_channels: channels,
        latent_channels: options.latent_channels,
        norm_num_groups: groups,
        sample_size: size_px,
      });
    const { latent_channels } = config;
    const bytes = size_px * size_px * 3;
    const side = size_px / 2 ** (config.block_out_channels.length - 1);

    const graph = new Graph();
    const specs = new Map<string, ParameterSpec>();
    const scope = new Scope(graph, specs, "vae/");
    const x = graph.input("x", [batch, size_px, size_px, 3]);
    const posterior = encodeImage(scope, config, x);
    const y = decodeLatent(scope, config, sampleLatent(posterior, graph.input("noise", posterior.mean.shape)));
    const kl = mean(divergence(posterior));
    const loss = add(add(mean(abs(sub(y, x))), mse(y, x)), scale(kl, options.kl_weight));

    const device = await ctx.device();
    const parameters = createParameters(
      device,
      specs,
      init ? await loadNetwork(`${init.dir}/vae`, specs) : initialise(specs, ctx.seed),
    );
    const trainer = new Trainer(device, { loss, trainable: specs.keys(), ...options }, parameters);
    const random = new Random(ctx.seed, "autoencoder/train");
    await train(ctx, trainer, options, (step) => {
      const draw = random.at(step);
      const pixels = new Float32Array(batch * bytes);
      for (let k = 0; k < batch; k++) {
        toNetwork(imageOf(faces, draw.int(records.length)).data, pixels, k * bytes);
      }
      return { x: pixels, noise: draw.fillNormal(new Float32Array(batch * side * side * latent_channels)) };
    });

    // The diffusion model works on latents of unit variance: their spread over the data sets the scaling factor.
    const averaged = trainer.averaged();
    const check = new Executable(device, { outputs: { mean: posterior.mean, y } }, averaged);
    const sheet: Image[] = [];
    let squares = 0, count = 0;
    const rounds = Math.min(8, Math.ceil(records.length / batch));
    for (let round = 0; round < rounds; round++) {
      const pixels = new Float32Array(batch * bytes);
      const picked = Array.from(
        { length: batch },
        (_, k) => Math.floor((round * batch + k) * records.length / (rounds * batch)),
      );
      picked.forEach((index, k) => toNetwork(imageOf(faces, index).data, pixels, k * bytes));
      check.run({ x: pixels });
      const [means, out] = await Promise.all([check.read("mean"), check.read("y")]);
      for (const v of means) [squares, count] = [squares + v * v, count + 1];
      picked.forEach((index, k) =>
        sheet.push(imageOf(faces, index), toImage(out.subarray(k * bytes, (k + 1) * bytes), size_px))
      );
    }
    await writePng(`${ctx.dir}/contact.png`, contactSheet(sheet.slice(0, 96), 12));
    const scaling_factor = 1 / Math.sqrt(squares / count);
    ctx.log(`latents of ${side} x ${side} x ${latent_channels}, scaling factor ${scaling_factor.toFixed(3)}`);
    await saveNetwork(`${ctx.dir}/vae`, autoencoderFormat, { ...config, scaling_factor }, specs, averaged);
    check.destroy();
    trainer.destroy();
    for (const tensor of parameters.values()) tensor.destroy();
  },
});
