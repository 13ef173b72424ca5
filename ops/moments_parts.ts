import { dims, elements, extent, type Op, type Shape, showShape, texels } from "../engine/graph.ts";
import source from "../shaders/moments_parts.wgsl" with { type: "text" };
import { reader, sumOver, tabulate } from "./_reference.ts";

/** Attributes of {@linkcode momentsPartsOp}: rows in a chunk; the last may be shorter. */
export type MomentsPartsAttrs = { readonly step: number };

/** `x` as rows of channels: `[N, R, C]`. */
export function rowsOf(x: Shape): { N: number; R: number; C: number } {
  if (x.length < 2) throw new TypeError(`Cannot take moments of ${showShape(x)}: [N, ..., C] is expected`);
  const { N, C } = dims(x, "N ... C");
  return { N, R: elements(x.slice(1, -1)), C };
}

/**
 * Rows in a chunk for reductions over R: enough invocations to fill a GPU, and at most 64 rows in one, so that
 * the rounding error of a chunk stays small.
 */
export function chunkRows(x: Shape): number {
  const { N, R, C } = rowsOf(x);
  const parts = Math.max(Math.ceil(R / 64), Math.min(Math.ceil(R / 16), Math.ceil(4096 / (N * Math.ceil(C / 4)))));
  return Math.ceil(R / parts);
}

/** Mean and sum of squared deviations of each channel over each chunk of rows, `[N, S, C]`. */
export const momentsPartsOp: Op<MomentsPartsAttrs, 1, 2> = {
  name: "moments_parts",
  bound: "memory",
  shapes: ([x], { step }) => {
    const { N, R, C } = rowsOf(x);
    return [[N, Math.ceil(R / step), C], [N, Math.ceil(R / step), C]];
  },
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [x], outputs: [mean], attrs: { step } }) => ({
      source,
      label: "shaders/moments_parts.wgsl",
      entry: "forward",
      reads: ["x"],
      writes: ["mean", "m2"],
      fusable: ["x"],
      ints: { R: rowsOf(x.shape).R, S: extent(mean, 1), C4: Math.ceil(extent(x, -1) / 4), step },
      threads: texels(mean.shape),
    }),
  },
  flops: ({ inputs: [x] }) => 4 * elements(x.shape),
  reference([x], { step }) {
    const { N, R, C } = rowsOf(x.shape);
    const X = reader(x, [N, R, C]);
    const shape = [N, Math.ceil(R / step), C];
    const rows = (s: number) => Math.min(step, R - s * step);
    const mean = tabulate(shape, (n, s, c) => sumOver([rows(s)], (r) => X(n, s * step + r, c)) / rows(s));
    const M = reader(mean);
    const m2 = tabulate(shape, (n, s, c) => sumOver([rows(s)], (r) => (X(n, s * step + r, c) - M(n, s, c)) ** 2));
    return [mean, m2];
  },
};
