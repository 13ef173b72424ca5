import { elements, type F64, type Op, sameShape, showShape, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/normalize_sums.wgsl" with { type: "text" };
import { chunkRows, rowsOf } from "./moments_parts.ts";
import { reshape } from "./reshape.ts";
import { sumMiddle } from "./sum.ts";

/** Attributes of {@linkcode normalizeSumsOp}: rows in a chunk. */
export type NormalizeSumsAttrs = { readonly step: number };

/** Sums of `dy` and of `dy (x - mean)` over chunks of rows, `[N, S, C]`: both reductions of a norm's gradient in one pass. */
export const normalizeSumsOp: Op<NormalizeSumsAttrs, 3, 2> = {
  name: "normalize_sums",
  bound: "memory",
  shapes: ([dy, x, mean], { step }) => {
    const { N, R, C } = rowsOf(x);
    if (!sameShape(dy, x) || elements(mean) !== N * C) {
      throw new TypeError(`Cannot sum over ${showShape(dy)} and ${showShape(x)} with means ${showShape(mean)}`);
    }
    return [[N, Math.ceil(R / step), C], [N, Math.ceil(R / step), C]];
  },
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [, x], outputs: [a], attrs: { step } }) => ({
      source,
      label: "shaders/normalize_sums.wgsl",
      entry: "forward",
      reads: ["dy", "x", "mean"],
      writes: ["a", "b"],
      fusable: ["dy", "x"],
      ints: { R: rowsOf(x.shape).R, S: a.shape[1], C4: Math.ceil(x.shape.at(-1) / 4), step },
      threads: texels(a.shape),
    }),
  },
  flops: ({ inputs: [x] }) => 4 * elements(x.shape),
  reference([dy, x, mean], { step }) {
    const { N, R, C } = rowsOf(x.shape);
    const S = Math.ceil(R / step);
    const make = (): F64 => ({ shape: [N, S, C], data: new Float64Array(N * S * C) });
    const [a, b] = [make(), make()];
    dy.data.forEach((d, k) => {
      const [c, row] = [k % C, Math.floor(k / C)];
      const n = Math.floor(row / R);
      const at = (n * S + Math.floor((row % R) / step)) * C + c;
      a.data[at] += d;
      b.data[at] += d * (x.data[k] - mean.data[n * C + c]);
    });
    return [a, b];
  },
};

/**
 * Sums of `dy` and of `dy (x - mean)` over the inner dimensions.
 *
 * @param dy `[N, ..., C]`, as `x`.
 * @param mean `[N, 1, ..., C]`.
 * @returns Both in the shape of `mean`.
 */
export function normalizeSums(dy: Value, x: Value, mean: Value): [Value, Value] {
  const parts = x.graph.apply(normalizeSumsOp, [dy, x, mean], { step: chunkRows(x.shape) });
  return parts.map((part) => reshape(sumMiddle(part), mean.shape)) as [Value, Value];
}
