import { apply, type NoAttrs, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/gelu.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";
import { geluGrad, normalCdf } from "./gelu_grad.ts";

/** `y = x P(X <= x)`, X standard normal: the exact form with erf. Source: Hendrycks & Gimpel 2016, arXiv 1606.08415. */
export const geluOp: Op<NoAttrs, 1> = elementwise({
  name: "gelu",
  source,
  value: ([x]) => x * normalCdf(x),
  gradient: ({ inputs: [x] }, dy) => [geluGrad(x, dy)],
});

/** Gaussian error linear unit, element-wise, exact. */
export function gelu(x: Value): Value {
  return apply(geluOp, [x], {});
}
