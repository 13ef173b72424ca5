/**
 * Optimizers: Adam and AdamW, SGD with momentum, and RMSprop, with gradient clipping and a moving average of the weights.
 *
 * A step needs no readback: numbers that change from step to step are inputs of the graph.
 *
 * @module
 */

import type { Graph, Value } from "../engine/graph.ts";
import { itemAt } from "../engine/lookup.ts";
import { adam, HYPER, type Hyper } from "./adam.ts";
import { add } from "./add.ts";
import { sumOfSquares } from "./add_squares.ts";
import { clipFactor } from "./clip_factor.ts";
import { div } from "./div.ts";
import { isFinite } from "./is_finite.ts";
import { momentum, MOMENTUM_HYPER } from "./momentum.ts";
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
interface Clipping {
  /** Squared norm of all gradients together; only with a norm to clip to. */
  readonly squared_norm?: Value;
  /** One where all gradients are finite, else zero; only with a scale of the loss. */
  readonly finite?: Value;
  /** A gradient, scaled. */
  apply(g: Value): Value;
}

/** Clips gradients, and divides them by the scale of the loss. */
function clipping(grads: readonly Value[], { clip_norm, loss_scale }: UpdateOptions): Clipping {
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
interface Trained {
  readonly p: Value;
  readonly g: Value;
  state(prefix: string): Value;
}

/** Pairs parameters with their gradients, clipped. */
function* trained(
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

/** Options of {@linkcode adamUpdates}. */
export interface AdamOptions extends UpdateOptions {
  /** True for weight decay as an L2 term of the gradient (Adam) instead of decoupled (AdamW). */
  readonly l2?: boolean;
}

/**
 * Steps of Adam (or AdamW, when the decay is not zero) for all parameters.
 *
 * State is in parameters of the graph: `adam.m/<name>` and `adam.v/<name>` start as zeros, `ema/<name>` as a copy of the
 * parameter. The hyper-parameters are the graph input `adam.hyper`, see {@linkcode adamHyper}.
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
  const hyper = finite ? where(finite, given, graph.constant(numbersOf(NO_STEP), [HYPER.length])) : given;
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

/** Hyper-parameters of one step of Adam. */
export interface AdamHyper {
  /** Step size. */
  readonly lr: number;
  /** Decay of the first moment, default 0.9. */
  readonly beta1?: number;
  /** Decay of the second moment, default 0.999. */
  readonly beta2?: number;
  /** Added to the root of the second moment, default 1e-8. */
  readonly eps?: number;
  /** Weight decay, default 0. */
  readonly weight_decay?: number;
  /** Factor of the gradients, default 1. */
  readonly grad_scale?: number;
  /** Decay of the moving average of the weights, default 0.999. */
  readonly ema_decay?: number;
}

/**
 * The value of `adam.hyper` for a step.
 *
 * @param step Counts from 0: the number of steps made before.
 */
export function adamHyper(step: number, hyper: AdamHyper): Float32Array {
  const { lr, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0, grad_scale = 1, ema_decay = 0.999 } = hyper;
  const values: Hyper = {
    lr,
    beta1,
    beta2,
    eps,
    weight_decay,
    m_correction: 1 / (1 - beta1 ** (step + 1)),
    v_correction: 1 / (1 - beta2 ** (step + 1)),
    grad_scale,
    m_rate: 1 - beta1,
    v_rate: 1 - beta2,
    ema_rate: 1 - ema_decay,
  };
  return numbersOf(values);
}

/** A step of Adam that changes nothing, if its gradients are zeros. */
const NO_STEP: Hyper = {
  lr: 0,
  beta1: 1,
  beta2: 1,
  eps: 1,
  weight_decay: 0,
  m_correction: 1,
  v_correction: 1,
  grad_scale: 1,
  m_rate: 0,
  v_rate: 0,
  ema_rate: 0,
};

/** Hyper-parameters in the order of the op's input. */
function numbersOf(hyper: Hyper): Float32Array {
  return Float32Array.from(HYPER, (name) => hyper[name]);
}
