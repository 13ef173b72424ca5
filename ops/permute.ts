import { apply, elements, extent, type Op, type Shape, showShape, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/permute.wgsl" with { type: "text" };
import { reader } from "./_reference.ts";

/** Attributes of {@linkcode permuteOp}: dimension `k` of the result is dimension `order[k]` of the input. */
export type PermuteAttrs = { readonly order: readonly number[] };

/** Elements between neighbours along a dimension. */
function stride(shape: Shape, axis: number): number {
  return elements(shape.slice(axis + 1));
}

/** `y` is `x` with its dimensions in another order; at most five. */
export const permuteOp: Op<PermuteAttrs, 1> = {
  name: "permute",
  bound: "memory",
  f16: () => "follows",
  shapes: ([x], { order }) => {
    if (x.length > 5 || [...order].sort().some((d, k) => d !== k) || order.length !== x.length) {
      throw new TypeError(`Cannot permute ${showShape(x)} to the order ${showShape(order)}`);
    }
    return [order.map((d) => extent(x, d))];
  },
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [x], outputs: [y], attrs: { order } }) => {
      const padded = [...x.shape.slice(0, -1), Math.ceil(extent(x, -1) / 4) * 4];
      const axes = [
        ...Array.from({ length: 5 - order.length }, () => ({ size: 1, step: 0 })),
        ...order.map((d) => ({ size: extent(x, d), step: stride(padded, d) })),
      ];
      const last = extent(y, -1);
      const kept = order.at(-1) === order.length - 1;
      return {
        source,
        label: "shaders/permute.wgsl",
        entry: kept ? "blocks" : "lanes",
        reads: ["x"],
        writes: ["y"],
        ...(kept ? { fusable: ["x"] } : {}),
        ints: {
          ...Object.fromEntries(axes.slice(1, 4).map(({ size }, k) => [`n${k + 1}`, size])),
          ...Object.fromEntries(axes.map(({ step }, k) => [`s${k}`, step])),
          last,
          last4: Math.ceil(last / 4),
        },
        threads: texels(y.shape),
      };
    },
  },
  gradient: ({ attrs: { order } }, [dy]) => [permute(dy, order.map((_, d) => order.indexOf(d)))],
  flops: () => 0,
  reference([x], { order }) {
    const shape = order.map((d) => extent(x, d));
    const axes = order.map((d, k) => ({ size: extent(x, d), from: stride(x.shape, d), to: stride(shape, k) }));
    const X = reader(x, [elements(shape)]);
    const at = (e: number) => axes.reduce((sum, { size, from, to }) => sum + Math.floor(e / to) % size * from, 0);
    return [{ shape, data: x.data.map((_, e) => X(at(e))) }];
  },
};

/** Puts the dimensions of `x` in another order: dimension `k` of the result is dimension `order[k]` of `x`. */
export function permute(x: Value, order: readonly number[]): Value {
  return order.every((d, k) => d === k) ? x : apply(permuteOp, [x], { order });
}
