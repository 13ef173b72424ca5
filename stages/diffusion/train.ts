/**
 * Trains the landmark ControlNet: stage 1 with the empty prompt on many faces, stage 2 with prompts on a small set.
 *
 * @module
 */

import { z } from "zod";
import { latentChannels } from "../../models/diffusion/autoencoder.ts";
import { encodePrompt, loadModel, type Model, openModel, saveModelIndex } from "../../models/io/pipeline_folder.ts";
import {
  controlnet,
  type ControlNetConfig,
  controlnetConfigFor,
  controlnetFormat,
  copyEncoder,
} from "../../models/diffusion/controlnet.ts";
import { loadNetwork, saveNetwork } from "../../models/io/network_folder.ts";
import {
  countParameters,
  createParameters,
  initialise,
  type ParameterSpec,
  Scope,
  type Specs,
  specsUnder,
} from "../../models/io/params.ts";
import { Trainer } from "../../models/trainer.ts";
import { unet, unetFormat } from "../../models/diffusion/unet.ts";
import { disposing } from "../../engine/tensor.ts";
import { Graph } from "../../engine/graph.ts";
import { type Artifact, type Conflicts, stage } from "../../runtime/stage.ts";
import { Batches, drawnImages } from "../lib/batches.ts";
import {
  datasetsConflicts,
  ifKnown,
  measuringSchemaConflicts,
  scheduleConflicts,
  sizeConflicts,
} from "../lib/checks.ts";
import { type ArtifactRef, expectedControlnet, type Networks, networksOf, sizeOf } from "../lib/artifacts.ts";
import { formatCount, memoize, stepImages, trainingCosts } from "../lib/estimates.ts";
import { copyParts, denoisingLoss, denoisingOptions, diffusionBatches, encodeLatents } from "../lib/diffusion.ts";
import { loadFaces } from "../lib/faces.ts";
import { previews } from "../lib/previews.ts";
import { accumulation, train, trainingOptions } from "../lib/training.ts";
import { validation, validationConflicts, validationOptions } from "../lib/validation.ts";

/** Configuration of a model's ControlNet: its own, or that of the new one. */
function controlConfigOf({ unet, controlnet }: Model, hint: number[]): ControlNetConfig {
  return controlnet ?? controlnetConfigFor(unet, { conditioning_embedding_out_channels: hint });
}

/** Networks of a model whose ControlNet is that of another one, if such is given. */
async function plannedNetworks(model: ArtifactRef, init: ArtifactRef | undefined): Promise<Networks> {
  const networks = await networksOf(model);
  return init ? { ...networks, controlnet: (await networksOf(init)).controlnet } : networks;
}

/** Finds contradictions about the ControlNet that a model is to have. */
async function controlConflicts(
  { hint_channels }: { hint_channels: readonly number[] },
  model: Artifact,
  init: Artifact | undefined,
): Promise<Conflicts> {
  const networks = await ifKnown(() => networksOf(model));
  const donor = init && await ifKnown(() => networksOf(init));
  if (!networks || (init && !donor)) return [];
  const levels = networks.vae.block_out_channels.length;
  const { controlnet } = donor ?? networks;
  if (!controlnet) {
    if (init) {
      const hint = "leave init out to copy the UNet's encoder";
      return [{ input: "init", reason: `"${init.stage}" has no ControlNet`, hint }];
    }
    return [
      hint_channels.length !== levels && {
        option: "hint_channels",
        reason:
          `${hint_channels.length} numbers halve the side ${hint_channels.length - 1} times and the autoencoder ` +
          `${levels - 1} times`,
        hint: `give ${levels} numbers`,
      },
    ];
  }
  const fitting = Object.entries(controlnetConfigFor(networks.unet, controlnet)) as [keyof ControlNetConfig, unknown][];
  const [name, value] = fitting.find(([name, value]) => !isEqual(controlnet[name], value)) ?? [];
  return [
    name !== undefined && {
      input: donor ? "init" : "model",
      reason: `${name} of its ControlNet is ${JSON.stringify(controlnet[name])} and of the UNet ${
        JSON.stringify(value)
      }`,
      hint: "take the model that this UNet was trained from",
    },
  ];
}

