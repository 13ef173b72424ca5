import { elements, extent, type Op, sameShape, showShape, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/normalize_sums.wgsl" with { type: "text" };
import { reader, sumOver, tabulate } from "./_reference.ts";
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
      ints: { R: rowsOf(x.shape).R, S: extent(a, 1), C4: Math.ceil(extent(x, -1) / 4), step },
      threads: texels(a.shape),
    }),
  },
  flops: ({ inputs: [x] }) => 4 * elements(x.shape),
  reference([dy, x, mean], { step }) {
    const { N, R, C } = rowsOf(x.shape);
    const [DY, X, M] = [reader(dy, [N, R, C]), reader(x, [N, R, C]), reader(mean, [N, C])];
    const shape = [N, Math.ceil(R / step), C];
    // Rows beyond the last are zero.
    const over = (term: (n: number, r: number, c: number) => number) =>
      tabulate(shape, (n, s, c) => sumOver([step], (r) => term(n, s * step + r, c)));
    return [over(DY), over((n, r, c) => DY(n, r, c) * (X(n, r, c) - M(n, c)))];
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
  const [a, b] = x.graph.apply(normalizeSumsOp, [dy, x, mean], { step: chunkRows(x.shape) });
  return [reshape(sumMiddle(a), mean.shape), reshape(sumMiddle(b), mean.shape)];
}
