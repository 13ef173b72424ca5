/**
 * Tiny networks with checkpoints under their original names, for tests.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Graph } from "../../../engine/graph.ts";
import type { TensorData } from "../../../formats/safetensors.ts";
import { autoencoderFormat, decodeLatent, encodeImage } from "../../../models/diffusion/autoencoder.ts";
import { bertFormat, encodeBert } from "../../../models/diffusion/bert_text.ts";
import { encodeText, textEncoderFormat } from "../../../models/diffusion/clip_text.ts";
import { controlnet, controlnetConfigFor } from "../../../models/diffusion/controlnet.ts";
import { betas, LATENT_SCHEDULE } from "../../../models/diffusion/schedule.ts";
import { unet, unetFormat } from "../../../models/diffusion/unet.ts";
import { autoencoderNames, controlnetNames, type Renaming, unetNames } from "../../../models/io/original_names.ts";
import { fileName, fileShape, toFileLayout } from "../../../models/io/parameter_files.ts";
import { type HostTensors, initialise, type ParameterSpec, Scope } from "../../../models/io/params.ts";
import { dictionary, tensor, torchFile } from "../../formats/torch_file.ts";

export const unetConfig = unetFormat.schema.parse({
  block_out_channels: [32, 32],
  down_block_types: ["CrossAttnDownBlock2D", "DownBlock2D"],
  up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D"],
  layers_per_block: 1,
  cross_attention_dim: 64,
  attention_head_dim: 8,
  sample_size: 64,
});
export const controlConfig = controlnetConfigFor(unetConfig, { conditioning_embedding_out_channels: [4, 8] });
export const vaeConfig = autoencoderFormat.schema.parse({
  block_out_channels: [32, 32],
  down_block_types: ["DownEncoderBlock2D", "DownEncoderBlock2D"],
  up_block_types: ["UpDecoderBlock2D", "UpDecoderBlock2D"],
  sample_size: 512,
});
export const textConfig = textEncoderFormat.schema.parse({
  vocab_size: 300,
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 1,
  max_position_embeddings: 8,
});
export const bertConfig = bertFormat.schema.parse({
  vocab_size: 300,
  max_position_embeddings: 8,
  encoder_layers: 2,
  encoder_ffn_dim: 96,
  encoder_attention_heads: 2,
  d_model: 64,
});

type Build = (scope: Scope) => void;
const inputs = ({ graph }: Scope) => ({
  sample: graph.input("sample", [1, 2, 2, 4]),
  timesteps: graph.input("t", [1]),
  context: graph.input("context", [1, 1, 64]),
});
const networks: Record<string, Build> = {
  unet: (scope) => unet(scope, unetConfig, inputs(scope)),
  controlnet: (scope) => controlnet(scope, controlConfig, inputs(scope), scope.graph.input("cond", [1, 4, 4, 3])),
  vae: (scope) =>
    decodeLatent(scope, vaeConfig, encodeImage(scope, vaeConfig, scope.graph.input("x", [1, 2, 2, 3])).mean),
  text_encoder: (scope) => encodeText(scope, textConfig, scope.graph.input("ids", [1, 1])),
  bert: (scope) => encodeBert(scope, bertConfig, scope.graph.input("ids", [1, 1])),
};

/** Parameters of a tiny network. */
export function specsOf(name: string) {
  const specs = new Map<string, ParameterSpec>();
  networks[name]!(new Scope(new Graph(), specs));
  return specs;
}

const made = new Map<string, HostTensors>();

/** First values of a network, made once. */
export function valuesOf(name: string, seed = 5): HostTensors {
  const key = `${name} ${seed}`;
  if (!made.has(key)) made.set(key, initialise(specsOf(name), seed));
  return made.get(key)!;
}

/** Compares tensors quickly: many of the tests' own are large. */
export function sameTensors(found: ReadonlyMap<string, TensorData>, expected: ReadonlyMap<string, TensorData>) {
  assert.deepEqual([...found.keys()].sort(), [...expected.keys()].sort());
  for (const [name, { shape, data }] of expected) {
    const other = found.get(name)!;
    assert.deepEqual(other.shape, shape, name);
    assert.ok(data.every((value, k) => value === other.data[k]), name);
  }
}

/** Weights of a network as its file holds them, under other names. */
export function weights(name: string, prefix: string, rename: Renaming, seed = 5): [string, TensorData][] {
  const specs = specsOf(name);
  const host = valuesOf(name, seed);
  return [...specs.values()].map((spec) => [
    prefix + rename(fileName(spec.name)),
    { shape: [...fileShape(spec)], data: toFileLayout(spec, host.get(spec.name)!.data).slice() },
  ]);
}

/** A complete checkpoint of Stable Diffusion with a ControlNet. */
export const sd = () =>
  new Map([
    ...weights("unet", "model.diffusion_model.", unetNames(unetConfig)),
    ...weights("controlnet", "control_model.", controlnetNames(controlConfig)),
    ...weights("vae", "first_stage_model.", autoencoderNames(vaeConfig)),
    ...weights("text_encoder", "cond_stage_model.transformer.", (name) => name),
    ["betas", { shape: [1000], data: Float32Array.from(betas(LATENT_SCHEDULE)) }] as const,
    ["cond_stage_model.transformer.text_model.embeddings.position_ids", values(0, 1)] as const,
  ]);

export const values = (...data: number[]): TensorData => ({ shape: [data.length], data: new Float32Array(data) });

/** Options of {@linkcode writeTorch}. */
export interface TorchOptions {
  /** Keys on the way to the tensors, by default `state_dict`. */
  readonly keys?: readonly string[];
  /** Pickles of what stands beside the first of the keys. */
  readonly beside?: readonly (readonly [string, Uint8Array])[];
  /** Element type, by default f32. */
  readonly type?: "f32" | "f16" | "bf16";
}

/** Storages of each element type, and the bytes of numbers. */
const TYPES = {
  f32: ["FloatStorage", (data: Float32Array) => new Uint8Array(data.slice().buffer)],
  f16: ["HalfStorage", (data: Float32Array) => new Uint8Array(new Float16Array(data).buffer)],
  bf16: ["BFloat16Storage", (data: Float32Array) => new Uint8Array(Uint16Array.from(data, toBfloat16).buffer)],
} as const;

/** The nearest number of 8 bits of mantissa, ties to the even one. */
export function toBfloat16(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0]!;
  return (bits + 0x7fff + ((bits >> 16) & 1)) >>> 16;
}

/** Writes tensors as `torch.save` does. */
export async function writeTorch(
  path: string,
  tensors: ReadonlyMap<string, TensorData>,
  { keys = ["state_dict"], beside = [], type = "f32" }: TorchOptions = {},
) {
  const [storage, bytesOf] = TYPES[type];
  const storages: Record<string, Uint8Array> = {};
  const entries = [...tensors].map(([name, { shape, data }], k) => {
    storages[k] = bytesOf(data);
    return [name, tensor({ key: `${k}`, shape, storage })] as const;
  });
  const weights = keys.slice(1).reduceRight((inner, key) => dictionary([[key, inner]]), dictionary(entries));
  const [first] = keys;
  const root = first === undefined ? dictionary([...entries, ...beside]) : dictionary([...beside, [first, weights]]);
  await Deno.writeFile(path, torchFile(root, storages));
}
