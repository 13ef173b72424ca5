import { apply, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/awing_grad.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";
import { type AwingAttrs, awingLine } from "./awing.ts";

/** The gradient of `awing` with respect to the prediction. */
export const awingGradOp: Op<AwingAttrs, 3> = elementwise({
  name: "awing_grad",
  source,
  floats: ({ omega, theta, epsilon, alpha }) => [omega, theta, epsilon, alpha],
  value: ([x, t, dy], attrs) => {
    const { omega, theta, epsilon, alpha } = attrs;
    const [d, p] = [Math.abs(x - t), alpha - t];
    const bent = omega * p * (d / epsilon) ** (p - 1) / epsilon / (1 + (d / epsilon) ** p);
    return dy * Math.sign(x - t) * (d < theta ? bent : awingLine(t, attrs)[0]);
  },
});

/** Gradient of `awing` at predictions `x` and targets `t`. */
export function awingGrad(x: Value, t: Value, dy: Value, attrs: AwingAttrs): Value {
  return apply(awingGradOp, [x, t, dy], attrs);
}