const isEqual = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);

/**
 * The loss of a ControlNet and its base model.
 *
 * @param sides Of latents and of images.
 * @param tokens Of a prompt.
 */
function lossOf(
  base: Pick<Model, "vae" | "text" | "unet">,
  controlConfig: ControlNetConfig,
  [side, size_px]: readonly [number, number],
  tokens: number,
  { batch_size, min_snr, sd_locked }: {
    batch_size: number;
    min_snr?: number | undefined;
    sd_locked?: boolean | undefined;
  },
) {
  const graph = new Graph();
  const specs = new Map<string, ParameterSpec>();
  const ids = graph.input("ids", [batch_size, tokens]);
  const context = encodePrompt(new Scope(graph, specs, "text_encoder/"), base.text, ids);
  const cond = graph.input("cond", [batch_size, size_px, size_px, 3]);
  const loss = denoisingLoss(graph, [batch_size, side, side, latentChannels(base.vae)], (sample, timesteps) => {
    const inputs = { sample, timesteps, context };
    const residuals = controlnet(new Scope(graph, specs, "controlnet/"), controlConfig, inputs, cond);
    return unet(new Scope(graph, specs, "unet/"), base.unet, inputs, residuals);
  }, min_snr !== undefined);
  const own = specsUnder(specs, "controlnet/");
  // ControlNet's choice: up blocks and the layers behind them.
  const decoder = new Map([...specs].filter(([name]) => /^unet\/(up_blocks|conv_norm_out|conv_out)\./.test(name)));
  return { loss, specs, own, trainable: sd_locked === false ? new Map([...own, ...decoder]) : own };
}

/** Networks that are written in the end, which keep their exact weights. */
function writtenOf(specs: Specs, own: Specs, trainable: Specs): Specs {
  return trainable === own ? own : new Map([...own, ...specsUnder(specs, "unet/")]);
}

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
    const side = size_px / 2 ** (networks.vae.block_out_channels.length - 1);
    const config = expectedControlnet(networks, options.hint_channels);
    const costs = memoize(
      [{ ...networks, controlnet: config }, size_px, !!val],
      { ...options, hint_channels: undefined },
      (onPlan) => {
        const { loss, specs, own, trainable } = lossOf(networks, config, [side, size_px], networks.tokens, options);
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
    return { step: `training, ${stepImages(options)} of ${size_px} px`, steps: options.steps, ...costs };
  },
  async run(ctx, { model, data, init, detector, val }, options) {
    const faces = await loadFaces(data);
    const opened = await openModel(model.dir);
    const donor = init ? await openModel(init.dir) : opened;
    const base = { ...opened, controlnet: donor.controlnet };
    const controlConfig = controlConfigOf(base, options.hint_channels);
    const autoencoder = `${base.dir}/${base.folders.vae}`;
    const { seed } = ctx;
    const { schedule, tokenizer } = base;
    const drawn = drawnImages(
      { seed, schedule, batch_size: options.batch_size, count: faces.records.length },
      options.steps * (options.gradient_accumulation_steps ?? 1),
    );
    const latents = await encodeLatents(ctx, autoencoder, faces, drawn);
    using batches = new Batches(diffusionBatches({ seed, faces, latents, schedule, tokenizer }, options, true));
    const sides = [latents.side, faces.size_px] as const;
    const { loss, specs, own, trainable } = lossOf(base, controlConfig, sides, tokenizer.length, options);

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
    const source = { autoencoder, schedule, tokenizer, drawings: true, loss, parameters: averaged };
    using validator = await validation(ctx, val, options, source);
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
