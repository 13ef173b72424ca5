/**
 * Trains the autoencoder of a latent diffusion model.
 *
 * @module
 */

import { z } from "zod";
import { contactSheet } from "../../faces/draw.ts";
import type { Image } from "../../faces/data/image.ts";
import { writePng } from "../../faces/data/image_file.ts";
import {
  type AutoencoderConfig,
  autoencoderFormat,
  codebookLoss,
  decodeLatent,
  divergence,
  encodeImage,
  encodeLatent,
  hasCodebook,
  latentChannels,
  quantise,
  sampleLatent,
} from "../../models/diffusion/autoencoder.ts";
import { loadNetwork, loadNetworkConfig, saveNetwork } from "../../models/io/network_folder.ts";
import { countParameters, createParameters, initialise, type ParameterSpec, Scope } from "../../models/io/params.ts";
import { Trainer } from "../../models/trainer.ts";
import { abs } from "../../ops/abs.ts";
import { add } from "../../ops/add.ts";
import { mse } from "../../ops/mse.ts";
import { affine } from "../../ops/affine.ts";
import { sub } from "../../ops/sub.ts";
import { mean } from "../../ops/sum.ts";
import { disposing } from "../../engine/tensor.ts";
import { Graph, type Value } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import { stage } from "../../runtime/stage.ts";
import { Batches, shared } from "../lib/batches.ts";
import {
  datasetsConflicts,
  groupConflicts,
  ifKnown,
  ownConflicts,
  scheduleConflicts,
  sizeConflicts,
} from "../lib/checks.ts";
import { autoencoderOf, formatCount, sizeOf, stepImages, trainingCosts } from "../lib/estimates.ts";
import { imageOf, loadFaces, toImage, toNetwork } from "../lib/faces.ts";
import { accumulation, train, trainingOptions } from "../lib/training.ts";

/** Weights and distance of an autoencoder's loss. */
interface LossOptions {
  readonly kl_weight: number;
  readonly codebook_weight?: number | undefined;
  readonly commitment_weight?: number | undefined;
  readonly reconstruction?: "l1" | "l2" | "l1+l2" | undefined;
}

/** Configuration of a new autoencoder. */
function newConfig(
  options: { channels: readonly number[]; latent_channels: number; groups: number; codebook?: number | undefined },
  size_px: number,
): AutoencoderConfig {
  const { channels, codebook } = options;
  const format = codebook === undefined ? autoencoderFormat : autoencoderFormat.other!.format;
  return format.schema.parse({
    down_block_types: channels.map(() => "DownEncoderBlock2D"),
    up_block_types: channels.map(() => "UpDecoderBlock2D"),
    block_out_channels: channels,
    latent_channels: options.latent_channels,
    norm_num_groups: options.groups,
    sample_size: size_px,
    ...(codebook === undefined ? {} : { num_vq_embeddings: codebook }),
  });
}

/** Latents, reconstruction and loss of images `x`; the codes' numbers where there is a codebook. Input `noise` is KL's. */
function buildTraining(
  config: AutoencoderConfig,
  options: LossOptions & { readonly batch_size: number },
  size_px: number,
) {
  const specs = new Map<string, ParameterSpec>();
  const scope = new Scope(new Graph(), specs, "vae/");
  const x = scope.graph.input("x", [options.batch_size, size_px, size_px, 3]);
  const distance = (y: Value) => {
    const { reconstruction = "l1+l2" } = options;
    if (reconstruction === "l2") return mse(y, x);
    const l1 = mean(abs(sub(y, x)));
    return reconstruction === "l1" ? l1 : add(l1, mse(y, x));
  };
  if (hasCodebook(config)) {
    const latent = encodeLatent(scope, config, x);
    const { code, latent: quantised, ids } = quantise(scope, config, latent);
    const y = decodeLatent(scope, config, quantised, { quantised: true });
    const { codebook_weight: codebook = 0.25, commitment_weight: commitment = 1 } = options;
    return { latent, y, loss: add(distance(y), codebookLoss(latent, code, { codebook, commitment })), ids, specs };
  }
  const posterior = encodeImage(scope, config, x);
  const y = decodeLatent(scope, config, sampleLatent(posterior, x.graph.input("noise", posterior.mean.shape)));
  const kl = mean(divergence(posterior));
  return { latent: posterior.mean, y, loss: add(distance(y), affine(kl, options.kl_weight)), specs };
}

