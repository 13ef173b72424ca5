/**
 * The ControlNet of a training: its configuration with contradictions, and its loss.
 *
 * @module
 */
import { latentChannels } from "../../models/diffusion/autoencoder.ts";
import { controlnet, type ControlNetConfig, controlnetConfigFor } from "../../models/diffusion/controlnet.ts";
import { unet } from "../../models/diffusion/unet.ts";
import { type ParameterSpec, Scope, type Specs, specsUnder } from "../../models/io/params.ts";
import { encodePrompt, type Model } from "../../models/io/pipeline_folder.ts";
import { Graph } from "../../engine/graph.ts";
import type { Artifact, Conflicts } from "../../runtime/stage.ts";
import { type ArtifactRef, type Networks, networksOf } from "../lib/artifacts.ts";
import { ifKnown } from "../lib/checks.ts";
import { denoisingLoss } from "../lib/diffusion.ts";

/** Configuration of a model's ControlNet: its own, or that of the new one. */
export function controlConfigOf({ unet, controlnet }: Model, hint: number[]): ControlNetConfig {
  return controlnet ?? controlnetConfigFor(unet, { conditioning_embedding_out_channels: hint });
}

/** Networks of a model whose ControlNet is that of another one, if such is given. */
export async function plannedNetworks(model: ArtifactRef, init: ArtifactRef | undefined): Promise<Networks> {
  const networks = await networksOf(model);
  return init ? { ...networks, controlnet: (await networksOf(init)).controlnet } : networks;
}

/** Finds contradictions about the ControlNet that a model is to have. */
export async function controlConflicts(
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
export function controlLoss(
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
export function writtenOf(specs: Specs, own: Specs, trainable: Specs): Specs {
  return trainable === own ? own : new Map([...own, ...specsUnder(specs, "unet/")]);
}
