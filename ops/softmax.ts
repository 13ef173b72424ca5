import { apply, elements, type Op, showShape, type Value } from "../engine/graph.ts";
import source from "../shaders/softmax.wgsl" with { type: "text" };
import { add } from "./add.ts";
import { mul } from "./mul.ts";
import { scale as times } from "./scale.ts";
import { sub } from "./sub.ts";
import { sumLast } from "./sum_last.ts";

/** Attributes of {@linkcode softmaxOp}. */
export type SoftmaxAttrs = { readonly scale: number; readonly causal: boolean };

/** `y = softmax(scale x)` over the innermost dimension, and the logarithm of the sum that divides it, `l = log(sum exp(scale x))`. */
export const softmaxOp: Op<SoftmaxAttrs> = {
  name: "softmax",
  bound: "memory",
  shapes: ([x], { causal }) => {
    if (causal && x!.at(-2)! > x!.at(-1)!) {
      throw new TypeError(`Cannot mask ${showShape(x!)} causally: a row would see no column`);
    }
    return [x!, [...x!.slice(0, -1), 1]];
  },
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [x], attrs: { scale, causal } }) => {
      const T = x!.shape.at(-1)!;
      return {
        source,
        label: "shaders/softmax.wgsl",
        entry: "forward",
        reads: ["x"],
        writes: ["y", "l"],
        ints: { T, T4: Math.ceil(T / 4), L: x!.shape.at(-2) ?? 1, causal: Number(causal) },
        floats: { s: scale },
        threads: elements(x!.shape) / T,
      };
    },
  },
  // dx = s y (dy - sum of dy y + dl)
  gradient({ outputs: [y], attrs: { scale } }, [dy, dl]) {
    const centred = dy && sub(dy, sumLast(mul(dy, y!)));
    return [times(mul(y!, centred && dl ? add(centred, dl) : (centred ?? dl)!), scale)];
  },
  flops: ({ inputs: [x] }) => 8 * elements(x!.shape),
  reference([x], { scale, causal }) {
    const [L, T] = [x!.shape.at(-2) ?? 1, x!.shape.at(-1)!];
    const data = new Float64Array(x!.data.length);
    const logs = new Float64Array(x!.data.length / T);
    for (let r = 0; r < data.length / T; r++) {
      const columns = causal ? (r % L) + 1 + T - L : T;
      const row = [...x!.data.subarray(r * T, r * T + columns)].map((v) => v * scale);
      const most = Math.max(...row);
      const powers = row.map((v) => Math.exp(v - most));
      const sum = powers.reduce((a, b) => a + b);
      powers.forEach((p, c) => data[r * T + c] = p / sum);
      logs[r] = most + Math.log(sum);
    }
    return [{ shape: x!.shape, data }, { shape: [...x!.shape.slice(0, -1), 1], data: logs }];
  },
};

/**
 * Softmax over the innermost dimension.
 *
 * @param x `[..., L, T]`.
 * @param options `scale` multiplies `x` first, default 1; `causal` lets row l see the first `l + 1 + T - L` columns.
 */
export function softmax(x: Value, { scale = 1, causal = false }: { scale?: number; causal?: boolean } = {}): Value {
  return apply(softmaxOp, [x], { scale, causal });
}
