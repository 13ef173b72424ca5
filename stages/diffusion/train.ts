/**
 * Trains the landmark ControlNet: stage 1 with the empty prompt on many faces, stage 2 with prompts on a small set.
 *
 * @module
 */

import { z } from "zod";
import { latentSide } from "../../models/diffusion/autoencoder.ts";
import { loadModel, openModel, saveModelIndex } from "../../models/io/pipeline_folder.ts";
import { controlnetFormat, copyEncoder } from "../../models/diffusion/controlnet.ts";
import { loadNetwork, saveNetwork } from "../../models/io/network_folder.ts";
import { countParameters, createParameters, initialise, specsUnder } from "../../models/io/params.ts";
import { Trainer } from "../../models/trainer.ts";
import { unetFormat } from "../../models/diffusion/unet.ts";
import { disposing } from "../../engine/tensor.ts";
import { stage } from "../../runtime/stage.ts";
import { controlConfigOf, controlConflicts, controlLoss, plannedNetworks, writtenOf } from "./_control.ts";
import { Batches } from "../lib/batches.ts";
import {
  datasetsConflicts,
  ifKnown,
  measuringSchemaConflicts,
  scheduleConflicts,
  sizeConflicts,
} from "../lib/checks.ts";
import { expectedControlnet, networksOf, sizeOf } from "../lib/artifacts.ts";
import { formatCount, memoize, trainingCosts, trainingSteps } from "../lib/estimates.ts";
import { copyParts, denoisingOptions } from "../lib/diffusion.ts";
import { loadFaces } from "../lib/faces.ts";
import { latentBatches } from "../lib/latents.ts";
import { previews } from "../lib/previews.ts";
import { accumulation, batchCount, train, trainingOptions } from "../lib/training.ts";
import { validation, validationConflicts, validationOptions } from "../lib/validation.ts";

