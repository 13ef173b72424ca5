import { apply, type F64, type NoAttrs, type Op, type Shape, showShape, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/eigen_2x2.wgsl" with { type: "text" };
import { eigen2x2Grad } from "./eigen_2x2_grad.ts";

/** Runs `f` on each row of tensors of the given widths: plain loops for per-landmark arithmetic. */
export function eachRow(inputs: readonly F64[], width: number, f: (...rows: Float64Array[]) => number[]): F64[] {
  const shape: Shape = [...inputs[0].shape.slice(0, -1), width];
  const rows = inputs[0].data.length / inputs[0].shape.at(-1);
  const data = new Float64Array(rows * width);
  for (let r = 0; r < rows; r++) {
    const slices = inputs.map(({ shape, data }) => data.subarray(r * shape.at(-1), (r + 1) * shape.at(-1)));
    data.set(f(...slices), r * width);
  }
  return [{ shape, data }];
}

/**
 * Eigenvalues, ascending, and the unit eigenvector of the larger of `[[xx, xy], [xy, yy]]`: `[xx, yy, xy]` to
 * `[low, high, cos, sin]`, row by row. The other eigenvector is `(-sin, cos)`.
 */
export const eigen2x2Op: Op<NoAttrs, 1> = {
  name: "eigen_2x2",
  bound: "memory",
  shapes: ([m]) => {
    if (m.at(-1) !== 3) throw new TypeError(`Cannot decompose ${showShape(m)}: rows of xx, yy, xy are expected`);
    return [[...m.slice(0, -1), 4]];
  },
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [m] }) => ({
      source,
      label: "shaders/eigen_2x2.wgsl",
      entry: "forward",
      reads: ["m"],
      writes: ["y"],
      fusable: ["m"],
      threads: texels(m.shape),
    }),
  },
  gradient: ({ outputs: [y] }, [dy]) => [eigen2x2Grad(y, dy)],
  flops: ({ inputs: [m] }) => 20 * texels(m.shape),
  reference: (inputs) =>
    eachRow(inputs, 4, (m) => {
      const [xx, yy, xy] = m as unknown as [number, number, number];
      const gap = Math.hypot((xx - yy) / 2, xy);
      const angle = Math.atan2(xy, (xx - yy) / 2) / 2;
      return [(xx + yy) / 2 - gap, (xx + yy) / 2 + gap, Math.cos(angle), Math.sin(angle)];
    }),
};

/** Decomposes symmetric matrices of two rows: `[..., 3]` (xx, yy, xy) to `[..., 4]` (low, high, cos, sin). */
export function eigen2x2(m: Value): Value {
  return apply(eigen2x2Op, [m], {});
}
