/**
 * The adversarial part of an autoencoder's training, as in VQGAN and latent diffusion: a patch discriminator, the hinge
 * loss, and the adaptive weight.
 *
 *     image [N, H, W, 3] ─ conv 4, stride 2 ─ leaky ReLU
 *        │ (conv 4, stride 2 ─ norm ─ leaky ReLU) x (layers - 1)
 *        │ conv 4 ─ norm ─ leaky ReLU ─ conv 4
 *     logits [N, H/2^layers - 2, W/2^layers - 2, 1], one for each patch: above 0 for true images
 *
 * Two things differ from the original: group norm in place of batch norm, so that the verdict on an image does not depend
 * on its batch; and both networks move in the same step, by gradients at the same weights, so that the autoencoder is
 * computed once.
 *
 * Easy to get wrong: the adaptive weight is a number and no gradient flows through it; the discriminator sees
 * reconstructions as constants. Where it starts late, Adam's bias correction is over by then, and its first steps are up to
 * three times as long as they would be.
 *
 * Source: Isola et al. 2017, arXiv 1611.07004, section 3.2.2; Esser et al. 2021, arXiv 2012.09841, eq. 7;
 * CompVis/latent-diffusion a506df5, ldm/modules/losses/contperceptual.py and taming's discriminator/model.py.
 *
 * @module
 */

import { add } from "../../ops/add.ts";
import { affine } from "../../ops/affine.ts";
import { gradients } from "../../ops/autodiff.ts";
import { clamp } from "../../ops/clamp.ts";
import { div } from "../../ops/div.ts";
import { maximum } from "../../ops/maximum.ts";
import { mul } from "../../ops/mul.ts";
import { relu } from "../../ops/relu.ts";
import { sqrt } from "../../ops/sqrt.ts";
import { stopGradient } from "../../ops/stop_gradient.ts";
import { sub } from "../../ops/sub.ts";
import { mean, sum } from "../../ops/sum.ts";
import { extent, type Value } from "../../engine/graph.ts";
import { itemAt } from "../../engine/lookup.ts";
import { InputError } from "../../formats/input_error.ts";
import { counted } from "../../formats/numbers.ts";
import type { Scope } from "../io/params.ts";
import { convolve, type ConvolveOptions, normalise } from "./layers.ts";

/** Prefix of the discriminator's parameters in a graph. */
export const DISCRIMINATOR = "discriminator/";

/** Size of a discriminator. */
export interface DiscriminatorConfig {
  /** Channels of the first layer, a multiple of {@linkcode GROUPS}; they double up to eight times as many. */
  readonly channels: number;
  /** Layers that halve the side. A logit sees 16, 34 or 70 pixels with 1, 2 or 3. */
  readonly layers: number;
}

/** Groups of the discriminator's normalisations. */
export const GROUPS = 8;

/** Least side of the images, pixels. */
export function leastSide({ layers }: Pick<DiscriminatorConfig, "layers">): number {
  return 3 * 2 ** layers;
}

/** Slope of the leaky ReLU below 0. */
const SLOPE = 0.2;

/**
 * The discriminator.
 *
 * @param scope Of its parameters: `new Scope(graph, specs, "discriminator/")`.
 * @param images `[N, H, W, 3]`, in [-1, 1]; H and W are multiples of `2^layers`, and at least {@linkcode leastSide}.
 * @returns A logit for each patch, `[N, h, w, 1]`.
 * @throws {InputError} If the images are too small.
 */
