/**
 * Golden checks of autoencoders.
 *
 * @module
 */

import { add } from "../../ops/add.ts";
import { exp } from "../../ops/exp.ts";
import { mse } from "../../ops/mse.ts";
import { affine } from "../../ops/affine.ts";
import { mean } from "../../ops/sum.ts";
import {
  autoencoderFormat,
  codebookLoss,
  decodeLatent,
  divergence,
  encodeImage,
  encodeLatent,
  quantise,
  sampleLatent,
} from "../../models/diffusion/autoencoder.ts";
import { readConfig } from "../../models/io/config.ts";
import { InputError } from "../../formats/input_error.ts";
import type { Value } from "../../engine/graph.ts";
import type { GoldenCase, GoldenCheck } from "./case.ts";
import { networkCheck } from "./network.ts";

/** The output that the case's `grad/` tensors are gradients of. */
function lossOf(c: GoldenCase, outputs: Record<string, Value>, otherwise: string): Value {
  const name = c.json["grad_of"] ?? otherwise;
  const loss = outputs[name];
  if (!loss) throw new InputError(`Cannot take gradients of "${name}" in ${c.name}: there is no such loss`);
  return loss;
}

/** A KL autoencoder: posterior, samples, reconstruction, losses and gradients. */
export const autoencoderCheck: GoldenCheck = networkCheck(({ c, input, scope }) => {
  const config = readConfig(autoencoderFormat, c.json["config"], c.name);
  const at = scope();
  const posterior = encodeImage(at, config, input("image"));
  const decoded = decodeLatent(at, config, input("z"));
  const sampled = sampleLatent(posterior, input("noise"));
  const decode_mse = mse(decoded, input("target"));
  const outputs: Record<string, Value> = {
    "output/mean": posterior.mean,
    "output/mode": posterior.mean,
    "output/logvar": posterior.logvar,
    "posterior/std": exp(affine(posterior.logvar, 0.5)),
    "posterior/kl": divergence(posterior),
    "posterior/sample_from_noise": sampled,
    "output/decoded": decoded,
    "output/reconstruction": decodeLatent(at, config, posterior.mean),
    "loss/decode_mse": decode_mse,
  };
  if (c.json["kl_weight"] !== undefined) {
    const distance = mse(decodeLatent(at, config, sampled), input("image"));
    outputs["loss/elbo"] = add(distance, affine(mean(divergence(posterior)), c.json["kl_weight"]));
  }
  return { outputs, loss: lossOf(c, outputs, "loss/decode_mse"), input_loss: decode_mse };
});

/** An autoencoder with a codebook: latents, codes, losses, reconstruction and gradients. */
export const vqCheck: GoldenCheck = networkCheck(({ c, want, input, scope }) => {
  const config = readConfig(autoencoderFormat, { _class_name: "VQModel", ...c.json["config"] }, c.name);
  const at = scope();
  const latent = encodeLatent(at, config, input("image"));
  const { code, ids } = quantise(at, config, latent);
  const decoded = decodeLatent(at, config, latent);
  const outputs: Record<string, Value> = {
    "output/latents": latent,
    "output/quantized": code,
    "output/decoded": decoded,
    "output/decoded_not_quantized": decodeLatent(at, config, latent, { quantised: true }),
    "loss/vq": codebookLoss(latent, code),
    "index/codes": ids,
  };
  if (want.has("input/target")) outputs["loss/total"] = add(mse(decoded, input("target")), codebookLoss(latent, code));
  return { outputs, loss: lossOf(c, outputs, "loss/vq") };
});
