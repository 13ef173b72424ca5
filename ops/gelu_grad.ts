import { apply, type NoAttrs, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/gelu_grad.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";

/** Cumulative distribution of the standard normal, in f64: `1/2 + p(x) (x + x^3/3 + x^5/(3 5) + ...)`. */
export function normalCdf(x: number): number {
  if (Math.abs(x) > 9) return x > 0 ? 1 : 0;
  let term = x;
  let sum = x;
  for (let n = 3; Math.abs(term) > 1e-18 * Math.abs(sum); n += 2) sum += term *= x * x / n;
  return 0.5 + sum * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
}

/** `dx = dy (P(X <= x) + x p(x))`, X standard normal with density p: the gradient of `gelu`. */
export const geluGradOp: Op<NoAttrs, 2> = elementwise({
  name: "gelu_grad",
  source,
  value: ([x, dy]) => dy * (normalCdf(x) + x * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI)),
});

/** Gradient of `gelu` at `x`, in one kernel. */
export function geluGrad(x: Value, dy: Value): Value {
  return apply(geluGradOp, [x, dy], {});
}
