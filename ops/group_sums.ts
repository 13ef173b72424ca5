import { elements, type Op, sameShape, showShape, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/group_sums.wgsl" with { type: "text" };

/** Attributes of {@linkcode groupSumsOp}: groups of channels, and a factor for the sums of each input. */
export type GroupSumsAttrs = { readonly groups: number; readonly factors: readonly [number, number] };

/** Sums of two small tensors `[N, ..., C]` over groups of channels, each repeated for all channels of its group. */
export const groupSumsOp: Op<GroupSumsAttrs, 2, 2> = {
  name: "group_sums",
  bound: "memory",
  shapes: ([a, b], { groups }) => {
    if (!sameShape(a, b) || a.at(-1) % groups) {
      throw new TypeError(`Cannot sum ${showShape(a)} and ${showShape(b)} over ${groups} groups of channels`);
    }
    return [a, b];
  },
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [a], attrs: { groups, factors } }) => {
      const C = a.shape.at(-1);
      return {
        source,
        label: "shaders/group_sums.wgsl",
        entry: "forward",
        reads: ["a", "b"],
        writes: ["p", "q"],
        fusable: ["a", "b"],
        ints: { C, C4: Math.ceil(C / 4), G: C / groups },
        floats: { f: factors[0], g: factors[1] },
        threads: texels(a.shape),
      };
    },
  },
  gradient: (node, [dp, dq]) => {
    const zeros = node.inputs[0].graph.constant(
      new Float32Array(elements(node.inputs[0].shape)),
      node.inputs[0].shape,
    );
    return groupSums(dp ?? zeros, dq ?? zeros, node.attrs);
  },
  reference: (inputs, { groups, factors }) =>
    inputs.map(({ shape, data }, k) => {
      const G = shape.at(-1) / groups;
      const sums = new Float64Array(data.length / G);
      data.forEach((v, i) => sums[Math.floor(i / G)] += v * factors[k]);
      return { shape, data: data.map((_, i) => sums[Math.floor(i / G)]) };
    }),
};

/** `factors[0]` times the group sums of `a`, and `factors[1]` times those of `b`; both in the inputs' shape. */
export function groupSums(a: Value, b: Value, attrs: GroupSumsAttrs): readonly [Value, Value] {
  return a.graph.apply(groupSumsOp, [a, b], attrs) as [Value, Value];
}