/** `diffusion/train`: the ControlNet learns to follow drawn landmarks; the base model is frozen by default (the paper, section 3.2). */
export const trainDiffusion = stage({
  id: "diffusion/train",
  doc:
    "Trains a landmark ControlNet on a frozen diffusion model, from a copy of its encoder, from the ControlNet it has or from that of init.",
  version: 1,
  inputs: { model: "model", "data*": "dataset", "init?": "model", "detector?": "detector", "val?": "dataset" },
  output: "model",
  options: z.object({
    ...trainingOptions,
    ...accumulation,
    prompt: z.string().nullable().default(null)
      .describe('Prompt template with {style}; "" for stage 1; null takes each image\'s own prompt'),
    ...denoisingOptions,
    ...validationOptions,
    hint_channels: z.array(z.int().min(4)).min(2).default([16, 32, 64])
      .describe("Channels of a new ControlNet's hint encoder; each after the first halves the side"),
    sd_locked: z.boolean().optional().describe(
      "true (the default) freezes the whole base model; false also trains the decoder of its UNet",
    ),
    frozen_dtype: z.enum(["f32", "f16"]).optional().describe(
      "Element type in memory of the networks that are not trained; f16 halves their memory; by default f32",
    ),
    preview_every: z.int().min(1).optional().describe(
      "Preview interval, in steps: images of the same faces from the same noise in preview.png and, with the input " +
        "detector, their alignment_nme; by default no previews",
    ),
    previews: z.int().min(1).max(64).optional().describe("Images in a preview; by default 8"),
  }),
  async check(options, { model, data, init, detector, val }) {
    const { preview_every, previews } = options;
    const networks = await ifKnown(() => networksOf(model));
    const unseen = `"preview_every" is missing`, hint = "it is the steps between previews, such as 250";
    return [
      ...scheduleConflicts(options),
      ...validationConflicts(val, options),
      detector && preview_every === undefined && { input: "detector", reason: unseen, hint },
      previews !== undefined && preview_every === undefined && { option: "previews", reason: unseen, hint },
      ...await controlConflicts(options, model, init),
      ...await datasetsConflicts(val ? [...data, val] : data),
      ...(networks ? await sizeConflicts(data, networks.vae, networks.unet) : []),
      ...await measuringSchemaConflicts(data, detector),
    ];
  },
  describeOutput: async (options, { model, init }) => {
    const networks = await plannedNetworks(model, init);
    return { networks: { ...networks, controlnet: expectedControlnet(networks, options.hint_channels) } };
  },
  async cost(options, { model, data, init, val }, onPlan) {
    const networks = await plannedNetworks(model, init);
    const size_px = await sizeOf(data);
    const side = latentSide(networks.vae, size_px);
    const config = expectedControlnet(networks, options.hint_channels);
    const costs = memoize(
      [{ ...networks, controlnet: config }, size_px, !!val],
      { ...options, hint_channels: undefined },
      (onPlan) => {
        const { loss, specs, own, trainable } = controlLoss(
          networks,
          config,
          [side, size_px],
          networks.tokens,
          options,
        );
        const written = writtenOf(specs, own, trainable);
        const isF16 = (name: string) => options.frozen_dtype === "f16" && specs.has(name) && !written.has(name);
        return {
          ...trainingCosts(
            { loss, trainable: trainable.keys(), ...options },
            { isF16, beside: val ? [{ outputs: { loss } }] : [], onPlan },
          ),
          controlnet_parameters: formatCount(countParameters(own)),
        };
      },
      onPlan,
    );
    return { ...trainingSteps(options, size_px), ...costs };
  },
  async run(ctx, { model, data, init, detector, val }, options) {
    const faces = await loadFaces(data);
    const opened = await openModel(model.dir);
    const donor = init ? await openModel(init.dir) : opened;
    const base = { ...opened, controlnet: donor.controlnet };
    const controlConfig = controlConfigOf(base, options.hint_channels);
    const { schedule, tokenizer } = base;
    const source = { autoencoder: `${base.dir}/${base.folders.vae}`, schedule, tokenizer, drawings: true };
    const given = { seed: ctx.seed, faces };
    const { latents, batches: spec } = await latentBatches(ctx, source, given, options, batchCount(options));
    using batches = new Batches(spec);
    const sides = [latents.side, faces.size_px] as const;
    const { loss, specs, own, trainable } = controlLoss(base, controlConfig, sides, tokenizer.length, options);

    const device = await ctx.device();
    const frozen = new Map([...specs].filter(([name]) => !own.has(name)));
    const first = donor.controlnet ? await loadModel(donor, own) : initialise(own, ctx.seed);
    if (!donor.controlnet) {
      copyEncoder(first, await loadNetwork(`${base.dir}/${base.folders.unet}`, specsUnder(specs, "unet/")), own);
    }
    const start = new Map([...await loadModel(base, frozen), ...first]);
    const written = writtenOf(specs, own, trainable);
    const fixed = new Map([...specs].filter(([name]) => !written.has(name)));
    const untrained = createParameters(device, fixed, start, options.frozen_dtype);
    using _untrained = disposing(untrained.values());
    const trained = createParameters(device, written, start);
    using _trained = disposing(trained.values());
    const parameters = new Map([...untrained, ...trained]);
    using trainer = new Trainer(device, { loss, trainable: trainable.keys(), ...options }, parameters);
    const averaged = trainer.averaged();
    using validator = await validation(ctx, val, options, source, { loss, parameters: averaged });
    using pictures = options.preview_every === undefined ? undefined : await previews(ctx, {
      every: options.preview_every,
      count: options.previews ?? 8,
      faces,
      prompt: options.prompt,
      model: { ...base, controlnet: controlConfig },
      parameters: averaged,
      detector,
    });
    const callbacks = [validator, pictures].filter((one) => one !== undefined);
    await train(ctx, trainer, options, batches, callbacks);
    for (const { evaluate } of callbacks) await evaluate(trainer.steps);
    if (pictures) await Deno.copyFile(`${ctx.work}/preview.png`, `${ctx.dir}/preview.png`);
    await copyParts(base.dir, ctx.dir, trainable === own ? ["controlnet"] : ["controlnet", "unet"]);
    await saveNetwork(`${ctx.dir}/controlnet`, controlnetFormat, controlConfig, own, averaged);
    if (trainable !== own) {
      await saveNetwork(`${ctx.dir}/unet`, unetFormat, base.unet, specsUnder(specs, "unet/"), averaged);
    }
    await saveModelIndex(ctx.dir);
  },
});
