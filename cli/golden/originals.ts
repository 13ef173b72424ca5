/**
 * Golden checks of checkpoints under their original names, of LDM's text encoder, and of lists of names.
 *
 * @module
 */

import { z } from "zod";
import {
  autoencoderFormat,
  decodeLatent,
  encodeImage,
  encodeLatent,
  hasCodebook,
} from "../../models/diffusion/autoencoder.ts";
import { BERT_UNUSED, type BertConfig, bertFormat, encodeBert } from "../../models/diffusion/bert_text.ts";
import { type ConfigFormat, readConfig } from "../../models/io/config.ts";
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
import { countParameters, type ParameterSpec, Scope, specsUnder } from "../../models/io/params.ts";
import { fileShape, type LoadOptions } from "../../models/io/parameter_files.ts";
import { star, STAR_DERIVED, starConfig } from "../../models/detectors/star.ts";
import { encodeText, textEncoderFormat } from "../../models/diffusion/clip_text.ts";
import { unet, unetFormat } from "../../models/diffusion/unet.ts";
import { mse } from "../../ops/mse.ts";
import { affine } from "../../ops/affine.ts";
import { Graph, type Value } from "../../engine/graph.ts";
import { InputError } from "../../formats/input_error.ts";
import { type GoldenCase, type GoldenCheck, parsePart } from "./case.ts";
import { exact } from "./compare.ts";
import { hostParametersOf } from "./layout.ts";
import { networkCheck } from "./network.ts";

const sameNames: Renaming = (name) => name;

/** A UNet of LDM. */
export const ldmUnetCheck: GoldenCheck = networkCheck(({ c, input, scope }) => {
  const config = readConfig(unetFormat, c.json["diffusers_config"], c.name);
  const inputs = { sample: input("x"), timesteps: input("timesteps"), context: input("context") };
  return { outputs: { "output/eps": unet(scope(), config, inputs) }, load: loadUnder(unetNames(config), "param/") };
});

const cldmConfigs = z.strictObject({ unet: z.unknown(), controlnet: z.unknown() });

/** The original ControlNet, whose UNet is that of another case: `unet_params_from` names its file. */
export const cldmCheck: GoldenCheck = networkCheck(({ c, want, specs, input, scope }) => {
  const given = parsePart(c, cldmConfigs, "diffusers_config");
  const unetConfig = readConfig(unetFormat, given.unet, c.name);
  const config = readConfig(controlnetFormat, given.controlnet, c.name);
  const file = /[\w.-]+\.safetensors/.exec(String(c.json["unet_params_from"]))?.[0];
  if (!file) throw new InputError(`Cannot find the UNet of ${c.name}: "unet_params_from" names no file of tensors`);
  const inputs = { sample: input("x"), timesteps: input("timesteps"), context: input("context") };
  const residuals = controlnet(scope("controlnet/"), config, inputs, input("hint"));
  const base = scope("unet/");
  const none = residuals.down.map((value) => affine(value, 0));
  const outputs: Record<string, Value> = {
    "output/eps": unet(base, unetConfig, inputs, residuals),
    "output/eps_only_mid": unet(base, unetConfig, inputs, { down: none, mid: residuals.mid }),
    "output/eps_no_control": unet(base, unetConfig, inputs),
  };
  [...residuals.down, residuals.mid].forEach((value, k) => outputs[`output/control.${k}`] = value);
  const controlNames = loadUnder(controlnetNames(config), `param/${ORIGINAL_PREFIX.controlnet}`);
  return {
    outputs,
    start: async () =>
      new Map([
        ...await hostParametersOf(c, specsUnder(specs, "controlnet/"), want, controlNames),
        ...await hostParametersOf(
          c,
          specsUnder(specs, "unet/"),
          await c.tensors(file),
          loadUnder(unetNames(unetConfig), "param/"),
        ),
      ]),
  };
});

/** The autoencoder of LDM. */
export const ldmAutoencoderCheck: GoldenCheck = networkCheck(({ c, input, scope }) => {
  const config = readConfig(autoencoderFormat, c.json["diffusers_config"], c.name);
  const at = scope();
  const { mean, logvar } = encodeImage(at, config, input("image"));
  const decoded = decodeLatent(at, config, input("z"));
  return {
    outputs: { "output/mean": mean, "output/logvar": logvar, "output/decoded": decoded },
    load: loadUnder(autoencoderNames(config), "param/"),
  };
});

function bert(configOf: (c: GoldenCase) => BertConfig, names: Renaming): GoldenCheck {
  return networkCheck(({ c, want, input, scope }) => {
    const hidden = encodeBert(scope(), configOf(c), input("ids"));
    const load = loadUnder(names, "param/", BERT_UNUSED);
    if (!want.has("input/target")) return { outputs: { "output/hidden": hidden }, load };
    const loss = mse(hidden, input("target"));
    return { outputs: { "output/hidden": hidden, "loss/mse": loss }, loss, load };
  });
}

