/**
 * Optimizers: Adam and AdamW, SGD with momentum, and RMSprop, with gradient clipping and a moving average of the weights.
 *
 * A step needs no readback: numbers that change from step to step are inputs of the graph.
 *
 * @module
 */

import type { Graph, Value } from "../engine/graph.ts";
import { itemAt } from "../engine/lookup.ts";
import { adam, HYPER, NO_STEP } from "./adam.ts";
import { add } from "./add.ts";
import { clipping, trained, type UpdateOptions } from "./_gradients.ts";
import { momentum, MOMENTUM_HYPER } from "./momentum.ts";
import { mul } from "./mul.ts";
import { where } from "./where.ts";

/** Options of {@linkcode adamUpdates}. */
export interface AdamOptions extends UpdateOptions {
  /** True for weight decay as an L2 term of the gradient (Adam) instead of decoupled (AdamW). */
  readonly l2?: boolean;
}

/**
 * Steps of Adam (or AdamW, when the decay is not zero) for all parameters.
 *
 * State is in parameters of the graph: `adam.m/<name>` and `adam.v/<name>` start as zeros, `ema/<name>` as a copy of the
 * parameter. The hyper-parameters are the graph input `adam.hyper`, see `adamHyper` of adam.ts.
 *
 * @param parameters Parameters to train, by name.
 * @param grads Their gradients, in the same order.
 * @returns Assignments for the fetches of an executable, and the norm of all gradients before clipping, squared: `[1]`,
 * present with `clip_norm`.
 */
export function adamUpdates(
  graph: Graph,
  parameters: ReadonlyMap<string, Value>,
  grads: readonly Value[],
  { ema = false, l2 = false, ...options }: AdamOptions = {},
): { updates: [Value, Value][]; squared_norm?: Value } {
  const given = graph.input("adam.hyper", [HYPER.length]);
  const clip = clipping(grads, options);
  const { squared_norm, finite } = clip;
  const hyper = finite ? where(finite, given, graph.constant(NO_STEP, [HYPER.length])) : given;
  const tensors = [...trained(graph, parameters, grads, clip)].map(({ p, g, state }) => ({
    p,
    g,
    m: state("adam.m"),
    v: state("adam.v"),
    ema: ema ? state("ema") : undefined,
  }));
  const updates = adam(hyper, tensors, l2).flatMap((next, k): [Value, Value][] => {
    const { p, m, v, ema } = itemAt(tensors, k, "tensors");
    return [[p, next.p], [m, next.m], [v, next.v], ...(ema && next.ema ? [[ema, next.ema] as [Value, Value]] : [])];
  });
  return squared_norm ? { updates, squared_norm } : { updates };
}

/** Options of {@linkcode sgdUpdates}. */
export interface SgdOptions extends UpdateOptions {
  /** Share of the last step that is repeated; 0.9 when not given. */
  readonly momentum?: number;
  /** Weight decay, an L2 term of the gradient; by default 0. */
  readonly weight_decay?: number;
}

/**
 * Steps of SGD with momentum for all parameters; the arithmetic is torch's.
 *
 * State is in parameters of the graph: `momentum/<name>` and `ema/<name>`, as for {@linkcode adamUpdates}. Inputs of the
 * graph are `lr` and, with `ema`, `ema.rate`, one minus its decay, both `[1]`.
 *
 * @param parameters Parameters to train, by name.
 * @param grads Their gradients, in the same order.
 * @returns Assignments for the fetches of an executable.
 */
export function sgdUpdates(
  graph: Graph,
  parameters: ReadonlyMap<string, Value>,
  grads: readonly Value[],
  { momentum = 0.9, weight_decay = 0, ema = false, ...options }: SgdOptions = {},
): [Value, Value][] {
  return momentumUpdates(graph, parameters, grads, { ema, ...options }, { momentum, weight_decay });
}

/** Options of {@linkcode rmspropUpdates}. */
export interface RmspropOptions extends SgdOptions {
  /** Share of the last step that is repeated; by default 0. */
  readonly momentum?: number;
  /** Decay of the mean square by whose root gradients are divided; 0.99 when not given. */
  readonly alpha?: number;
  /** Added to the root; by default 1e-8. */
  readonly eps?: number;
}

/**
 * Steps of RMSprop for all parameters; the arithmetic is torch's.
 *
 * State and inputs are those of {@linkcode sgdUpdates}, and the mean squares, `squares/<name>`.
 *
 * @param parameters Parameters to train, by name.
 * @param grads Their gradients, in the same order.
 * @returns Assignments for the fetches of an executable.
 *
 * Source: Graves 2013, arXiv 1308.0850, without the centring of eq. 38-45.
 */
export function rmspropUpdates(
  graph: Graph,
  parameters: ReadonlyMap<string, Value>,
  grads: readonly Value[],
  { alpha = 0.99, momentum = 0, eps = 1e-8, weight_decay = 0, ema = false, ...options }: RmspropOptions = {},
): [Value, Value][] {
  return momentumUpdates(graph, parameters, grads, { ema, ...options }, { momentum, weight_decay, alpha, eps });
}

/** Numbers of {@linkcode sgdUpdates}, and with `alpha` those of {@linkcode rmspropUpdates}. */
interface MomentumNumbers {
  readonly momentum: number;
  readonly weight_decay: number;
  readonly alpha?: number;
  readonly eps?: number;
}

/** Steps of SGD, or of RMSprop. */
function momentumUpdates(
  graph: Graph,
  parameters: ReadonlyMap<string, Value>,
  grads: readonly Value[],
  { ema = false, ...options }: UpdateOptions,
  numbers: MomentumNumbers,
): [Value, Value][] {
  const clip = clipping(grads, options);
  const hyper = momentumHyper(graph, numbers, ema, clip.finite);
  const tensors = [...trained(graph, parameters, grads, clip)].map(({ p, g, state }) => ({
    p,
    g,
    velocity: state("momentum"),
    squares: numbers.alpha === undefined ? undefined : state("squares"),
    ema: ema ? state("ema") : undefined,
  }));
  return momentum(hyper, tensors).flatMap((next, k) => {
    const old = itemAt(tensors, k, "tensors");
    return (["velocity", "squares", "p", "ema"] as const).flatMap((name): [Value, Value][] => {
      const [before, after] = [old[name], next[name]];
      return before && after ? [[before, after]] : [];
    });
  });
}

/** Hyper-parameters of a step of SGD or RMSprop, of which the graph's inputs are two. */
function momentumHyper(
  graph: Graph,
  { momentum, weight_decay, alpha = 1, eps = 1 }: MomentumNumbers,
  ema: boolean,
  finite: Value | undefined,
): Value {
  const constant = (numbers: Partial<Record<typeof MOMENTUM_HYPER[number], number>>) =>
    graph.constant(Float32Array.from(MOMENTUM_HYPER, (name) => numbers[name] ?? 0), [MOMENTUM_HYPER.length]);
  let hyper = constant({ momentum, weight_decay, alpha, square_rate: 1 - alpha, eps });
  hyper = add(hyper, mul(graph.input("lr", [1]), constant({ lr: 1 })));
  if (ema) hyper = add(hyper, mul(graph.input("ema.rate", [1]), constant({ ema_rate: 1 })));
  // A step that changes nothing, as gradients are zeros then.
  return finite ? where(finite, hyper, constant({ momentum: 1, alpha: 1, eps: 1 })) : hyper;
}
