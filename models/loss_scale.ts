/**
 * Loss scaling of mixed precision: the loss is multiplied by a power of two, so that small gradients do not vanish as f16;
 * it is halved after a step whose gradients are not finite, which changes nothing else, and doubled after many that are.
 *
 * Nothing waits for it: the scale is a parameter of the graph, kept in checkpoints.
 *
 * Source: Micikevicius et al. 2018, arXiv 1710.03740, section 3.2; the numbers are those of torch.amp.GradScaler, except
 * that a scale grows after 500 steps in place of 2,000.
 *
 * @module
 */

import type { Graph, Value } from "../engine/graph.ts";
import { affine } from "../ops/affine.ts";
import { sumOfSquares } from "../ops/add_squares.ts";
import { isFinite } from "../ops/is_finite.ts";
import { maximum } from "../ops/maximum.ts";
import { minimum } from "../ops/minimum.ts";
import { mul } from "../ops/mul.ts";
import { step } from "../ops/step.ts";
import { where } from "../ops/where.ts";

/** Scale of the first step. */
const FIRST = 2 ** 16;
/** Least and largest scale. */
const [LEAST, MOST] = [1, 2 ** 24];
/** Steps with finite gradients, one after the other, after which the scale is doubled. */
const GROWTH_INTERVAL = 500;

/** Prefix of the state among the parameters of the graph. */
const LOSS_SCALE = "loss_scale";

/** State that starts as zeros: the scale minus {@linkcode FIRST}, and the number of finite steps since it changed. */
function stateOf(graph: Graph) {
  return { above: graph.parameter(`${LOSS_SCALE}/above`, [1]), steps: graph.parameter(`${LOSS_SCALE}/steps`, [1]) };
}

/** The scale of the loss, `[1]`. */
export function lossScale(graph: Graph): Value {
  return affine(stateOf(graph).above, 1, FIRST);
}

/**
 * Assignments that change the scale after a step.
 *
 * @param grads The gradients of the scaled loss.
 */
export function lossScaleUpdates(graph: Graph, grads: readonly Value[]): [Value, Value][] {
  const { above, steps } = stateOf(graph);
  const number = (value: number) => graph.constant([value], [1]);
  const scale = lossScale(graph);
  const finite = isFinite(sumOfSquares(grads));
  const next = affine(steps, 1, 1);
  const full = step(next, GROWTH_INTERVAL - 0.5);
  const grown = minimum(mul(scale, affine(full, 1, 1)), number(MOST));
  const shrunk = maximum(affine(scale, 0.5), number(LEAST));
  return [
    [above, affine(where(finite, grown, shrunk), 1, -FIRST)],
    [steps, where(finite, mul(next, affine(full, -1, 1)), number(0))],
  ];
}
