/**
 * Common parts of the diffusion stages: folders of a model, prompts, the loss.
 *
 * @module
 */

import { z } from "zod";
import { fileNames, folderNames, makeFolder, reading } from "../../formats/files.ts";
import type { Tokenizer } from "../../models/diffusion/tokenizer.ts";
import { add } from "../../ops/add.ts";
import { mse } from "../../ops/mse.ts";
import { mul } from "../../ops/mul.ts";
import { sub } from "../../ops/sub.ts";
import { mean } from "../../ops/sum.ts";
import type { Graph, Value } from "../../engine/graph.ts";

/** Copies folders of a model as they are, those that are there; of links, what they lead to. */
export async function copyParts(from: string, to: string, leave: readonly string[] = []): Promise<void> {
  for (const part of await folderNames(from)) {
    if (leave.includes(part)) continue;
    await makeFolder(`${to}/${part}`);
    for (const name of fileNames(`${from}/${part}`)) {
      await reading(`${from}/${part}/${name}`, () => Deno.copyFile(`${from}/${part}/${name}`, `${to}/${part}/${name}`));
    }
  }
}

/** Token ids of prompts, padded to one length and kept, as there are few prompts. */
export class Prompts {
  readonly #tokenizer: Tokenizer;
  readonly #known = new Map<string, Float32Array>();

  /** Uses a model's tokenizer. */
  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
  }

  /** Tokens in a prompt, T. */
  get length(): number {
    return this.#tokenizer.length;
  }

  /** Ids of a prompt, `[T]`. */
  ids(prompt: string): Float32Array {
    let ids = this.#known.get(prompt);
    if (!ids) this.#known.set(prompt, ids = Float32Array.from(this.#tokenizer.encode(prompt)));
    return ids;
  }
}

/** A prompt template with the style's name filled in; the record's own prompt when there is no template. */
export function promptOf(record: { style: string; prompt?: string }, template: string | null): string {
  const style = record.style.replaceAll("_", " ");
  return template === null
    ? record.prompt ?? `a portrait of ${style} style`
    : template.replaceAll("{style}", () => style);
}

/** Options of every training of a diffusion model. */
export const denoisingOptions = {
  prompt_dropout: z.number().min(0).max(1).default(0.1).describe(
    "Fraction of the images with the empty prompt, for guidance",
  ),
  min_snr: z.number().positive().optional().describe(
    "Largest weight of a time step, as a signal-to-noise ratio (Hang et al. 2023 take 5); by default all weigh the same",
  ),
};

/**
 * The loss of denoising, and the inputs that it reads: `z`, `noise`, `timesteps`, `signal`, `sigma`, `target_signal`,
 * `target_noise` and, if images are weighted, `weight`.
 *
 * `mean((network(signal z + sigma noise, t) - target)^2)`, the target being the noise for an epsilon schedule (Ho et al.
 * 2020, eq. 14).
 *
 * @param shape Shape of the latents, `[N, h, w, C]`.
 * @param network Predicts from noisy latents and time steps.
 * @param weighted True to multiply the squares of each image by its weight, input `weight`.
 */
export function denoisingLoss(
  graph: Graph,
  shape: readonly [number, number, number, number],
  network: (sample: Value, timesteps: Value) => Value,
  weighted = false,
): Value {
  const [z, noise] = [graph.input("z", shape), graph.input("noise", shape)];
  const each = (name: string) => graph.input(name, [shape[0], 1, 1, 1]);
  const mix = (signal: Value, sigma: Value) => add(mul(z, signal), mul(noise, sigma));
  const output = network(mix(each("signal"), each("sigma")), graph.input("timesteps", [shape[0]]));
  const target = mix(each("target_signal"), each("target_noise"));
  if (!weighted) return mse(output, target);
  const difference = sub(output, target);
  return mean(mul(mul(difference, difference), each("weight")));
}
