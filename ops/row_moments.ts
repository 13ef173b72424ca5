import { elements, type F64, type NoAttrs, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/row_moments.wgsl" with { type: "text" };
import { add } from "./add.ts";
import { expandTo } from "./expand.ts";
import { mul } from "./mul.ts";
import { scale } from "./scale.ts";
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
      ints: { C: x.shape.at(-1), C4: Math.ceil(x.shape.at(-1) / 4) },
      threads: elements(mean.shape),
    }),
  },
  gradient({ inputs: [x], outputs: [mean] }, [dmean, dvar]) {
    const C = x.shape.at(-1);
    const a = dmean && scale(dmean, 1 / C);
    const b = dvar && mul(sub(x, mean), scale(dvar, 2 / C));
    return [a && b ? add(b, a) : b ?? expandTo(a, x.shape)];
  },
  flops: ({ inputs: [x] }) => 4 * elements(x.shape),
  reference([x]) {
    const C = x.shape.at(-1);
    const rows = x.data.length / C;
    const make = (): F64 => ({ shape: [...x.shape.slice(0, -1), 1], data: new Float64Array(rows) });
    const [mean, variance] = [make(), make()];
    for (let r = 0; r < rows; r++) {
      const row = x.data.subarray(r * C, (r + 1) * C);
      const average = row.reduce((a, b) => a + b) / C;
      mean.data[r] = average;
      variance.data[r] = row.reduce((a, v) => a + (v - average) ** 2, 0) / C;
    }
    return [mean, variance];
  },
};

/**
 * Mean and biased variance of each row.
 *
 * @param x `[..., C]`.
 * @returns Both `[..., 1]`.
 */
export function rowMoments(x: Value): readonly [mean: Value, variance: Value] {
  return x.graph.apply(rowMomentsOp, [x], {}) as readonly Value[] as [Value, Value];
}
