/**
 * The kinds of networks that checkpoints are converted to: how each is recognised, named and declared.
 *
 * @module
 */

import { InputError } from "../../formats/input_error.ts";
import { extent, Graph } from "../../engine/graph.ts";
import {
  type AutoencoderConfig,
  autoencoderFormat,
  decodeLatent,
  encodeLatent,
  hasCodebook,
} from "../diffusion/autoencoder.ts";
import { BERT_UNUSED, type BertConfig, bertFormat, encodeBert } from "../diffusion/bert_text.ts";
import type { ConfigFormat } from "./config.ts";
import type { DetectorNetwork } from "../detectors/network.ts";
import { DETECTOR_NETWORKS, type DetectorConfig } from "../detectors/registry.ts";
import { controlnet, type ControlNetConfig, controlnetFormat } from "../diffusion/controlnet.ts";
import { inferAutoencoder, inferBert, inferControlNet, inferTextEncoder, inferUNet } from "./infer_config.ts";
import type { OriginalNetwork } from "./named_shapes.ts";
import {
  autoencoderNames,
  bertNames,
  controlnetNames,
  ORIGINAL_PREFIX,
  type Renaming,
  unetNames,
} from "./original_names.ts";
import { type ParameterSpec, Scope, type Specs } from "./params.ts";
import { encodeText, type TextEncoderConfig, textEncoderFormat } from "../diffusion/clip_text.ts";
import { unet, type UNetConfig, unetFormat } from "../diffusion/unet.ts";

/** A kind of network that checkpoints are converted to. */
export interface NetworkKind<T extends object> {
  /** Folder in a pipeline. */
  folder(config: T): string;
  readonly format: ConfigFormat<T>;
  /** Recognition and reading under its original names; none for networks without an original. */
  readonly original?: OriginalNetwork<T>;
  /** Declares its parameters. */
  declare(scope: Scope, config: T): void;
}

const same: Renaming = (name) => name;

export const KINDS = {
  unet: {
    folder: () => "unet",
    format: unetFormat,
    original: {
      prefixes: [ORIGINAL_PREFIX.unet, ""],
      mark: "output_blocks.0.0.in_layers.0.weight",
      infer: inferUNet,
      names: unetNames,
    },
    declare: (scope, config) => unet(scope, config, latentInputs(scope.graph, config)),
  } satisfies NetworkKind<UNetConfig>,
  controlnet: {
    folder: () => "controlnet",
    format: controlnetFormat,
    original: {
      prefixes: [ORIGINAL_PREFIX.controlnet, ""],
      mark: "input_hint_block.0.weight",
      infer: inferControlNet,
      names: controlnetNames,
    },
    declare(scope, config) {
      const inputs = latentInputs(scope.graph, config);
      const side = extent(inputs.sample, 1) * 2 ** (config.conditioning_embedding_out_channels.length - 1);
      controlnet(scope, config, inputs, scope.graph.input("cond", [1, side, side, config.conditioning_channels]));
    },
  } satisfies NetworkKind<ControlNetConfig>,
  autoencoder: {
    folder: (config) => hasCodebook(config) ? "vqvae" : "vae",
    format: autoencoderFormat,
    original: {
      prefixes: [ORIGINAL_PREFIX.vae, ""],
      mark: "encoder.down.0.block.0.norm1.weight",
      infer: inferAutoencoder,
      names: autoencoderNames,
      // Its training, and its moving average.
      unused: /^(loss|model_ema)\./,
    },
    declare(scope, config) {
      const side = 2 ** (config.block_out_channels.length - 1);
      const image = scope.graph.input("image", [1, side, side, config.in_channels]);
      decodeLatent(scope, config, encodeLatent(scope, config, image));
    },
  } satisfies NetworkKind<AutoencoderConfig>,
  clip: {
    folder: () => "text_encoder",
    format: textEncoderFormat,
    original: {
      prefixes: [ORIGINAL_PREFIX.clip, ""],
      mark: "text_model.embeddings.token_embedding.weight",
      infer: inferTextEncoder,
      names: () => same,
      unused: /position_ids$/,
    },
    declare: (scope, config) => encodeText(scope, config, scope.graph.input("ids", [1, 1])),
  } satisfies NetworkKind<TextEncoderConfig>,
  bert: {
    folder: () => "bert",
    format: bertFormat,
    original: {
      prefixes: [ORIGINAL_PREFIX.bert, ""],
      mark: "transformer.token_emb.weight",
      infer: inferBert,
      names: () => bertNames,
      unused: BERT_UNUSED,
    },
    declare: (scope, config) => encodeBert(scope, config, scope.graph.input("ids", [1, 1])),
  } satisfies NetworkKind<BertConfig>,
};

const detectorKind = ({ format, original, build }: DetectorNetwork<DetectorConfig>): NetworkKind<DetectorConfig> => ({
  folder: () => "detector",
  format,
  ...original && { original },
  declare: (scope, config) => build(scope, scope.graph.input("images", [1, config.size_px, config.size_px, 3]), config),
});

export const ALL_KINDS: readonly NetworkKind<object>[] = [
  ...Object.values(KINDS),
  ...DETECTOR_NETWORKS.map(detectorKind),
];

function latentInputs(
  graph: Graph,
  config: Pick<UNetConfig, "in_channels" | "cross_attention_dim"> & { readonly block_out_channels: readonly number[] },
) {
  const side = 2 ** (config.block_out_channels.length - 1);
  return {
    sample: graph.input("sample", [1, side, side, config.in_channels]),
    timesteps: graph.input("timesteps", [1]),
    context: graph.input("context", [1, 1, config.cross_attention_dim]),
  };
}

/** Names and shapes of a network's parameters. */
export function declared<T extends object>(kind: NetworkKind<T>, config: T): Specs {
  const specs = new Map<string, ParameterSpec>();
  kind.declare(new Scope(new Graph(), specs), config);
  return specs;
}

/**
 * The kind of a `config.json`.
 *
 * @throws {InputError} If no network here is of it.
 */
export function kindOf(json: unknown, where: string): NetworkKind<object> {
  const kind = ALL_KINDS.find((kind) => isFor(kind, json));
  if (kind) return kind;
  const names = ALL_KINDS.flatMap(({ format }) => [format.name, format.other?.format.name ?? []].flat());
  const given = JSON.stringify(classIn(json) ?? null);
  throw new InputError(`Cannot read ${where} as the configuration of ${given}: it must be one of ${names.join(", ")}`);
}

/** True if a `config.json` is of a kind. */
export function isFor({ format }: NetworkKind<object>, json: unknown): boolean {
  return [format.name, format.other?.format.name].some((name) => name !== undefined && name === classIn(json));
}

/** The class that a `config.json` names. */
export function classIn(json: unknown): unknown {
  if (typeof json !== "object" || json === null) return undefined;
  if ("_class_name" in json && json._class_name !== null) return json._class_name;
  return "model_type" in json ? json.model_type : undefined;
}
