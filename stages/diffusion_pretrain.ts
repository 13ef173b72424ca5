/**
 * Trains the text-to-image model that a ControlNet is added to later.
 *
 * @module
 */

import { z } from "zod";
import { encodePrompt, loadModel, openModel, saveModelIndex, saveText, type TextConfig } from "../models/checkpoint.ts";
import { saveConfig, saveNetwork } from "../models/network_folder.ts";
import { createParameters, initialise, type ParameterSpec, Scope, specsUnder } from "../models/params.ts";
import { LATENT_SCHEDULE, makeSchedule, scheduleFormat } from "../models/schedule.ts";
import { textEncoderFormat } from "../models/text_encoder.ts";
import { trainTokenizer } from "../models/tokenizer.ts";
import { Trainer } from "../models/trainer.ts";
import { unet, unetFormat } from "../models/unet.ts";
import { Graph } from "../runtime/graph.ts";
import { stage } from "../runtime/stage.ts";
import {
  batchesOf,
  copyParts,
  denoisingLoss,
  denoisingOptions,
  encodeLatents,
  promptOf,
  Prompts,
} from "./_diffusion.ts";
import { loadFaces } from "./_faces.ts";
import { accumulation, train, trainingOptions } from "./_training.ts";

/** `diffusion/pretrain`: text encoder and UNet from scratch, on the latents of a model's autoencoder. */
export const pretrainDiffusion = stage({
  id: "diffusion/pretrain",
  doc: "Trains a text-conditioned latent diffusion model (text encoder and UNet), from scratch or from those of init.",
  version: 1,
  inputs: { model: "model", "data*": "dataset", "init?": "model" },
  output: "model",
  options: z.object({
    ...trainingOptions,
    ...accumulation,
    prompt: z.string().nullable().default(null).describe(
      "Prompt template with {style}; null takes each image's own prompt",
    ),
    ...denoisingOptions,
    channels: z.array(z.int().min(4)).min(1).default([64, 128]).describe("Channels of each level of the UNet"),
    layers: z.int().min(1).default(1).describe("Residual blocks of a level"),
    attention_levels: z.array(z.boolean()).optional().describe(
      "Levels with attention; all but the first when not given",
    ),
    heads: z.int().min(1).default(4).describe("Attention heads"),
    groups: z.int().min(1).default(16).describe("Groups of the normalisations"),
    text_width: z.int().min(4).default(64).describe("Width of the text encoder"),
    text_layers: z.int().min(1).default(2).describe("Layers of the text encoder"),
    text_length: z.int().min(4).max(77).default(12).describe("Tokens of a prompt"),
  }),
  async run(ctx, { model, data, init }, options) {
    const faces = await loadFaces(data);
    const { channels, batch } = options;
    const attention = options.attention_levels ?? channels.map((_, level) => level > 0);
    const start = init && await openModel(init.dir);
    const tokenizer = start?.tokenizer ?? trainTokenizer(
      faces.records.map((record) => promptOf(record, options.prompt)),
      options.text_length,
    );
    await copyParts(model.dir, ctx.dir);
    await tokenizer.save(`${ctx.dir}/tokenizer`);
    await saveConfig(`${ctx.dir}/scheduler`, scheduleFormat, LATENT_SCHEDULE);
    const latents = await encodeLatents(ctx, `${model.dir}/vae`, faces);
    const { side, channels: latent_channels } = latents;

    const text: TextConfig = start?.text ?? {
      kind: "clip",
      config: textEncoderFormat.schema.parse({
        vocab_size: tokenizer.size,
        hidden_size: options.text_width,
        intermediate_size: 4 * options.text_width,
        num_hidden_layers: options.text_layers,
        num_attention_heads: 4,
        max_position_embeddings: options.text_length,
      }),
    };
    const config = start?.unet ?? unetFormat.schema.parse({
      sample_size: side,
      in_channels: latent_channels,
      out_channels: latent_channels,
      block_out_channels: channels,
      layers_per_block: options.layers,
      down_block_types: attention.map((yes) => yes ? "CrossAttnDownBlock2D" : "DownBlock2D"),
      up_block_types: attention.toReversed().map((yes) => yes ? "CrossAttnUpBlock2D" : "UpBlock2D"),
      cross_attention_dim: options.text_width,
      attention_head_dim: options.heads,
      norm_num_groups: options.groups,
    });
    const graph = new Graph();
    const specs = new Map<string, ParameterSpec>();
    const ids = graph.input("ids", [batch, tokenizer.length]);
    const context = encodePrompt(new Scope(graph, specs, "text_encoder/"), text, ids);
    const loss = denoisingLoss(
      graph,
      [batch, side, side, latent_channels],
      (sample, timesteps) => unet(new Scope(graph, specs, "unet/"), config, { sample, timesteps, context }),
      options.min_snr !== undefined,
    );

    const device = await ctx.device();
    const parameters = createParameters(
      device,
      specs,
      start ? await loadModel(start, specs) : initialise(specs, ctx.seed),
    );
    const trainer = new Trainer(device, { loss, trainable: specs.keys(), ...options }, parameters);
    const prompts = new Prompts(tokenizer);
    const batches = batchesOf({
      faces,
      latents,
      schedule: makeSchedule(LATENT_SCHEDULE),
      prompts,
      batch,
      prompt: options.prompt,
      prompt_dropout: options.prompt_dropout,
      min_snr: options.min_snr,
      drawings: false,
    }, ctx.seed);
    await train(ctx, trainer, options, batches);
    const averaged = trainer.averaged();
    await saveNetwork(`${ctx.dir}/unet`, unetFormat, config, specsUnder(specs, "unet/"), averaged);
    await saveText(ctx.dir, text, specsUnder(specs, "text_encoder/"), averaged);
    await saveModelIndex(ctx.dir);
    trainer.destroy();
    for (const tensor of parameters.values()) tensor.destroy();
  },
});