export function discriminate(scope: Scope, { channels, layers }: DiscriminatorConfig, images: Value): Value {
  const side = Math.min(extent(images, 1), extent(images, 2)), least = leastSide({ layers });
  if (side < least) {
    throw new InputError(
      `Cannot tell images of ${side} pixels apart with ${counted(layers, "layer")}: ${least} are expected`,
    );
  }
  const block = (at: Scope, name: string, x: Value, C: number, options: ConvolveOptions) =>
    convolve(at, name, x, C, { kernel: 4, padding: 1, init: { kind: "normal", std: 0.02 }, ...options });
  const leaky = (x: Value) => maximum(x, affine(x, SLOPE));
  let h = leaky(block(scope, "conv_in", images, channels, { stride: 2 }));
  for (let k = 1; k <= layers; k++) {
    const at = scope.at(`layers.${k - 1}`);
    h = block(at, "conv", h, channels * Math.min(2 ** k, 8), { stride: k < layers ? 2 : 1, bias: false });
    h = leaky(normalise(at, "norm", h, { groups: GROUPS, eps: 1e-5 }));
  }
  return block(scope, "conv_out", h, 1, {});
}

/**
 * Hinge loss of the discriminator: `(mean(relu(1 - true)) + mean(relu(1 + fake))) / 2`.
 *
 * @param onTrue Logits of images.
 * @param onFake Logits of reconstructions.
 */
export function hingeLoss(onTrue: Value, onFake: Value): Value {
  return affine(add(mean(relu(affine(onTrue, -1, 1))), mean(relu(affine(onFake, 1, 1)))), 0.5);
}

/** Inputs of {@linkcode adversarialLoss}. */
export interface AdversarialOptions {
  /** Images. */
  readonly x: Value;
  /** Reconstructions, of the same shape. */
  readonly y: Value;
  /** Distance of the two, a scalar. */
  readonly reconstruction: Value;
  /** Weights of the decoder's last layer, where the two gradients are balanced. */
  readonly last: Value;
  /** Logits of images. */
  readonly logits: (images: Value) => Value;
  /** Weight of the discriminator's verdict relative to that of the reconstruction. */
  readonly weight: number;
  /** 0 before the discriminator starts and 1 from then on, `[1]`. */
  readonly started: Value;
}

/** A loss of both networks. */
export interface Adversarial {
  /**
   * Scalar to minimise. Its value is that of the autoencoder, `reconstruction + balance generator`; its gradient is that of
   * it for the autoencoder and, for the discriminator, that of `started discriminator`.
   */
  readonly loss: Value;
  /** Hinge loss of the discriminator. */
  readonly discriminator: Value;
  /** Minus the mean logit of the reconstructions. */
  readonly generator: Value;
  /** The adaptive weight, times `weight` and `started`. */
  readonly balance: Value;
}

/** Largest ratio of the two gradients, and the number that is added to its denominator. */
const MOST = 1e4, EPS = 1e-4;

/** A value whose numbers are 0 and whose gradient is that of `x`. */
function gradientOnly(x: Value): Value {
  return sub(x, stopGradient(x));
}

/**
 * The loss of an autoencoder with a discriminator. The weight of the discriminator's verdict is adaptive:
 * `weight |d reconstruction / d last| / (|d generator / d last| + 1e-4)`, at most `weight 1e4`.
 */
export function adversarialLoss(options: AdversarialOptions): Adversarial {
  const { x, y, reconstruction, last, logits, weight, started } = options;
  const fake = stopGradient(y);
  const onFake = logits(fake);
  const discriminator = hingeLoss(logits(x), onFake);
  const generator = affine(mean(onFake), -1);

  // Gradients with respect to the reconstruction; each network is differentiated once, by the chain rule from here.
  const gradientOf = (loss: Value, of: Value) => stopGradient(itemAt(gradients(loss, [of]), 0, "gradients"));
  const pull = gradientOf(reconstruction, y), push = gradientOf(generator, fake);
  const norm = (dy: Value) => {
    const d = gradientOf(sum(mul(y, dy)), last);
    return sqrt(sum(mul(d, d)));
  };
  const ratio = clamp(div(norm(pull), affine(norm(push), 1, EPS)), 0, MOST);
  const balance = stopGradient(mul(affine(ratio, weight), started));
  const autoencoder = sum(mul(y, stopGradient(add(pull, mul(push, balance)))));
  const value = stopGradient(add(reconstruction, mul(generator, balance)));
  const loss = add(add(value, gradientOnly(autoencoder)), gradientOnly(mul(discriminator, started)));
  return { loss, discriminator, generator, balance };
}
