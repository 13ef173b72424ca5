/**
 * Trains the landmark ControlNet: stage 1 with the empty prompt on many faces, stage 2 with prompts on a small set.
 *
 * @module
 */

import { z } from "zod";
import { controlnet, controlnetConfigFor, controlnetFormat, copyEncoder } from "../models/controlnet.ts";
import { loadNetwork, loadNetworkConfig, saveNetwork } from "../models/network_folder.ts";
import { type HostTensors, initialise, type ParameterSpec, Scope, specsUnder } from "../models/params.ts";
import { encodeText, textEncoderFormat } from "../models/text_encoder.ts";
import { Trainer } from "../models/trainer.ts";
import { unet, unetFormat } from "../models/unet.ts";
import { Graph } from "../runtime/graph.ts";
import { stage } from "../runtime/stage.ts";
import {
  batchesOf,
  copyParts,
  denoisingLoss,
  encodeLatents,
  hasPart,
  loadParts,
  loadSchedule,
  Prompts,
} from "./_diffusion.ts";
import { loadFaces } from "./_faces.ts";
import { train, trainingOptions } from "./_training.ts";

/** `diffusion/train`: the ControlNet learns to follow drawn landmarks; the base model is frozen (the paper, section 3.2). */
export const trainDiffusion = stage({
  id: "diffusion/train",
  doc:
    "Trains a landmark ControlNet on a frozen diffusion model, from a copy of its encoder or from the ControlNet it has.",
  version: 1,
  inputs: { model: "model", "data*": "dataset" },
  output: "model",
  options: z.object({
    ...trainingOptions,
    prompt: z.string().nullable().default(null)
      .describe('Prompt template with {style}; "" for stage 1; null takes each image\'s own prompt'),
    prompt_dropout: z.number().min(0).max(1).default(0.1).describe(
      "Share of the images with the empty prompt, for guidance",
    ),
    hint_channels: z.array(z.int().min(4)).min(2).default([16, 32, 64])
      .describe("Channels of a new ControlNet's hint encoder; each after the first halves the side"),
  }),
  async run(ctx, { model, data }, options) {
    const faces = await loadFaces(data);
    const { batch } = options;
    const { dir } = model;
    const goesOn = await hasPart(dir, "controlnet");
    const config = await loadNetworkConfig(`${dir}/unet`, unetFormat);
    const textConfig = await loadNetworkConfig(`${dir}/text_encoder`, textEncoderFormat);
    const controlConfig = goesOn
      ? await loadNetworkConfig(`${dir}/controlnet`, controlnetFormat)
      : controlnetConfigFor(config, { conditioning_embedding_out_channels: options.hint_channels });
    const latents = await encodeLatents(ctx, dir, faces);
    const { side, channels } = latents;
    const prompts = await Prompts.open(dir);

    const graph = new Graph();
    const specs = new Map<string, ParameterSpec>();
    const ids = graph.input("ids", [batch, prompts.length]);
    const { context } = encodeText(new Scope(graph, specs, "text_encoder/"), textConfig, ids);
    const cond = graph.input("cond", [batch, faces.size_px, faces.size_px, 3]);
    const loss = denoisingLoss(graph, [batch, side, side, channels], (sample, timesteps) => {
      const inputs = { sample, timesteps, context };
      const residuals = controlnet(new Scope(graph, specs, "controlnet/"), controlConfig, inputs, cond);
      return unet(new Scope(graph, specs, "unet/"), config, inputs, residuals);
    });

    const device = await ctx.device();
    const own = specsUnder(specs, "controlnet/");
    const fresh: HostTensors = goesOn ? new Map() : initialise(own, ctx.seed);
    if (!goesOn) copyEncoder(fresh, await loadNetwork(`${dir}/unet`, specsUnder(specs, "unet/")), own);
    const parameters = await loadParts(device, dir, specs, fresh);
    const trainable = new Map([...own.keys()].map((name) => [name, graph.parameters.get(name)!]));
    const trainer = new Trainer(device, { loss, trainable, ...options }, parameters);
    const batches = batchesOf({
      faces,
      latents,
      schedule: await loadSchedule(dir),
      prompts,
      batch,
      prompt: options.prompt,
      prompt_dropout: options.prompt_dropout,
      drawings: true,
    }, ctx.seed);
    await train(ctx, trainer, options, batches);
    await copyParts(dir, ctx.dir, ["vae", "unet", "text_encoder", "tokenizer", "scheduler"]);
    await saveNetwork(`${ctx.dir}/controlnet`, controlnetFormat, controlConfig, own, trainer.averaged());
    trainer.destroy();
    for (const tensor of parameters.values()) tensor.destroy();
  },
});
