/**
 * Optimisers and learning-rate schedules: Adam and AdamW, SGD with momentum, RMSprop, all with gradient clipping and a
 * moving average of the weights.
 *
 * A step needs no readback: what changes from step to step is an input of the graph.
 *
 * @module
 */

import type { Value } from "../engine/graph.ts";
import { adam, HYPER } from "./adam.ts";
import { add } from "./add.ts";
import { sumOfSquares } from "./add_squares.ts";
import { clipFactor } from "./clip_factor.ts";
import { div } from "./div.ts";
import { mul } from "./mul.ts";
import { scale } from "./scale.ts";
import { sqrt } from "./sqrt.ts";
import { sub } from "./sub.ts";

/** Options of {@linkcode adamUpdates}. */
export interface AdamOptions {
  /** Keeps an exponential moving average of each parameter, `ema/<name>`. */
  readonly ema?: boolean;
  /** Largest norm of all gradients together; longer ones are scaled down to it. */
  readonly clip_norm?: number;
  /** Weight decay as an L2 term of the gradient (Adam) instead of decoupled (AdamW). */
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
  options: AdamOptions = {},
): { updates: [Value, Value][]; squared_norm?: Value } {
  const hyper = graph.input("adam.hyper", [HYPER]);
  const squared_norm = options.clip_norm === undefined ? undefined : sumOfSquares(grads);
  const factor = squared_norm && clipFactor(squared_norm, options.clip_norm);
  const updates: [Value, Value][] = [];
  for (const [k, [name, p]] of [...parameters].entries()) {
    const state = (prefix: string) => graph.parameter(`${prefix}/${name}`, p.shape);
    const old = [p, state("adam.m"), state("adam.v"), ...(options.ema ? [state("ema")] : [])];
    const g = factor ? mul(grads[k], factor) : grads[k];
    const [, m, v, ema] = old as [Value, Value, Value, Value?];
    const next = adam({ p, g, m, v, hyper, ...(ema ? { ema } : {}) }, options.l2);
    old.forEach((value, j) => updates.push([value, next[j]]));
  }
  return squared_norm ? { updates, squared_norm } : { updates };
}

/** Options of {@linkcode momentumUpdates}. */
export interface MomentumOptions {
  /** Share of the last step that is made again; 0.9 when not given. */
  readonly momentum?: number;
  /** Decay of the mean square by whose root gradients are divided, which makes it RMSprop; SGD when not given. */
  readonly alpha?: number;
  /** RMSprop: added to the root; 1e-8 when not given. */
  readonly eps?: number;
  /** Weight decay, an L2 term of the gradient; 0 when not given. */
  readonly weight_decay?: number;
  /** See {@linkcode AdamOptions}. */
  readonly ema?: boolean;
  /** See {@linkcode AdamOptions}. */
  readonly clip_norm?: number;
}

/**
 * Steps of SGD with momentum, or of RMSprop, for all parameters; the arithmetic is torch's.
 *
 * State is in parameters of the graph: `momentum/<name>`, `squares/<name>` (RMSprop) and `ema/<name>`, as for
 * {@linkcode adamUpdates}. Inputs of the graph are `lr` and, with `ema`, `ema.rate`, one minus its decay, both `[1]`.
 *
 * @param parameters Parameters to train, by name.
 * @param grads Their gradients, in the same order.
 * @returns Assignments for the fetches of an executable.
 */
export function momentumUpdates(
  graph: Graph,
  parameters: ReadonlyMap<string, Value>,
  grads: readonly Value[],
  { momentum = 0.9, alpha, eps = 1e-8, weight_decay = 0, ema, clip_norm }: MomentumOptions = {},
): [Value, Value][] {
  const lr = graph.input("lr", [1]);
  const factor = clip_norm === undefined ? undefined : clipFactor(sumOfSquares(grads), clip_norm);
  const updates: [Value, Value][] = [];
  for (const [k, [name, p]] of [...parameters].entries()) {
    const state = (prefix: string) => graph.parameter(`${prefix}/${name}`, p.shape);
    let g = factor ? mul(grads[k], factor) : grads[k];
    if (weight_decay) g = add(g, scale(p, weight_decay));
    if (alpha !== undefined) {
      const squares = state("squares");
      const next = add(scale(squares, alpha), scale(mul(g, g), 1 - alpha));
      updates.push([squares, next]);
      g = div(g, scale(sqrt(next), 1, eps));
    }
    const velocity = state("momentum");
    const step = add(scale(velocity, momentum), g);
    const moved = sub(p, mul(step, lr));
    updates.push([velocity, step], [p, moved]);
    if (ema) {
      const average = state("ema");
      updates.push([average, add(average, mul(sub(moved, average), graph.input("ema.rate", [1])))]);
    }
  }
  return updates;
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
  const [c1, c2] = [1 / (1 - beta1 ** (step + 1)), 1 / (1 - beta2 ** (step + 1))];
  // 1 - beta is taken here: in f32, 1 - 0.999 is wrong by one part in 80,000.
  const rest = [1 - beta1, 1 - beta2, 1 - ema_decay, 0];
  return Float32Array.of(lr, beta1, beta2, eps, weight_decay, c1, c2, grad_scale, ...rest);
}

/** Factor of the base learning rate in a step that counts from 0. */
export type Schedule = (step: number) => number;

const warm = (step: number, warmup: number) => step < warmup ? step / Math.max(1, warmup) : null;

/** A constant rate after a linear warm-up from 0. Source: diffusers `constant_with_warmup`. */
export function constantSchedule(warmup_steps = 0): Schedule {
  return (step) => warm(step, warmup_steps) ?? 1;
}

/** Linear to 0 at `total_steps` after a linear warm-up. Source: diffusers `linear`. */
export function linearSchedule(total_steps: number, warmup_steps = 0): Schedule {
  return (step) =>
    warm(step, warmup_steps) ?? Math.max(0, (total_steps - step) / Math.max(1, total_steps - warmup_steps));
}

/** Half a cosine to 0 at `total_steps` after a linear warm-up. Source: diffusers `cosine`; Loshchilov & Hutter 2016. */
export function cosineSchedule(total_steps: number, warmup_steps = 0): Schedule {
  return (step) => {
    const progress = (step - warmup_steps) / Math.max(1, total_steps - warmup_steps);
    return warm(step, warmup_steps) ?? (1 + Math.cos(Math.PI * Math.min(1, progress))) / 2;
  };
}

/** Multiplied by `gamma` at each milestone. Source: torch `MultiStepLR`. */
export function stepSchedule(milestones: readonly number[], gamma = 0.1): Schedule {
  return (step) => gamma ** milestones.filter((m) => step >= m).length;
}
