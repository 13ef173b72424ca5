import { apply, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/awing.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";
import { add } from "./add.ts";
import { awingGrad } from "./awing_grad.ts";
import { maxPool } from "./max_pool.ts";
import { mul } from "./mul.ts";
import { affine } from "./affine.ts";
import { step } from "./step.ts";
import { mean } from "./sum.ts";

/** Attributes of {@linkcode awingOp}: `omega`, `theta`, `epsilon` and `alpha` of the paper. */
export type AwingAttrs = {
  readonly omega: number;
  readonly theta: number;
  readonly epsilon: number;
  readonly alpha: number;
};

/** Slope `A` and offset `C` of the linear part, which make the loss smooth at `theta`. */
export function awingLine(target: number, { omega, theta, epsilon, alpha }: AwingAttrs): [number, number] {
  const p = alpha - target;
  const q = (theta / epsilon) ** p;
  const slope = omega / (1 + q) * p * (theta / epsilon) ** (p - 1) / epsilon;
  return [slope, theta * slope - omega * Math.log1p(q)];
}

/** `y = omega log(1 + (d / epsilon)^(alpha - t))` where `d < theta`, else `A d - C`; `d = |x - t|`. None flows to `t`. */
export const awingOp: Op<AwingAttrs, 2> = elementwise({
  name: "awing",
  source,
  floats: ({ omega, theta, epsilon, alpha }) => [omega, theta, epsilon, alpha],
  value: ([x, t], attrs) => {
    const d = Math.abs(x - t);
    const [slope, offset] = awingLine(t, attrs);
    return d < attrs.theta ? attrs.omega * Math.log1p((d / attrs.epsilon) ** (attrs.alpha - t)) : slope * d - offset;
  },
  gradient: ({ inputs: [x, t], attrs }, dy) => [awingGrad(x, t, dy, attrs), null],
});

/**
 * Mean adaptive wing loss of heatmaps, with a greater weight near the landmarks of the target.
 *
 * @param x Predicted maps, `[N, H, W, P]`. @param target Maps from 0 to 1, of the same shape.
 * @param options `weighted`: whether pixels with a neighbour of 0.2 or more in the target weigh 11 instead of 1; true by default.
 * @returns `[1]`.
 *
 * Source: Wang et al. 2019, arXiv 1904.07399, eq. 3-5.
 */
export function awingLoss(x: Value, target: Value, { weighted = true }: { weighted?: boolean } = {}): Value {
  const loss = apply(awingOp, [x, target], { omega: 14, theta: 0.5, epsilon: 1, alpha: 2.1 });
  if (!weighted) return mean(loss);
  // 0.2 itself counts, as f32 too.
  const near = step(maxPool(target, { kernel: 3, stride: 1, padding: 1 }), 0.2 - 1e-7);
  return mean(add(loss, mul(loss, affine(near, 10))));
}
