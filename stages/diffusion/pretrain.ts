/**
 * Trains the text-to-image model that a ControlNet is added to later.
 *
 * @module
 */

import { z } from "zod";
import { type AutoencoderConfig, latentChannels } from "../../models/diffusion/autoencoder.ts";
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
import { textEncoderFormat } from "../../models/diffusion/clip_text.ts";
import { trainTokenizer } from "../../models/diffusion/tokenizer.ts";
import { Trainer } from "../../models/trainer.ts";
import { unet, type UNetConfig, unetFormat } from "../../models/diffusion/unet.ts";
import { disposing } from "../../engine/tensor.ts";
import { Graph } from "../../engine/graph.ts";
import { type Artifact, stage } from "../../runtime/stage.ts";
import { Batches, drawnImages } from "../lib/batches.ts";
import {
  datasetsConflicts,
  groupConflicts,
  ifKnown,
  ownConflicts,
  scheduleConflicts,
  sizeConflicts,
} from "../lib/checks.ts";
import { autoencoderOf, networksOf, sizeOf } from "../lib/artifacts.ts";
import { formatCount, stepImages, trainingCosts } from "../lib/estimates.ts";
import {
  copyParts,
  denoisingLoss,
  denoisingOptions,
  diffusionBatches,
  encodeLatents,
  promptOf,
} from "../lib/diffusion.ts";
import { loadFaces } from "../lib/faces.ts";
import { accumulation, train, trainingOptions } from "../lib/training.ts";
import { validation, validationConflicts, validationOptions } from "../lib/validation.ts";

const options = z.object({
  ...trainingOptions,
  ...accumulation,
  prompt: z.string().nullable().default(null).describe(
    "Prompt template with {style}; null takes each image's own prompt",
  ),
  ...denoisingOptions,
  ...validationOptions,
  channels: z.array(z.int().min(4)).min(1).default([64, 128]).describe("Channels of each level of the UNet"),
  layers: z.int().min(1).default(1).describe("Residual blocks of a level"),
  attention_levels: z.array(z.boolean()).optional().describe(
    "Levels with attention; by default all but the first",
  ),
  heads: z.int().min(1).default(4).describe("Attention heads"),
  groups: z.int().min(1).default(16).describe("Groups of the normalisations"),
  text_width: z.int().min(4).default(64).describe("Width of the text encoder"),
  text_layers: z.int().min(1).default(2).describe("Layers of the text encoder"),
  text_length: z.int().min(4).max(77).default(12).describe("Tokens of a prompt"),
});

type Options = z.output<typeof options>;

/** Options of new networks. */
const NEW_NETWORKS = [
  "channels",
  "layers",
  "attention_levels",
  "heads",
  "groups",
  "text_width",
  "text_layers",
  "text_length",
] satisfies (keyof Options)[];

/** Attention heads of the text encoder. */
const TEXT_HEADS = 4;

/** Configuration of a new text encoder. */
function newText({ text_width, text_layers, text_length }: Options, vocab_size: number): TextConfig {
  const config = textEncoderFormat.schema.parse({
    vocab_size,
    hidden_size: text_width,
    intermediate_size: 4 * text_width,
    num_hidden_layers: text_layers,
    num_attention_heads: TEXT_HEADS,
    max_position_embeddings: text_length,
  });
  return { kind: "clip", config };
}

/** Configuration of a new UNet. */
function newUnet(options: Options, side: number, latent_channels: number): UNetConfig {
  const { channels, attention_levels = channels.map((_, level) => level > 0) } = options;
  return unetFormat.schema.parse({
    sample_size: side,
    in_channels: latent_channels,
    out_channels: latent_channels,
    block_out_channels: channels,
    layers_per_block: options.layers,
    down_block_types: attention_levels.map((yes) => yes ? "CrossAttnDownBlock2D" : "DownBlock2D"),
    up_block_types: attention_levels.toReversed().map((yes) => yes ? "CrossAttnUpBlock2D" : "UpBlock2D"),
    cross_attention_dim: options.text_width,
    attention_head_dim: options.heads,
    norm_num_groups: options.groups,
  });
}

const latentSide = (vae: AutoencoderConfig, size_px: number) => size_px / 2 ** (vae.block_out_channels.length - 1);

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
      step: `training, ${stepImages(options)} of ${size_px} px`,
      steps: options.steps,
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
    const autoencoder = `${model.dir}/vae`;
    const [{ seed }, schedule] = [ctx, makeSchedule(LATENT_SCHEDULE)];
    const drawn = drawnImages(
      { seed, schedule, batch_size: options.batch_size, count: faces.records.length },
      options.steps * (options.gradient_accumulation_steps ?? 1),
    );
    const latents = await encodeLatents(ctx, autoencoder, faces, drawn);
    const { side, channels: latent_channels } = latents;
    using batches = new Batches(diffusionBatches({ seed, faces, latents, schedule, tokenizer }, options, false));

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
    const source = { autoencoder, schedule, tokenizer, drawings: false, loss, parameters: averaged };
    using validator = await validation(ctx, val, options, source);
    await train(ctx, trainer, options, batches, validator && [validator]);
    await validator?.evaluate(trainer.steps);
    await saveNetwork(`${ctx.dir}/unet`, unetFormat, config, specsUnder(specs, "unet/"), averaged);
    await saveText(ctx.dir, text, specsUnder(specs, "text_encoder/"), averaged);
    await saveModelIndex(ctx.dir);
  },
});
