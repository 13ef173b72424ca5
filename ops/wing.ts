import { apply, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/wing.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";
import { wingGrad } from "./wing_grad.ts";

/** Attributes of {@linkcode wingOp}: width of the logarithmic part, and how strongly it is bent. */
export type WingAttrs = { readonly omega: number; readonly epsilon: number };

/** `y = omega log(1 + d / epsilon)` where `d < omega`, else `d - C`; `d = sqrt(max(s, 1e-6))`, `s` a squared distance. */
export const wingOp: Op<WingAttrs, 1> = elementwise({
  name: "wing",
  source,
  floats: ({ omega, epsilon }) => [omega, epsilon],
  value: ([s], { omega, epsilon }) => {
    const d = Math.sqrt(Math.max(s, 1e-6));
    return d < omega ? omega * Math.log1p(d / epsilon) : d - omega + omega * Math.log1p(omega / epsilon);
  },
  gradient: ({ inputs: [s], attrs }, dy) => [wingGrad(s, dy, attrs)],
});

/**
 * Wing loss of distances given by their squares, as in STAR, with its constants by default.
 *
 * Source: Feng et al. 2018, arXiv 1711.06753, eq. 5.
 */
export function wingDistance(squared: Value, { omega = 0.01, epsilon = 2 }: Partial<WingAttrs> = {}): Value {
  return apply(wingOp, [squared], { omega, epsilon });
}
