/**
 * Trains the text-to-image model that a ControlNet is added to later.
 *
 * @module
 */

import { z } from "zod";
import { latentChannels, latentSide } from "../../models/diffusion/autoencoder.ts";
import {
  encodePrompt,
  loadModel,
  openModel,
  saveModelIndex,
  saveText,
  type TextConfig,
} from "../../models/io/pipeline_folder.ts";
import { saveConfig, saveNetwork } from "../../models/io/network_folder.ts";
import {
  countParameters,
  createParameters,
  initialise,
  type ParameterSpec,
  Scope,
  specsUnder,
} from "../../models/io/params.ts";
import { LATENT_SCHEDULE, makeSchedule, scheduleFormat } from "../../models/diffusion/schedule.ts";
import { trainTokenizer } from "../../models/diffusion/tokenizer.ts";
import { Trainer } from "../../models/trainer.ts";
import { unet, type UNetConfig, unetFormat } from "../../models/diffusion/unet.ts";
import { disposing } from "../../engine/tensor.ts";
import { Graph } from "../../engine/graph.ts";
import { type Artifact, stage } from "../../runtime/stage.ts";
import { NEW_NETWORKS, newNetworkOptions, newText, newUnet, TEXT_HEADS } from "./_new_networks.ts";
import { Batches } from "../lib/batches.ts";
import {
  datasetsConflicts,
  groupConflicts,
  ifKnown,
  ownConflicts,
  scheduleConflicts,
  sizeConflicts,
} from "../lib/checks.ts";
import { autoencoderOf, networksOf, sizeOf } from "../lib/artifacts.ts";
import { formatCount, trainingCosts, trainingSteps } from "../lib/estimates.ts";
import { copyParts, denoisingLoss, denoisingOptions, promptOf } from "../lib/diffusion.ts";
import { loadFaces } from "../lib/faces.ts";
import { latentBatches } from "../lib/latents.ts";
import { accumulation, batchCount, train, trainingOptions } from "../lib/training.ts";
import { validation, validationConflicts, validationOptions } from "../lib/validation.ts";

const options = z.object({
  ...trainingOptions,
  ...accumulation,
  prompt: z.string().nullable().default(null).describe(
    "Prompt template with {style}; null takes each image's own prompt",
  ),
  ...denoisingOptions,
  ...validationOptions,
  ...newNetworkOptions,
});

type Options = z.output<typeof options>;

/** Words that a new tokenizer is expected to know before there are prompts to learn them from: of a few dozen styles. */
const EXPECTED_WORDS = 128;

/** The networks as they will be, all but the words of a new text encoder. */
async function expectedParts(options: Options, model: Artifact, size_px: number, init: Artifact | undefined) {
  const vae = await autoencoderOf(model);
  if (init) return { ...await networksOf(init), vae };
  const unet = newUnet(options, latentSide(vae, size_px), latentChannels(vae));
  return { vae, unet, text: newText(options, EXPECTED_WORDS), tokens: options.text_length };
}

/**
 * The loss of a text encoder and a UNet.
 *
 * @param latents Side and channels.
 * @param tokens Of a prompt.
 */
function buildTraining(
  { batch_size, min_snr }: Options,
  text: TextConfig,
  config: UNetConfig,
  [side, channels]: readonly [number, number],
  tokens: number,
) {
  const graph = new Graph();
  const specs = new Map<string, ParameterSpec>();
  const context = encodePrompt(
    new Scope(graph, specs, "text_encoder/"),
    text,
    graph.input("ids", [batch_size, tokens]),
  );
  const loss = denoisingLoss(
    graph,
    [batch_size, side, side, channels],
    (sample, timesteps) => unet(new Scope(graph, specs, "unet/"), config, { sample, timesteps, context }),
    min_snr !== undefined,
  );
  return { loss, specs };
}

