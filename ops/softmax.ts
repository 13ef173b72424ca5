import { elements, extent, type Op, showShape, type Value } from "../engine/graph.ts";
import source from "../shaders/softmax.wgsl" with { type: "text" };
import { fromRows, rowsOf } from "./_reference.ts";
import { add } from "./add.ts";
import { mul } from "./mul.ts";
import { affine as times } from "./affine.ts";
import { sub } from "./sub.ts";
import { sumLast } from "./sum_last.ts";

/** Attributes of {@linkcode softmaxOp}. */
export type SoftmaxAttrs = { readonly scale: number; readonly causal: boolean };

/** `y = softmax(scale x)` over the innermost dimension, and the logarithm of the sum that divides it, `l = log(sum exp(scale x))`. */
export const softmaxOp: Op<SoftmaxAttrs, 1, 2> = {
  name: "softmax",
  bound: "memory",
  shapes: ([x], { causal }) => {
    if (causal && x.length > 1 && extent(x, -2) > extent(x, -1)) {
      throw new TypeError(`Cannot mask ${showShape(x)} causally: a row would see no column`);
    }
    return [x, [...x.slice(0, -1), 1]];
  },
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [x], attrs: { scale, causal } }) => {
      const T = extent(x, -1);
      return {
        source,
        label: "shaders/softmax.wgsl",
        entry: "forward",
        reads: ["x"],
        writes: ["y", "l"],
        ints: { T, T4: Math.ceil(T / 4), L: x.shape.at(-2) ?? 1, causal: Number(causal) },
        floats: { s: scale },
        threads: elements(x.shape) / T,
      };
    },
  },
  // dx = s y (dy - sum of dy y + dl)
  gradient({ outputs: [y], attrs: { scale } }, [dy, dl]) {
    const centred = dy && sub(dy, sumLast(mul(dy, y)));
    const ds = centred && dl ? add(centred, dl) : centred ?? dl;
    return [ds && times(mul(y, ds), scale)];
  },
  flops: ({ inputs: [x] }) => 8 * elements(x.shape),
  reference([x], { scale, causal }) {
    const [L, T] = [x.shape.at(-2) ?? 1, extent(x, -1)];
    const rows = rowsOf(x).map((row, r) => {
      const seen = [...row.subarray(0, causal ? r % L + 1 + T - L : T)].map((v) => v * scale);
      const most = Math.max(...seen);
      const log = most + Math.log(seen.reduce((sum, v) => sum + Math.exp(v - most), 0));
      return { y: seen.map((v) => Math.exp(v - log)), log };
    });
    return [
      fromRows(x.shape, rows.map(({ y }) => y)),
      fromRows([...x.shape.slice(0, -1), 1], rows.map(({ log }) => [log])),
    ];
  },
};

/**
 * Softmax over the innermost dimension.
 *
 * @param x `[..., L, T]`.
 * @param options `scale` multiplies `x` first, default 1; `causal` lets row l see the first `l + 1 + T - L` columns.
 */
export function softmax(x: Value, { scale = 1, causal = false }: { scale?: number; causal?: boolean } = {}): Value {
  const [y] = x.graph.apply(softmaxOp, [x], { scale, causal });
  return y;
}
