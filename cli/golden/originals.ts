/**
 * Golden checks of checkpoints under their original names, of LDM's text encoder, and of lists of names.
 *
 * @module
 */

import {
  type AutoencoderConfig,
  autoencoderFormat,
  decodeLatent,
  encodeImage,
  encodeLatent,
} from "../../models/diffusion/autoencoder.ts";
import { BERT_UNUSED, type BertConfig, bertFormat, encodeBert } from "../../models/diffusion/bert_text.ts";
import { readConfig } from "../../models/io/config.ts";
import { controlnet, controlnetFormat } from "../../models/diffusion/controlnet.ts";
import {
  autoencoderNames,
  bertNames,
  controlnetNames,
  loadUnder,
  oldAutoencoderNames,
  ORIGINAL_PREFIX,
  type Renaming,
  unetNames,
} from "../../models/io/original_names.ts";
import {
  createParameters,
  fileShape,
  type HostTensors,
  type LoadOptions,
  type ParameterSpec,
  Scope,
  type Specs,
  specsUnder,
} from "../../models/io/params.ts";
import { star, STAR_DERIVED, starConfig } from "../../models/detectors/star.ts";
import { encodeText, textEncoderFormat } from "../../models/diffusion/clip_text.ts";
import { unet, unetFormat } from "../../models/diffusion/unet.ts";
import { affine } from "../../ops/affine.ts";
import type { Device } from "../../engine/device.ts";
import { Graph, type Value } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import type { TensorData } from "../../formats/safetensors.ts";
import {
  allTensors,
  compareGroups,
  exact,
  type GoldenCase,
  type GoldenCheck,
  hostParametersOf,
  inputsOf,
  readOutputs,
} from "./case.ts";

/** Runs a graph and compares its outputs. */
async function runAndCompare(
  c: GoldenCase,
  device: Device,
  want: ReadonlyMap<string, TensorData>,
  specs: Specs,
  host: HostTensors,
  outputs: Record<string, Value>,
) {
  const parameters = createParameters(device, specs, host);
  const exe = new Executable(device, { outputs }, parameters);
  exe.run(inputsOf(new Graph(), want).data);
  const got = await readOutputs(exe, outputs);
  exe.destroy();
  for (const tensor of parameters.values()) tensor.destroy();
  return compareGroups(c, want, got);
}

const noNames = (name: string) => name;

/** A UNet of LDM. */
export const ldmUnetCheck: GoldenCheck = async (c, device) => {
  const want = await allTensors(c);
  const specs = new Map<string, ParameterSpec>();
  const graph = new Graph();
  const { x, timesteps, context } = inputsOf(graph, want).values;
  const config = readConfig(unetFormat, c.json.diffusers_config, c.name);
  const inputs = { sample: x!, timesteps: timesteps!, context: context! };
  const outputs = { "output/eps": unet(new Scope(graph, specs), config, inputs) };
  const host = await hostParametersOf(specs, want, loadUnder(unetNames(config), "param/"));
  return runAndCompare(c, device, want, specs, host, outputs);
};

/** The original ControlNet, whose UNet is that of another case. */
export const cldmCheck: GoldenCheck = async (c, device) => {
  const want = await allTensors(c);
  const base = await c.tensors("ldm-unet-a.safetensors");
  const specs = new Map<string, ParameterSpec>();
  const graph = new Graph();
  const { x, hint, timesteps, context } = inputsOf(graph, want).values;
  const unetConfig = readConfig(unetFormat, c.json.diffusers_config.unet, c.name);
  const config = readConfig(controlnetFormat, c.json.diffusers_config.controlnet, c.name);
  const inputs = { sample: x!, timesteps: timesteps!, context: context! };
  const residuals = controlnet(new Scope(graph, specs, "controlnet/"), config, inputs, hint!);
  const scope = new Scope(graph, specs, "unet/");
  const none = residuals.down.map((value) => affine(value, 0));
  const outputs: Record<string, Value> = {
    "output/eps": unet(scope, unetConfig, inputs, residuals),
    "output/eps_only_mid": unet(scope, unetConfig, inputs, { down: none, mid: residuals.mid }),
    "output/eps_no_control": unet(scope, unetConfig, inputs),
  };
  [...residuals.down, residuals.mid].forEach((value, k) => outputs[`output/control.${k}`] = value);
  const controlNames = loadUnder(controlnetNames(config), `param/${ORIGINAL_PREFIX.controlnet}`);
  const host = new Map([
    ...await hostParametersOf(specsUnder(specs, "controlnet/"), want, controlNames),
    ...await hostParametersOf(specsUnder(specs, "unet/"), base, loadUnder(unetNames(unetConfig), "param/")),
  ]);
  return runAndCompare(c, device, want, specs, host, outputs);
};

