import { apply, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/smooth_l1.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";
import { mul } from "./mul.ts";
import { smoothL1Grad } from "./smooth_l1_grad.ts";
import { sub } from "./sub.ts";

/** Attributes of {@linkcode smoothL1Op}: the distance below which the loss is quadratic. */
export type SmoothL1Attrs = { readonly beta: number };

/** `y = s / (2 beta)` where `s < beta^2`, else `sqrt(s) - beta / 2`; `s` is a squared distance. */
export const smoothL1Op: Op<SmoothL1Attrs, 1> = elementwise({
  name: "smooth_l1",
  source,
  floats: ({ beta }) => [beta],
  value: ([s], { beta }) => s < beta * beta ? s / (2 * beta) : Math.sqrt(s) - beta / 2,
  gradient: ({ inputs: [s], attrs: { beta } }, dy) => [smoothL1Grad(s, dy, beta)],
});

/** Smooth L1 of a distance given by its square: of a number's, or of a vector's length. */
export function smoothDistance(squared: Value, beta: number): Value {
  return apply(smoothL1Op, [squared], { beta });
}

/**
 * Smooth L1 (Huber) of each difference `x - y`: quadratic below `beta`, linear above, with slope 1.
 *
 * Source: Girshick 2015, arXiv 1504.08083, eq. 3, with PyTorch's `beta`.
 */
export function smoothL1(x: Value, y: Value, beta = 1): Value {
  const d = sub(x, y);
  return smoothDistance(mul(d, d), beta);
}
