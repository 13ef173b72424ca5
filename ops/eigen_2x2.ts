import { apply, type NoAttrs, type Op, showShape, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/eigen_2x2.wgsl" with { type: "text" };
import { fromRows, rowsOf } from "./_reference.ts";
import { eigen2x2Grad } from "./eigen_2x2_grad.ts";

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
  reference: ([m]) => {
    const rows = rowsOf(m).map(([xx = 0, yy = 0, xy = 0]) => {
      const gap = Math.hypot((xx - yy) / 2, xy);
      const angle = Math.atan2(xy, (xx - yy) / 2) / 2;
      return [(xx + yy) / 2 - gap, (xx + yy) / 2 + gap, Math.cos(angle), Math.sin(angle)];
    });
    return [fromRows([...m.shape.slice(0, -1), 4], rows)];
  },
};

/** Decomposes symmetric matrices of two rows: `[..., 3]` (xx, yy, xy) to `[..., 4]` (low, high, cos, sin). */
export function eigen2x2(m: Value): Value {
  return apply(eigen2x2Op, [m], {});
}
