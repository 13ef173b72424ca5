import { apply, extent, type Op, showShape, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/concat.wgsl" with { type: "text" };
import { around, reader, tabulate } from "./_reference.ts";
import { slice } from "./slice.ts";

/** Attributes of {@linkcode concatOp}: the dimension along which the tensors follow each other. */
export type ConcatAttrs = { readonly axis: number };

/** `y = [a, b]` along one dimension. */
export const concatOp: Op<ConcatAttrs, 2> = {
  name: "concat",
  bound: "memory",
  f16: () => "follows",
  shapes: ([a, b], { axis }) => {
    if (a.length !== b.length || a.some((n, d) => d !== axis && n !== b[d]) || !(axis in a)) {
      throw new TypeError(`Cannot concatenate ${showShape(a)} and ${showShape(b)} along dimension ${axis}`);
    }
    return [a.map((n, d) => d === axis ? n + extent(b, axis) : n)];
  },
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [a, b], outputs: [y], attrs: { axis } }) => {
      const innermost = axis === a.shape.length - 1;
      const [A, B] = [extent(a, axis), extent(b, axis)];
      const common = {
        source,
        label: "shaders/concat.wgsl",
        reads: ["a", "b"],
        writes: ["y"],
        threads: texels(y.shape),
      };
      const [A4, B4] = [Math.ceil(A / 4), Math.ceil(B / 4)];
      if (innermost && A % 4) {
        return { ...common, entry: "shifted", ints: { A, A4, B: B4, inner: Math.ceil((A + B) / 4) } };
      }
      return {
        ...common,
        entry: "blocks",
        fusable: ["a", "b"],
        ints: innermost ? { A: A4, A4, B: B4, inner: 1 } : { A, A4, B, inner: texels(a.shape.slice(axis + 1)) },
      };
    },
  },
  gradient: ({ inputs: [a, b], attrs: { axis } }, [dy]) => [
    slice(dy, axis, 0, extent(a, axis)),
    slice(dy, axis, extent(a, axis), extent(b, axis)),
  ],
  flops: () => 0,
  reference([a, b], { axis }) {
    const [outer, A, inner] = around(a.shape, axis);
    const B = extent(b, axis);
    const [first, second] = [reader(a, [outer, A, inner]), reader(b, [outer, B, inner])];
    const { data } = tabulate([outer, A + B, inner], (o, k, i) => k < A ? first(o, k, i) : second(o, k - A, i));
    return [{ shape: a.shape.map((n, d) => d === axis ? A + B : n), data }];
  },
};

/**
 * Joins tensors along a dimension; the others must be equal.
 *
 * @param axis Counted from the outermost; the innermost (channels) by default.
 */
export function concat(values: readonly Value[], axis?: number): Value {
  return values.reduce((a, b) => apply(concatOp, [a, b], { axis: axis ?? a.shape.length - 1 }));
}
