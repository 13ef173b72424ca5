import { elements, type F64, type Op, type Shape, showShape, texels } from "../engine/graph.ts";
import source from "../shaders/moments_parts.wgsl" with { type: "text" };

/** Attributes of {@linkcode momentsPartsOp}: rows in a chunk; the last may be shorter. */
export type MomentsPartsAttrs = { readonly step: number };

/** `x` as rows of channels: `[N, R, C]`. */
export function rowsOf(x: Shape): { N: number; R: number; C: number } {
  if (x.length < 2) throw new TypeError(`Cannot take moments of ${showShape(x)}: [N, ..., C] is expected`);
  return { N: x[0], R: elements(x.slice(1, -1)), C: x.at(-1) };
}

/**
 * Rows in a chunk for reductions over R: enough invocations to fill a GPU, and at most 64 rows in one so that what a
 * chunk's rounding adds up stays small.
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
      ints: { R: rowsOf(x.shape).R, S: mean.shape[1], C4: Math.ceil(x.shape.at(-1) / 4), step },
      threads: texels(mean.shape),
    }),
  },
  flops: ({ inputs: [x] }) => 4 * elements(x.shape),
  reference([x], { step }) {
    const { N, R, C } = rowsOf(x.shape);
    const S = Math.ceil(R / step);
    const make = (): F64 => ({ shape: [N, S, C], data: new Float64Array(N * S * C) });
    const [mean, m2] = [make(), make()];
    for (let n = 0; n < N; n++) {
      for (let s = 0; s < S; s++) {
        for (let c = 0; c < C; c++) {
          const values: number[] = [];
          for (let r = s * step; r < Math.min(R, (s + 1) * step); r++) values.push(x.data[(n * R + r) * C + c]);
          const average = values.reduce((a, b) => a + b) / values.length;
          mean.data[(n * S + s) * C + c] = average;
          m2.data[(n * S + s) * C + c] = values.reduce((a, v) => a + (v - average) ** 2, 0);
        }
      }
    }
    return [mean, m2];
  },
};