/** The autoencoder of LDM. */
export const ldmAutoencoderCheck: GoldenCheck = async (c, device) => {
  const want = await allTensors(c);
  const specs = new Map<string, ParameterSpec>();
  const graph = new Graph();
  const { image, z } = inputsOf(graph, want).values;
  const config = readConfig(autoencoderFormat, c.json.diffusers_config, c.name);
  const scope = new Scope(graph, specs);
  const { mean, logvar } = encodeImage(scope, config, image!);
  const outputs = {
    "output/mean": mean,
    "output/logvar": logvar,
    "output/decoded": decodeLatent(scope, config, z!),
  };
  const host = await hostParametersOf(specs, want, loadUnder(autoencoderNames(config), "param/"));
  return runAndCompare(c, device, want, specs, host, outputs);
};

async function bert(c: GoldenCase, device: Device, config: BertConfig, names: Renaming) {
  const want = await allTensors(c);
  const specs = new Map<string, ParameterSpec>();
  const graph = new Graph();
  const { ids } = inputsOf(graph, want).values;
  const outputs = { "output/hidden": encodeBert(new Scope(graph, specs), config, ids!) };
  const host = await hostParametersOf(specs, want, loadUnder(names, "param/", BERT_UNUSED));
  return runAndCompare(c, device, want, specs, host, outputs);
}

/** LDM's text encoder under diffusers' names. */
export const bertCheck: GoldenCheck = (c, device) =>
  bert(c, device, readConfig(bertFormat, c.json.config, c.name), noNames);

/** LDM's text encoder under CompVis' names. */
export const ldmBertCheck: GoldenCheck = (c, device) => {
  const { n_embed, n_layer, vocab_size, max_seq_len, heads, dim_head, ff_mult } = c.json.config;
  const config = {
    vocab_size,
    max_position_embeddings: max_seq_len,
    encoder_layers: n_layer,
    encoder_ffn_dim: n_embed * ff_mult,
    encoder_attention_heads: heads,
    head_dim: dim_head,
    d_model: n_embed,
  };
  return bert(c, device, config, bertNames);
};

/** Builds a network of full size, without weights, and tells how its names are found in a file. */
type Describe = (graph: Graph, specs: Map<string, ParameterSpec>, config: unknown, name: string) => LoadOptions;

const unetOf = (original: boolean): Describe => (graph, specs, json, name) => {
  const config = readConfig(unetFormat, json, name);
  unet(new Scope(graph, specs), config, latentInputs(graph, config));
  return loadUnder(original ? unetNames(config) : noNames);
};

const controlnetOf = (original: boolean): Describe => (graph, specs, json, name) => {
  const config = readConfig(controlnetFormat, json, name);
  const cond = graph.input("cond", [1, 64, 64, config.conditioning_channels]);
  controlnet(new Scope(graph, specs), config, latentInputs(graph, config), cond);
  return loadUnder(original ? controlnetNames(config) : noNames);
};

const autoencoderOf = (rename?: "original" | "old"): Describe => (graph, specs, json, name) => {
  const config = readConfig(autoencoderFormat, json, name);
  const scope = new Scope(graph, specs);
  decodeLatent(scope, config, encodeImage(scope, config, graph.input("image", [1, 64, 64, 3])).mean);
  return loadUnder(rename === "original" ? autoencoderNames(config) : rename ? oldAutoencoderNames : noNames);
};

/** CompVis' own configuration of an autoencoder with a codebook. */
const compVisVq: Describe = (graph, specs, json) => {
  const { embed_dim, n_embed, ddconfig } = json as { embed_dim: number; n_embed: number; ddconfig: CompVisAutoencoder };
  const attention = ddconfig.ch_mult.map((_, k) => ddconfig.attn_resolutions.includes(ddconfig.resolution / 2 ** k));
  const config: AutoencoderConfig = {
    in_channels: ddconfig.in_channels,
    out_channels: ddconfig.out_ch,
    down_block_types: attention.map((yes) => yes ? "AttnDownEncoderBlock2D" : "DownEncoderBlock2D"),
    up_block_types: attention.toReversed().map((yes) => yes ? "AttnUpDecoderBlock2D" : "UpDecoderBlock2D"),
    block_out_channels: ddconfig.ch_mult.map((m) => ddconfig.ch * m),
    layers_per_block: ddconfig.num_res_blocks,
    norm_num_groups: 32,
    sample_size: ddconfig.resolution,
    scaling_factor: 1,
    mid_block_add_attention: true,
    latent_channels: ddconfig.z_channels,
    num_vq_embeddings: n_embed,
    vq_embed_dim: embed_dim,
  };
  const scope = new Scope(graph, specs);
  decodeLatent(scope, config, encodeLatent(scope, config, graph.input("image", [1, 64, 64, 3])));
  return loadUnder(autoencoderNames(config));
};

