import { apply, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/clip_factor.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";

/** Attributes of {@linkcode clipFactorOp}. */
export type ClipFactorAttrs = { readonly max_norm: number };

/** `y = min(1, max_norm / (sqrt(x) + 1e-6))`, x a squared norm. Source: torch.nn.utils.clip_grad_norm_. */
export const clipFactorOp: Op<ClipFactorAttrs, 1> = elementwise({
  name: "clip_factor",
  source,
  floats: ({ max_norm }) => [max_norm],
  value: ([x], { max_norm }) => Math.min(1, max_norm / (Math.sqrt(x) + 1e-6)),
});

/** The factor that scales gradients of the squared norm `x` down to a norm of at most `max_norm`. */
export function clipFactor(x: Value, max_norm: number): Value {
  return apply(clipFactorOp, [x], { max_norm });
}