/** LDM's text encoder under diffusers' names. */
export const bertCheck: GoldenCheck = bert((c) => readConfig(bertFormat, c.json["config"], c.name), sameNames);

/** The arguments of LDM's BERTEmbedder; three of them are constants of its transformer. */
const compVisBert = z.strictObject({
  n_embed: z.int(),
  n_layer: z.int(),
  vocab_size: z.int(),
  max_seq_len: z.int(),
  heads: z.int().default(8),
  dim_head: z.int().default(64),
  ff_mult: z.int().default(4),
});

function bertConfigOf(c: GoldenCase): BertConfig {
  const { n_embed, n_layer, vocab_size, max_seq_len, heads, dim_head, ff_mult } = parsePart(c, compVisBert);
  return {
    vocab_size,
    max_position_embeddings: max_seq_len,
    encoder_layers: n_layer,
    encoder_ffn_dim: n_embed * ff_mult,
    encoder_attention_heads: heads,
    head_dim: dim_head,
    d_model: n_embed,
  };
}

/** LDM's text encoder under CompVis' names. */
export const ldmBertCheck: GoldenCheck = bert(bertConfigOf, bertNames);

/** The arguments of LDM's UNet and of the original ControlNet. */
const compVisUnet = z.strictObject({
  image_size: z.int(),
  in_channels: z.int(),
  out_channels: z.int().optional(),
  hint_channels: z.int().optional(),
  model_channels: z.int(),
  attention_resolutions: z.array(z.int()),
  num_res_blocks: z.int(),
  channel_mult: z.array(z.int()),
  num_heads: z.int(),
  use_spatial_transformer: z.literal(true),
  transformer_depth: z.literal(1),
  context_dim: z.int(),
  use_checkpoint: z.boolean(),
  legacy: z.literal(false),
});

function unetConfigOf(c: GoldenCase) {
  const given = parsePart(c, compVisUnet);
  const down = given.channel_mult.map((_, k) =>
    given.attention_resolutions.includes(2 ** k) ? "CrossAttnDownBlock2D" : "DownBlock2D"
  );
  const encoder = {
    in_channels: given.in_channels,
    down_block_types: down,
    block_out_channels: given.channel_mult.map((m) => m * given.model_channels),
    layers_per_block: given.num_res_blocks,
    cross_attention_dim: given.context_dim,
    attention_head_dim: given.num_heads,
  };
  return {
    control: { ...encoder, conditioning_channels: given.hint_channels },
    unet: {
      ...encoder,
      out_channels: given.out_channels,
      sample_size: given.image_size,
      up_block_types: down.toReversed().map((type) => type.replace("Down", "Up")),
    },
  };
}

/** The arguments of LDM's autoencoders; `embed_dim` is the width of the latents. */
const compVisAutoencoder = z.object({
  embed_dim: z.int(),
  n_embed: z.int().optional(),
  ddconfig: z.object({
    z_channels: z.int(),
    resolution: z.int(),
    in_channels: z.int(),
    out_ch: z.int(),
    ch: z.int(),
    ch_mult: z.array(z.int()),
    num_res_blocks: z.int(),
    attn_resolutions: z.array(z.int()),
  }),
});

function autoencoderConfigOf(c: GoldenCase) {
  const { embed_dim, n_embed, ddconfig } = parsePart(c, compVisAutoencoder);
  const attention = ddconfig.ch_mult.map((_, k) => ddconfig.attn_resolutions.includes(ddconfig.resolution / 2 ** k));
  return {
    ...n_embed !== undefined && { _class_name: "VQModel", num_vq_embeddings: n_embed, vq_embed_dim: embed_dim },
    in_channels: ddconfig.in_channels,
    out_channels: ddconfig.out_ch,
    down_block_types: attention.map((yes) => yes ? "AttnDownEncoderBlock2D" : "DownEncoderBlock2D"),
    up_block_types: attention.toReversed().map((yes) => yes ? "AttnUpDecoderBlock2D" : "UpDecoderBlock2D"),
    block_out_channels: ddconfig.ch_mult.map((m) => ddconfig.ch * m),
    layers_per_block: ddconfig.num_res_blocks,
    norm_num_groups: 32,
    sample_size: ddconfig.resolution,
    latent_channels: ddconfig.z_channels,
  };
}

/** Declares a network of full size, without weights, and returns how its names are found in a file. */
type Declare = (scope: Scope, c: GoldenCase) => LoadOptions;

function latentInputs(graph: Graph, config: { in_channels: number; cross_attention_dim: number }) {
  return {
    sample: graph.input("sample", [1, 8, 8, config.in_channels]),
    timesteps: graph.input("timesteps", [1]),
    context: graph.input("context", [1, 4, config.cross_attention_dim]),
  };
}

function network<T>(
  format: ConfigFormat<T>,
  configOf: (c: GoldenCase) => unknown,
  declare: (scope: Scope, config: T) => unknown,
  namesOf: (config: T) => Renaming = () => sameNames,
  unused?: RegExp,
): Declare {
  return (scope, c) => {
    const config = readConfig(format, configOf(c), c.name);
    declare(scope, config);
    return loadUnder(namesOf(config), "", unused);
  };
}