/** `autoencoder/train`: images to latents and back; the model folder has `vae/`. */
export const trainAutoencoder = stage({
  id: "autoencoder/train",
  doc: "Trains an autoencoder (KL or VQ), the latent space of a diffusion model, from scratch or from the one of init.",
  version: 1,
  inputs: { "data*": "dataset", "init?": "model" },
  output: "model",
  options: z.object({
    ...trainingOptions,
    ...accumulation,
    channels: z.array(z.int().min(4)).min(1).default([16, 32, 64]).describe(
      "Channels of each level; every level after the first halves the side",
    ),
    latent_channels: z.int().min(1).max(64).default(4).describe("Without init: channels of the latents"),
    groups: z.int().min(1).default(8).describe("Without init: groups of the normalisations"),
    kl_weight: z.number().min(0).default(1e-6).describe("KL: weight of the Kullback-Leibler term"),
    codebook: z.int().min(2).max(1 << 20).optional().describe(
      "Without init: codes of a VQ autoencoder, such as 1024; by default KL",
    ),
    codebook_weight: z.number().min(0).optional().describe(
      "VQ: weight of the term that moves codes to latents; by default 0.25, as in LDM",
    ),
    commitment_weight: z.number().min(0).optional().describe(
      "VQ: weight of the term that moves latents to codes; by default 1, as in LDM",
    ),
    reconstruction: z.enum(["l1", "l2", "l1+l2"]).optional().describe(
      "Distance of an image and its reconstruction: mean absolute, mean squared, or by default their sum",
    ),
  }),
  async check(options, { data, init }, given) {
    const config = init ? await ifKnown(() => autoencoderOf(init)) : { block_out_channels: options.channels };
    const quantised = init ? config && hasCodebook(config as AutoencoderConfig) : options.codebook !== undefined;
    const vq = (["codebook_weight", "commitment_weight"] as const).filter((option) => given.has(option));
    return [
      ...scheduleConflicts(options),
      ...ownConflicts(["channels", "latent_channels", "groups", "codebook"], given, init),
      ...(init ? [] : groupConflicts(options.channels, options.groups)),
      ...(quantised === false ? vq : []).map((option) => ({
        option,
        reason: "the autoencoder has no codebook",
        ...(!init && { hint: "set codebook to the number of codes" }),
      })),
      quantised && given.has("kl_weight") &&
      { option: "kl_weight", reason: "the autoencoder has a codebook and no KL term" },
      ...await datasetsConflicts(data),
      ...(config ? await sizeConflicts(data, config) : []),
    ];
  },
  describeOutput: async (options, { data, init }) => ({
    networks: { vae: init ? await autoencoderOf(init) : newConfig(options, await sizeOf(data)) },
  }),
  async cost(options, { data, init }, onPlan) {
    const size_px = await sizeOf(data);
    const config = init ? await autoencoderOf(init) : newConfig(options, size_px);
    const { loss, specs } = buildTraining(config, options, size_px);
    return {
      step: `training, ${stepImages(options)} of ${size_px} px`,
      steps: options.steps,
      ...trainingCosts({ loss, trainable: specs.keys(), ...options }, { onPlan }),
      autoencoder_parameters: formatCount(countParameters(specs)),
    };
  },
  async run(ctx, { data, init }, options) {
    const faces = await loadFaces(data);
    const { size_px, records } = faces;
    const { batch_size } = options;
    const config = init ? await loadNetworkConfig(`${init.dir}/vae`, autoencoderFormat) : newConfig(options, size_px);
    const latent_channels = latentChannels(config);
    const bytes = size_px * size_px * 3;
    const side = size_px / 2 ** (config.block_out_channels.length - 1);
    const { seed } = ctx;
    const pictures = shared(faces);
    const noise = side * side * latent_channels;
    using batches = new Batches({ kind: "autoencoder", seed, batch_size, pictures, noise });
    const { latent, y, loss, ids, specs } = buildTraining(config, options, size_px);

    const device = await ctx.device();
    const parameters = createParameters(
      device,
      specs,
      init ? await loadNetwork(`${init.dir}/vae`, specs) : initialise(specs, ctx.seed),
    );
    using _parameters = disposing(parameters.values());
    using trainer = new Trainer(device, { loss, trainable: specs.keys(), ...options }, parameters);
    await train(ctx, trainer, options, batches);

    // The diffusion model works on latents of unit variance: their spread over the data sets the scaling factor.
    const averaged = trainer.averaged();
    using check = new Executable(device, { outputs: { latent, y, ...(ids ? { ids } : {}) } }, averaged);
    const sheet: Image[] = [];
    const used = new Set<number>();
    let squares = 0, count = 0;
    const rounds = Math.min(8, Math.ceil(records.length / batch_size));
    for (let round = 0; round < rounds; round++) {
      const pixels = new Float32Array(batch_size * bytes);
      const picked = Array.from(
        { length: batch_size },
        (_, k) => Math.floor((round * batch_size + k) * records.length / (rounds * batch_size)),
      );
      picked.forEach((index, k) => toNetwork(imageOf(faces, index).data, pixels, k * bytes));
      check.run({ x: pixels });
      const [latents, out] = await Promise.all([check.read("latent"), check.read("y")]);
      if (ids) { for (const id of await check.read("ids")) used.add(id); }
      for (const v of latents) [squares, count] = [squares + v * v, count + 1];
      picked.forEach((index, k) =>
        sheet.push(imageOf(faces, index), toImage(out.subarray(k * bytes, (k + 1) * bytes), size_px))
      );
    }
    await writePng(`${ctx.dir}/contact.png`, contactSheet(sheet.slice(0, 96), 12));
    const scaling_factor = 1 / Math.sqrt(squares / count);
    ctx.log(`latents of ${side} x ${side} x ${latent_channels}, scaling factor ${scaling_factor.toFixed(3)}`);
    if (ids) ctx.log(`${used.size} of ${config.num_vq_embeddings} codes occur in ${rounds * batch_size} images`);
    await saveNetwork(`${ctx.dir}/vae`, autoencoderFormat, { ...config, scaling_factor }, specs, averaged);
  },
});
