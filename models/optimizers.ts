/**
 * The optimizers that a training may have. A new one is a function in `ops/optimizer.ts` and a row here: the trainer, its
 * checkpoints and the option `optimizer` of the training stages go by it.
 *
 * @module
 */

import type { Graph, Value } from "../engine/graph.ts";
import { adamHyper } from "../ops/adam.ts";
import { adamUpdates, rmspropUpdates, sgdUpdates } from "../ops/optimizer.ts";

/** Options that are fixed in the graph. */
export interface OptimizerOptions {
  /** Largest norm of all gradients together. */
  readonly clip_norm: number;
  /** Weight decay. */
  readonly weight_decay: number;
  /** Factor of the loss whose gradients are given: they are divided by it, and where they are not finite nothing moves. */
  readonly loss_scale?: Value | undefined;
}

/** Numbers of one step. */
export interface StepHyper {
  /** Learning rate. */
  readonly lr: number;
  /** Weight decay. */
  readonly weight_decay: number;
  /** Decay of the moving average of the parameters. */
  readonly ema_decay: number;
}

/** An optimizer. */
export interface Optimizer {
  /** Name in a few words. */
  readonly doc: string;
  /** Prefixes of its state among the parameters of the graph, `PREFIX/NAME`; all start as zeros. */
  readonly state: readonly string[];
  /**
   * Assignments that move the parameters, with a moving average of each, `ema/NAME`.
   *
   * @param parameters Parameters to train, by name.
   * @param grads Their gradients, in the same order.
   */
  updates(
    graph: Graph,
    parameters: ReadonlyMap<string, Value>,
    grads: readonly Value[],
    options: OptimizerOptions,
  ): readonly (readonly [Value, Value])[];
  /**
   * Inputs of the graph in a step.
   *
   * @param step Steps made before.
   */
  inputs(step: number, hyper: StepHyper): Readonly<Record<string, ArrayLike<number>>>;
}

/** Inputs of {@linkcode sgdUpdates} and of {@linkcode rmspropUpdates}. */
const rates: Optimizer["inputs"] = (_, { lr, ema_decay }) => ({ lr: [lr], "ema.rate": [1 - ema_decay] });

const adam: Optimizer = {
  doc: "AdamW",
  state: ["adam.m", "adam.v"],
  updates: (graph, parameters, grads, { clip_norm, loss_scale }) =>
    adamUpdates(graph, parameters, grads, { ema: true, clip_norm, loss_scale }).updates,
  inputs: (step, hyper) => ({ "adam.hyper": adamHyper(step, hyper) }),
};

const sgd: Optimizer = {
  doc: "SGD with momentum 0.9",
  state: ["momentum"],
  updates: (graph, parameters, grads, options) => sgdUpdates(graph, parameters, grads, { ema: true, ...options }),
  inputs: rates,
};

const rmsprop: Optimizer = {
  doc: "RMSprop",
  state: ["momentum", "squares"],
  updates: (graph, parameters, grads, options) => rmspropUpdates(graph, parameters, grads, { ema: true, ...options }),
  inputs: rates,
};

/** Every optimizer, the default one first. */
export const OPTIMIZERS = { adam, sgd, rmsprop } as const;

/** Name of an optimizer. */
export type OptimizerKind = keyof typeof OPTIMIZERS;

/** Names of all optimizers, the default one first. */
export const OPTIMIZER_NAMES: readonly [OptimizerKind, ...OptimizerKind[]] = Object.keys(OPTIMIZERS) as [
  OptimizerKind,
  ...OptimizerKind[],
];

/** The optimizer of a name; the default one without a name. */
export function optimizerOf(name: OptimizerKind = OPTIMIZER_NAMES[0]): Optimizer {
  return OPTIMIZERS[name];
}
