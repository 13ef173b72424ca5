/**
 * The networks of an autoencoder's training with their loss: distances of pixels and of features, the term of the latents,
 * and a discriminator.
 *
 * @module
 */

import {
  type AutoencoderConfig,
  codebookLoss,
  decodeLatent,
  divergence,
  encodeImage,
  encodeLatent,
  hasCodebook,
  quantise,
  sampleLatent,
} from "../../models/diffusion/autoencoder.ts";
import {
  adversarialLoss,
  discriminate,
  DISCRIMINATOR,
  type DiscriminatorConfig,
} from "../../models/diffusion/discriminator.ts";
import { perceptualDistance } from "../../models/detectors/features.ts";
import { DETECTOR, type DetectorConfig } from "../../models/detectors/registry.ts";
import { type ParameterSpec, Scope, type Specs } from "../../models/io/params.ts";
import { abs } from "../../ops/abs.ts";
import { add } from "../../ops/add.ts";
import { mse } from "../../ops/mse.ts";
import { affine } from "../../ops/affine.ts";
import { sub } from "../../ops/sub.ts";
import { mean } from "../../ops/sum.ts";
import { lookUp } from "../../engine/lookup.ts";
import { Graph, type Value } from "../../engine/graph.ts";

/** Weights and distance of an autoencoder's loss. */
export interface LossOptions {
  readonly kl_weight: number;
  readonly codebook_weight?: number | undefined;
  readonly commitment_weight?: number | undefined;
  readonly reconstruction?: "l1" | "l2" | "l1+l2" | undefined;
  readonly perceptual_weight?: number | undefined;
  readonly adversarial?: DiscriminatorConfig & { readonly weight: number } | undefined;
}

/** Weight of the perceptual distance where none is given, as in LDM. */
export const PERCEPTUAL_WEIGHT = 1;

/** Networks of a training. */
export interface AutoencoderTraining {
  /** `[N, h, w, C]`: the mean of the distribution, or before it is quantised. */
  readonly latent: Value;
  /** Reconstruction of the input `x`, `[N, H, W, 3]`. */
  readonly y: Value;
  /** Numbers of the codes, where there is a codebook: `[N, h, w]`. */
  readonly ids?: Value;
  /** Scalar to minimise. */
  readonly loss: Value;
  /** More numbers of a step. */
  readonly outputs: Readonly<Record<string, Value>>;
  /** Parameters of the autoencoder. */
  readonly specs: Specs;
  /** Parameters of a discriminator, which are trained too. */
  readonly others: Specs;
  /** Parameters of a detector, which stay. */
  readonly frozen: Specs;
}

/**
 * Builds a training on images, input `x`. Input `noise` is KL's; `started` is 1 from the step on that the discriminator counts.
 *
 * @param size_px Side of the images.
 * @param detector Whose features are compared, if any.
 */
export function buildTraining(
  config: AutoencoderConfig,
  options: LossOptions & { readonly batch_size: number },
  size_px: number,
  detector?: DetectorConfig,
): AutoencoderTraining {
  const specs = new Map<string, ParameterSpec>();
  const others = new Map<string, ParameterSpec>(), frozen = new Map<string, ParameterSpec>();
  const outputs: Record<string, Value> = {};
  const scope = new Scope(new Graph(), specs, "vae/");
  const { graph } = scope;
  const x = graph.input("x", [options.batch_size, size_px, size_px, 3]);
  const pixels = (y: Value) => {
    const { reconstruction = "l1+l2" } = options;
    if (reconstruction === "l2") return mse(y, x);
    const l1 = mean(abs(sub(y, x)));
    return reconstruction === "l1" ? l1 : add(l1, mse(y, x));
  };
  const similarity = (y: Value) => {
    if (!detector) return pixels(y);
    const perceptual = perceptualDistance(new Scope(graph, frozen, DETECTOR), detector, x, y);
    return add(pixels(y), affine(perceptual, options.perceptual_weight ?? PERCEPTUAL_WEIGHT));
  };
  const distance = (y: Value) => {
    const { adversarial } = options, reconstruction = similarity(y);
    if (!adversarial) return reconstruction;
    const { loss, discriminator, generator, balance } = adversarialLoss({
      x,
      y,
      reconstruction,
      last: lookUp(graph.parameters, "vae/decoder.conv_out.weight", "parameters"),
      logits: (images) => discriminate(new Scope(graph, others, DISCRIMINATOR), adversarial, images),
      weight: adversarial.weight,
      started: graph.input("started", [1]),
    });
    Object.assign(outputs, { discriminator, generator, balance });
    return loss;
  };
  const networks = { specs, others, frozen, outputs };
  if (hasCodebook(config)) {
    const latent = encodeLatent(scope, config, x);
    const { code, latent: quantised, ids } = quantise(scope, config, latent);
    const y = decodeLatent(scope, config, quantised, { quantised: true });
    const { codebook_weight: codebook = 0.25, commitment_weight: commitment = 1 } = options;
    const loss = add(distance(y), codebookLoss(latent, code, { codebook, commitment }));
    return { latent, y, loss, ids, ...networks };
  }
  const posterior = encodeImage(scope, config, x);
  const y = decodeLatent(scope, config, sampleLatent(posterior, graph.input("noise", posterior.mean.shape)));
  const kl = mean(divergence(posterior));
  return { latent: posterior.mean, y, loss: add(distance(y), affine(kl, options.kl_weight)), ...networks };
}
