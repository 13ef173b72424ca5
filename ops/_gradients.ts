/**
 * Gradients as optimizers take them: divided by the scale of the loss, clipped, and paired with their parameters.
 *
 * @module
 */

import type { Graph, Value } from "../engine/graph.ts";
import { sumOfSquares } from "./add_squares.ts";
import { clipFactor } from "./clip_factor.ts";
import { div } from "./div.ts";
import { isFinite } from "./is_finite.ts";
import { mul } from "./mul.ts";
import { unscale } from "./unscale.ts";
import { where } from "./where.ts";

/** Options that all optimizers have. */
export interface UpdateOptions {
  /** True to keep an exponential moving average of each parameter, `ema/<name>`. */
  readonly ema?: boolean;
  /** Largest norm of all gradients together; longer ones are scaled down to it. */
  readonly clip_norm?: number;
  /**
   * Factor of the loss whose gradients are given, `[1]`: they are divided by it, and a step whose gradients are not finite
   * changes nothing.
   */
  readonly loss_scale?: Value | undefined;
}

/** Changes of all gradients of a step. */
export interface Clipping {
  /** Squared norm of all gradients together; only with a norm to clip to. */
  readonly squared_norm?: Value;
  /** One where all gradients are finite, else zero; only with a scale of the loss. */
  readonly finite?: Value;
  /** A gradient, scaled. */
  apply(g: Value): Value;
}

/** Clips gradients, and divides them by the scale of the loss. */
export function clipping(grads: readonly Value[], { clip_norm, loss_scale }: UpdateOptions): Clipping {
  if (!loss_scale) {
    if (clip_norm === undefined) return { apply: (g) => g };
    const squared_norm = sumOfSquares(grads);
    const factor = clipFactor(squared_norm, clip_norm);
    return { squared_norm, apply: (g) => mul(g, factor) };
  }
  const { graph } = loss_scale;
  const squares = sumOfSquares(grads);
  const finite = isFinite(squares);
  const inverse = div(graph.constant([1], [1]), loss_scale);
  const squared_norm = mul(squares, mul(inverse, inverse));
  const scale = clip_norm === undefined ? inverse : mul(inverse, clipFactor(squared_norm, clip_norm));
  const factor = where(finite, scale, graph.constant([0], [1]));
  return { finite, ...(clip_norm === undefined ? {} : { squared_norm }), apply: (g) => unscale(g, factor) };
}

/** A parameter, its gradient, and a function that makes a state tensor of its shape, `<prefix>/<name>`. */
export interface Trained {
  readonly p: Value;
  readonly g: Value;
  state(prefix: string): Value;
}

/** Pairs parameters with their gradients, clipped. */
export function* trained(
  graph: Graph,
  parameters: ReadonlyMap<string, Value>,
  grads: readonly Value[],
  clip: Clipping,
): Generator<Trained> {
  for (const [k, [name, p]] of [...parameters].entries()) {
    const g = grads[k];
    if (!g) throw new TypeError(`Cannot update "${name}": ${grads.length} gradients are given`);
    yield { p, g: clip.apply(g), state: (prefix) => graph.parameter(`${prefix}/${name}`, p.shape) };
  }
}