interface CompVisAutoencoder {
  z_channels: number;
  resolution: number;
  in_channels: number;
  out_ch: number;
  ch: number;
  ch_mult: number[];
  num_res_blocks: number;
  attn_resolutions: number[];
}

const bertOf = (original: boolean): Describe => (graph, specs, json, name) => {
  encodeBert(new Scope(graph, specs), readConfig(bertFormat, json, name), graph.input("ids", [1, 77]));
  return loadUnder(original ? bertNames : noNames, "", BERT_UNUSED);
};

const clip: Describe = (graph, specs, json, name) => {
  encodeText(new Scope(graph, specs), readConfig(textEncoderFormat, json, name), graph.input("ids", [1, 77]));
  return loadUnder(noNames, "", /position_ids$/);
};

const starOf: Describe = (graph, specs, json) => {
  // The list has options of the peer that the network does not have, such as its metrics.
  const given = Object.entries(json as object).filter(([key]) => key in starConfig.shape);
  const config = starConfig.parse(Object.fromEntries(given));
  star(new Scope(graph, specs), graph.input("image", [1, config.height, config.width, 3]), config, false);
  return loadUnder(noNames, "", STAR_DERIVED);
};

function latentInputs(graph: Graph, config: { in_channels: number; cross_attention_dim: number }) {
  return {
    sample: graph.input("sample", [1, 8, 8, config.in_channels]),
    timesteps: graph.input("timesteps", [1]),
    context: graph.input("context", [1, 4, config.cross_attention_dim]),
  };
}

/** What each list is of; one in original names takes diffusers' configuration from the list beside it. */
const LISTS: Record<string, readonly [Describe, string?]> = {
  "keys-ldm-text2im-bert-compvis": [bertOf(true), "keys-ldm-text2im-bert-diffusers"],
  "keys-ldm-text2im-bert-diffusers": [bertOf(false)],
  "keys-ldm-text2im-unet-compvis": [unetOf(true), "keys-ldm-text2im-unet-diffusers"],
  "keys-ldm-text2im-unet-diffusers": [unetOf(false)],
  "keys-ldm-vq-f8-compvis": [compVisVq],
  "keys-sd15-clip-text-hf": [clip],
  "keys-sd15-controlnet-diffusers": [controlnetOf(false)],
  "keys-sd15-controlnet-original": [controlnetOf(true), "keys-sd15-controlnet-diffusers"],
  "keys-sd15-unet-compvis": [unetOf(true), "keys-sd15-unet-diffusers"],
  "keys-sd15-unet-diffusers": [unetOf(false)],
  "keys-sd15-vae-compvis": [autoencoderOf("original"), "keys-sd15-vae-diffusers"],
  "keys-sd15-vae-diffusers": [autoencoderOf()],
  "keys-sd15-vae-diffusers-old": [autoencoderOf("old")],
  "keys-star-300w": [starOf],
  "keys-star-cofw": [starOf],
  "keys-star-wflw": [starOf],
};

/** Names and shapes of a network of full size. */
export const keyListCheck: GoldenCheck = async (c) => {
  const list = LISTS[c.name];
  if (!list) return [];
  const [describe, beside] = list;
  const { config } = beside ? JSON.parse(await Deno.readTextFile(`${c.dir}/${beside}.json`)) : c.json;
  const specs = new Map<string, ParameterSpec>();
  const { nameOf, ignore } = describe(new Graph(), specs, config, c.name);
  const ours = new Map([...specs.values()].map((spec) => [nameOf!(spec), show(fileShape(spec))]));
  const wrong =
    Object.entries<number[]>(c.json.keys).find(([name, shape]) => ours.get(name) !== show(shape) && !ignore!.test(name))
      ?.[0] ?? [...ours.keys()].find((name) => !(name in c.json.keys));
  return [{ ...exact("names", wrong === undefined), tensor: wrong ?? "" }];
};

/** A shape without the ones at its end, in which a linear layer and a filter of 1 by 1 differ. */
const show = (shape: readonly number[]) => shape.join(" ").replace(/( 1)+$/, "");