/** `diffusion/pretrain`: text encoder and UNet from scratch, on the latents of a model's autoencoder. */
export const pretrainDiffusion = stage({
  id: "diffusion/pretrain",
  doc: "Trains a text-conditioned latent diffusion model (text encoder and UNet), from scratch or from those of init.",
  version: 1,
  inputs: { model: "model", "data*": "dataset", "init?": "model", "val?": "dataset" },
  output: "model",
  options,
  async check(options, { model, data, init, val }, given) {
    const { channels, groups, heads, attention_levels, text_width } = options;
    const vae = await ifKnown(() => autoencoderOf(model));
    const own = init && await ifKnown(() => networksOf(init));
    const latents = vae && latentChannels(vae);
    return [
      ...scheduleConflicts(options),
      ...validationConflicts(val, options),
      ...ownConflicts(NEW_NETWORKS, given, init),
      own && latents !== undefined && own.unet.in_channels !== latents && {
        input: "init",
        reason: `its UNet takes ${own.unet.in_channels} channels and latents of "${model.stage}" have ${latents}`,
      },
      ...(init ? [] : groupConflicts(channels, groups)),
      !init && channels.some((count) => count % heads) && {
        option: "heads",
        reason: `${heads} does not divide all of channels [${channels.join(", ")}]`,
      },
      attention_levels && attention_levels.length !== channels.length && {
        option: "attention_levels",
        reason: `${channels.length} levels of channels take as many values: current value is [${
          attention_levels.join(", ")
        }]`,
        hint: "give one for each",
      },
      text_width % TEXT_HEADS !== 0 &&
      { option: "text_width", reason: `it is no multiple of ${TEXT_HEADS}, the heads` },
      ...await datasetsConflicts(val ? [...data, val] : data),
      ...(vae ? await sizeConflicts(data, vae, own?.unet ?? { block_out_channels: channels }) : []),
    ];
  },
  describeOutput: async (options, { model, data, init }) => ({
    networks: {
      ...await expectedParts(options, model, await sizeOf(data), init),
      controlnet: null,
      timesteps: LATENT_SCHEDULE.num_train_timesteps,
    },
  }),
  async cost(options, { model, data, init, val }, onPlan) {
    const size_px = await sizeOf(data);
    const { vae, text, unet, tokens } = await expectedParts(options, model, size_px, init);
    const { loss, specs } = buildTraining(options, text, unet, [latentSide(vae, size_px), latentChannels(vae)], tokens);
    return {
      ...trainingSteps(options, size_px),
      ...trainingCosts(
        { loss, trainable: specs.keys(), ...options },
        { beside: val ? [{ outputs: { loss } }] : [], onPlan },
      ),
      unet_parameters: formatCount(countParameters(specsUnder(specs, "unet/"))),
    };
  },
  async run(ctx, { model, data, init, val }, options) {
    const faces = await loadFaces(data);
    const start = init && await openModel(init.dir);
    const tokenizer = start?.tokenizer ?? trainTokenizer(
      faces.records.map((record) => promptOf(record, options.prompt)),
      options.text_length,
    );
    await copyParts(model.dir, ctx.dir);
    await tokenizer.save(`${ctx.dir}/tokenizer`);
    await saveConfig(`${ctx.dir}/scheduler`, scheduleFormat, LATENT_SCHEDULE);
    const schedule = makeSchedule(LATENT_SCHEDULE);
    const source = { autoencoder: `${model.dir}/vae`, schedule, tokenizer, drawings: false };
    const given = { seed: ctx.seed, faces };
    const { latents, batches: spec } = await latentBatches(ctx, source, given, options, batchCount(options));
    const { side, channels: latent_channels } = latents;
    using batches = new Batches(spec);

    const text = start?.text ?? newText(options, tokenizer.size);
    const config = start?.unet ?? newUnet(options, side, latent_channels);
    const { loss, specs } = buildTraining(options, text, config, [side, latent_channels], tokenizer.length);

    const device = await ctx.device();
    const parameters = createParameters(
      device,
      specs,
      start ? await loadModel(start, specs) : initialise(specs, ctx.seed),
    );
    using _parameters = disposing(parameters.values());
    using trainer = new Trainer(device, { loss, trainable: specs.keys(), ...options }, parameters);
    const averaged = trainer.averaged();
    using validator = await validation(ctx, val, options, source, { loss, parameters: averaged });
    await train(ctx, trainer, options, batches, validator && [validator]);
    await validator?.evaluate(trainer.steps);
    await saveNetwork(`${ctx.dir}/unet`, unetFormat, config, specsUnder(specs, "unet/"), averaged);
    await saveText(ctx.dir, text, specsUnder(specs, "text_encoder/"), averaged);
    await saveModelIndex(ctx.dir);
  },
});
