/**
 * Trains the autoencoder of a latent diffusion model.
 *
 * @module
 */

import { z } from "zod";
import { counted } from "../../formats/numbers.ts";
import { contactSheet } from "../../faces/draw.ts";
import { writePng } from "../../faces/data/image_file.ts";
import {
  type AutoencoderConfig,
  autoencoderFormat,
  hasCodebook,
  latentChannels,
  latentSide,
} from "../../models/diffusion/autoencoder.ts";
import { leastSide } from "../../models/diffusion/discriminator.ts";
import { readDetector } from "../../models/detectors/detector.ts";
import { takesSide } from "../../models/detectors/features.ts";
import { loadNetwork, loadNetworkConfig, saveNetwork } from "../../models/io/network_folder.ts";
import { countParameters, createParameters, initialise } from "../../models/io/params.ts";
import { Trainer } from "../../models/trainer.ts";
import { disposing } from "../../engine/tensor.ts";
import { Executable } from "../../engine/executable.ts";
import { stage } from "../../runtime/stage.ts";
import { adversarialOption, recordOf, withStart } from "./_adversarial.ts";
import { buildTraining, PERCEPTUAL_WEIGHT } from "./_loss.ts";
import { measure } from "./_measure.ts";
import { Batches, shared } from "../lib/batches.ts";
import {
  datasetsConflicts,
  groupConflicts,
  ifKnown,
  ownConflicts,
  scheduleConflicts,
  sizeConflicts,
} from "../lib/checks.ts";
import { autoencoderOf, detectorOf, sizeOf } from "../lib/artifacts.ts";
import { formatCount, trainingCosts, trainingSteps } from "../lib/estimates.ts";
import { loadFaces } from "../lib/faces.ts";
import { accumulation, train, trainingOptions } from "../lib/training.ts";

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

/** `autoencoder/train`: images to latents and back; the model folder has `vae/`. */
export const trainAutoencoder = stage({
  id: "autoencoder/train",
  doc:
    "Trains an autoencoder (KL or VQ), the latent space of a diffusion model, from scratch or from the one of init; on pixels, and if wanted in features of a detector and against a discriminator.",
  version: 1,
  inputs: { "data*": "dataset", "init?": "model", "features?": "detector" },
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
    perceptual_weight: z.number().positive().optional().describe(
      `Weight of the distance in features of the input features (Zhang et al. 2018, arXiv 1801.03924); by default ${PERCEPTUAL_WEIGHT}`,
    ),
    adversarial: adversarialOption,
  }),
  async check(options, { data, init, features }, given) {
    const config = init ? await ifKnown(() => autoencoderOf(init)) : { block_out_channels: options.channels };
    const quantised = init ? config && hasCodebook(config as AutoencoderConfig) : options.codebook !== undefined;
    const { adversarial, perceptual_weight, steps } = options;
    const side = await ifKnown(() => sizeOf(data));
    const detector = features && await ifKnown(() => detectorOf(features));
    const least = adversarial && leastSide(adversarial);
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
      perceptual_weight !== undefined && !features && {
        option: "perceptual_weight",
        reason: `the input "features" is missing`,
        hint: "in: { features: detector }",
      },
      detector && side !== undefined && !takesSide(detector, side) && {
        input: "features",
        reason:
          `it takes images of ${detector.size_px} pixels: those of "data" are ${side} wide, and neither less nor a ` +
          "multiple",
      },
      adversarial && adversarial.start >= steps && {
        option: ["adversarial", "start"],
        reason: `this step is never reached: steps is ${steps}`,
      },
      least !== undefined && side !== undefined && side < least && {
        option: ["adversarial", "layers"],
        reason: `its images must be at least ${least} pixels wide: those of "data" are ${side}`,
      },
      ...await datasetsConflicts(data),
      ...(config ? await sizeConflicts(data, config) : []),
    ];
  },
  describeOutput: async (options, { data, init }) => ({
    networks: { vae: init ? await autoencoderOf(init) : newConfig(options, await sizeOf(data)) },
  }),
  async cost(options, { data, init, features }, onPlan) {
    const size_px = await sizeOf(data);
    const config = init ? await autoencoderOf(init) : newConfig(options, size_px);
    const detector = features && await detectorOf(features);
    const { loss, specs, others, outputs } = buildTraining(config, options, size_px, detector);
    const trainable = [...specs.keys(), ...others.keys()];
    return {
      ...trainingSteps(options, size_px),
      ...trainingCosts({ loss, trainable, outputs, ...options }, { onPlan }),
      autoencoder_parameters: formatCount(countParameters(specs)),
    };
  },
  async run(ctx, { data, init, features }, options) {
    const faces = await loadFaces(data);
    const { size_px } = faces;
    const { batch_size } = options;
    const config = init ? await loadNetworkConfig(`${init.dir}/vae`, autoencoderFormat) : newConfig(options, size_px);
    const latent_channels = latentChannels(config);
    const side = latentSide(config, size_px);
    const { seed } = ctx;
    const pictures = shared(faces);
    const noise = side * side * latent_channels;
    using batches = new Batches({ kind: "autoencoder", seed, batch_size, pictures, noise });
    const detector = features && await readDetector(features.dir);
    const built = buildTraining(config, options, size_px, detector?.config);
    const { latent, y, loss, ids, specs, others, frozen, outputs } = built;

    const device = await ctx.device();
    const parameters = createParameters(
      device,
      new Map([...specs, ...others, ...frozen]),
      new Map([
        ...init ? await loadNetwork(`${init.dir}/vae`, specs) : initialise(specs, ctx.seed),
        ...initialise(others, ctx.seed),
        ...detector?.tensors ?? [],
      ]),
    );
    using _parameters = disposing(parameters.values());
    const trainable = [...specs.keys(), ...others.keys()];
    using trainer = new Trainer(device, { loss, trainable, outputs, ...options }, parameters);
    if (options.adversarial) {
      const first = options.adversarial.start * (options.gradient_accumulation_steps ?? 1);
      await train(ctx, trainer, options, withStart(batches, first), [recordOf(ctx, trainer)]);
    } else await train(ctx, trainer, options, batches);

    const averaged = trainer.averaged();
    using network = new Executable(device, { outputs: { latent, y, ...(ids ? { ids } : {}) } }, averaged);
    const { variance, codes, images, sheet } = await measure(network, faces, batch_size, ids !== undefined);
    await writePng(`${ctx.dir}/contact.png`, contactSheet(sheet, 12));
    // The diffusion model works on latents of unit variance.
    const scaling_factor = 1 / Math.sqrt(variance);
    ctx.log(`latents of ${side} x ${side} x ${latent_channels}, scaling factor ${scaling_factor.toFixed(3)}`);
    if (ids) ctx.log(`${codes} of ${config.num_vq_embeddings} codes occur in ${counted(images, "image")}`);
    await saveNetwork(`${ctx.dir}/vae`, autoencoderFormat, { ...config, scaling_factor }, specs, averaged);
  },
});