const own = (c: GoldenCase): unknown => c.json["config"];
const declareUnet = (scope: Scope, config: Parameters<typeof unet>[1]) =>
  unet(scope, config, latentInputs(scope.graph, config));
const declareControlNet = (scope: Scope, config: Parameters<typeof controlnet>[1]) =>
  controlnet(
    scope,
    config,
    latentInputs(scope.graph, config),
    scope.graph.input("cond", [1, 64, 64, config.conditioning_channels]),
  );
const declareAutoencoder = (scope: Scope, config: Parameters<typeof encodeImage>[1]) => {
  const image = scope.graph.input("image", [1, 64, 64, config.in_channels]);
  const latent = hasCodebook(config) ? encodeLatent(scope, config, image) : encodeImage(scope, config, image).mean;
  decodeLatent(scope, config, latent);
};
const declareBert = (scope: Scope, config: BertConfig) => encodeBert(scope, config, scope.graph.input("ids", [1, 77]));
const declareStar: Declare = (scope, c) => {
  // The list has options of the peer that the network does not have, such as its metrics.
  const given = Object.entries(c.json["config"] as object).filter(([key]) => key in starConfig.shape);
  const config = parsePart(c, starConfig, "config", Object.fromEntries(given));
  star(scope, scope.graph.input("image", [1, config.height, config.width, 3]), config, false);
  return loadUnder(sameNames, "", STAR_DERIVED);
};

/** Networks by the last words of the peer's class, some of them in several versions. */
const PEERS: readonly (readonly [RegExp, Declare])[] = [
  [/^ldm\..*\.BERTEmbedder$/, network(bertFormat, bertConfigOf, declareBert, () => bertNames, BERT_UNUSED)],
  [/LDMBertModel$/, network(bertFormat, own, declareBert, undefined, BERT_UNUSED)],
  [/^ldm\..*\.UNetModel$/, network(unetFormat, (c) => unetConfigOf(c).unet, declareUnet, unetNames)],
  [/UNet2DConditionModel$/, network(unetFormat, own, declareUnet)],
  [
    /^cldm\..*\.ControlNet$/,
    network(controlnetFormat, (c) => unetConfigOf(c).control, declareControlNet, controlnetNames),
  ],
  [/ControlNetModel$/, network(controlnetFormat, own, declareControlNet)],
  [
    /^ldm\..*\.(AutoencoderKL|VQModel)$/,
    network(autoencoderFormat, autoencoderConfigOf, declareAutoencoder, autoencoderNames),
  ],
  [/AutoencoderKL$/, network(autoencoderFormat, own, declareAutoencoder)],
  [
    /CLIPTextModel$/,
    network(
      textEncoderFormat,
      own,
      (scope, config) => encodeText(scope, config, scope.graph.input("ids", [1, 77])),
      undefined,
      /position_ids$/,
    ),
  ],
  [/StackedHGNetV1\b/, declareStar],
];

/** Names and shapes of a network of full size. */
export const keyListCheck: GoldenCheck = (c) => {
  const peer = String(c.json["peer"]?.class);
  const declare = PEERS.find(([pattern]) => pattern.test(peer))?.[1];
  if (!declare) throw new InputError(`Cannot check the names of ${c.name}: no network here is that of ${peer}`);
  const specs = new Map<string, ParameterSpec>();
  let { nameOf, ignore } = declare(new Scope(new Graph(), specs), c);
  if (Object.keys(c.json["keys"]).some((name) => name.endsWith(".query.weight"))) {
    // An autoencoder of old diffusers.
    ({ nameOf, ignore } = loadUnder(oldAutoencoderNames));
  }
  const ours = new Map([...specs.values()].map((spec) => [nameOf?.(spec) ?? spec.name, show(fileShape(spec))]));
  const keys = Object.entries<number[]>(c.json["keys"]);
  const wrong = keys.find(([name, shape]) => ours.get(name) !== show(shape) && !ignore?.test(name))?.[0] ??
    [...ours.keys()].find((name) => !(name in c.json["keys"]));
  const statistics = new Map([...specs].filter(([name]) => /\.running_(mean|var)$/.test(name)));
  // The head of LDM's text encoder is no part of it here.
  const head = keys.filter(([name]) => BERT_UNUSED.test(name)).map(([, shape]) => shape.reduce((a, b) => a * b, 1));
  const count = head.reduce((a, b) => a + b, countParameters(specs) - countParameters(statistics));
  return Promise.resolve([
    { ...exact("names", wrong === undefined), tensor: wrong ?? "" },
    {
      ...exact("parameters", count === c.json["parameters"]),
      tensor: `${count}, not ${c.json["parameters"]}`,
    },
    exact("entries", keys.length === c.json["entries"]),
  ]);
};

/** A shape without the ones at its end, in which a linear layer and a filter of 1 by 1 differ. */
const show = (shape: readonly number[]) => shape.join(" ").replace(/( 1)+$/, "");
