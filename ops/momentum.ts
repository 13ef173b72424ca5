import type { Op, Value } from "../engine/graph.ts";
import source from "../shaders/momentum.wgsl" with { type: "text" };
import { applyStep, optimizerStep } from "./_optimizer_step.ts";

/** Attributes of {@linkcode momentumOp}: gradients divided by the root of their mean square; a moving average of the parameter. */
export type MomentumAttrs = { readonly squares: boolean; readonly ema: boolean };

/** The numbers of one step, in the order of the `hyper` input. */
export const MOMENTUM_HYPER = [
  "lr",
  "momentum",
  "weight_decay",
  /** One minus the decay of the average of the parameter. */
  "ema_rate",
  /** Decay of the mean square, and one minus it. */
  "alpha",
  "square_rate",
  "eps",
] as const;

/** A tensor's inputs by name; the mean squares and the average are there where they are kept. */
interface Tensors {
  readonly p: Value;
  readonly g: Value;
  readonly velocity: Value;
  readonly squares?: Value | undefined;
  readonly ema?: Value | undefined;
}

/** State that is kept of a tensor from step to step. */
type State = "velocity" | "squares" | "ema";

/**
 * One step of SGD with momentum, or of RMSprop, on any number of tensors: hyper-parameters, then parameter, gradient and
 * velocity (and mean square, and moving average) of each give the new parameter and state of each.
 */
export const momentumOp: Op<MomentumAttrs, number, number> = optimizerStep({
  name: "momentum",
  source,
  hyper: MOMENTUM_HYPER,
  state: (
    { squares, ema },
  ): State[] => ["velocity", ...(squares ? ["squares" as const] : []), ...(ema ? ["ema" as const] : [])],
  constants: ({ squares, ema }) => ({ S: Number(squares), E: Number(ema) }),
  flops: ({ squares, ema }) => 6 + (squares ? 7 : 0) + (ema ? 3 : 0),
  reference(h, { p, g, velocity, squares, ema }, { squares: divided }) {
    const grad = g + h.weight_decay * p;
    const square = h.alpha * squares + h.square_rate * grad ** 2;
    const step = h.momentum * velocity + (divided ? grad / (Math.sqrt(square) + h.eps) : grad);
    const next = p - h.lr * step;
    return { p: next, velocity: step, squares: square, ema: ema + h.ema_rate * (next - ema) };
  },
});

/**
 * One step of SGD with momentum, or of RMSprop, on some tensors; `sgdUpdates` and `rmspropUpdates` of optimizer.ts do it
 * for a whole model.
 *
 * @param hyper The numbers of {@linkcode MOMENTUM_HYPER}.
 * @param tensors Parameter, gradient and velocity of each, and for all or for none of them the mean squares of RMSprop and
 * the moving average.
 * @returns By tensor: new `p`, `velocity` and, where they are given, `squares` and `ema`.
 */
export function momentum(hyper: Value, tensors: readonly Tensors[]): Omit<Tensors, "g">[] {
  const attrs = {
    squares: tensors.some(({ squares }) => squares !== undefined),
    ema: tensors.some(({ ema }) => ema !== undefined),
  };
  const inputs = tensors.map(({ p, g, velocity, squares, ema }) =>
    [p, g, velocity, squares, ema].filter((value) => value !== undefined)
  );
  return applyStep(momentumOp, hyper, inputs, attrs).map(([p, velocity, ...more]) => {
    const squares = attrs.squares ? more.shift() : undefined;
    return { p: p!, velocity: velocity!, squares, ema: more.shift() };
  });
}
