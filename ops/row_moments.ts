import { elements, extent, type NoAttrs, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/row_moments.wgsl" with { type: "text" };
import { fromRows, rowsOf } from "./_reference.ts";
import { add } from "./add.ts";
import { expandTo } from "./expand.ts";
import { mul } from "./mul.ts";
import { affine } from "./affine.ts";
import { sub } from "./sub.ts";

/** Mean and biased variance over the innermost dimension: `[..., C]` to `[..., 1]`. */
export const rowMomentsOp: Op<NoAttrs, 1, 2> = {
  name: "row_moments",
  bound: "memory",
  shapes: ([x]) => [[...x.slice(0, -1), 1], [...x.slice(0, -1), 1]],
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [x], outputs: [mean] }) => ({
      source,
      label: "shaders/row_moments.wgsl",
      entry: "forward",
      reads: ["x"],
      writes: ["mean", "var"],
      fusable: ["x"],
      ints: { C: extent(x, -1), C4: Math.ceil(extent(x, -1) / 4) },
      threads: elements(mean.shape),
    }),
  },
  gradient({ inputs: [x], outputs: [mean] }, [dmean, dvar]) {
    const C = extent(x, -1);
    const a = dmean && affine(dmean, 1 / C);
    const b = dvar && mul(sub(x, mean), affine(dvar, 2 / C));
    if (a && b) return [add(b, a)];
    return [b ?? (a && expandTo(a, x.shape))];
  },
  flops: ({ inputs: [x] }) => 4 * elements(x.shape),
  reference([x]) {
    const C = extent(x, -1);
    const shape = [...x.shape.slice(0, -1), 1];
    const rows = rowsOf(x).map((row) => {
      const mean = row.reduce((a, b) => a + b) / C;
      return { mean, variance: row.reduce((a, v) => a + (v - mean) ** 2, 0) / C };
    });
    return [fromRows(shape, rows.map(({ mean }) => [mean])), fromRows(shape, rows.map(({ variance }) => [variance]))];
  },
};

/**
 * Mean and biased variance of each row.
 *
 * @param x `[..., C]`.
 * @returns Both `[..., 1]`.
 */
export function rowMoments(x: Value): readonly [mean: Value, variance: Value] {
  return x.graph.apply(rowMomentsOp, [x], {});
}
