import { apply, type NoAttrs, type Op, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/eigen_2x2_grad.wgsl" with { type: "text" };
import { fromRows, rowsOf } from "./_reference.ts";

/**
 * The gradient of `eigen_2x2`, from its result. Where both eigenvalues are equal no direction is an eigenvector more
 * than another; the eigenvectors' gradient counts as zero there.
 */
export const eigen2x2GradOp: Op<NoAttrs, 2> = {
  name: "eigen_2x2_grad",
  bound: "memory",
  shapes: ([y]) => [[...y.slice(0, -1), 3]],
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [y] }) => ({
      source,
      label: "shaders/eigen_2x2_grad.wgsl",
      entry: "forward",
      reads: ["y", "dy"],
      writes: ["dm"],
      fusable: ["y", "dy"],
      threads: texels(y.shape),
    }),
  },
  flops: ({ inputs: [y] }) => 20 * texels(y.shape),
  reference: ([y, dy]) => {
    const gradients = rowsOf(dy);
    const rows = rowsOf(y).map(([low = 0, high = 0, c = 0, s = 0], r) => {
      const [dlow = 0, dhigh = 0, dc = 0, ds = 0] = gradients[r] ?? [];
      // d high = v v^T, d low the same for the other vector, d angle = (cos 2a dxy - sin 2a (dxx - dyy) / 2) / (high - low)
      const turn = high > low ? (c * ds - s * dc) / (high - low) : 0;
      return [
        dhigh * c * c + dlow * s * s - turn * c * s,
        dhigh * s * s + dlow * c * c + turn * c * s,
        2 * (dhigh - dlow) * c * s + turn * (c * c - s * s),
      ];
    });
    return [fromRows([...y.shape.slice(0, -1), 3], rows)];
  },
};

/** Gradient of `eigen2x2` with respect to the matrices, given its result `y`. */
export function eigen2x2Grad(y: Value, dy: Value): Value {
  return apply(eigen2x2GradOp, [y, dy], {});
}
