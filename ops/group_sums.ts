import { elements, extent, type F64, type Op, sameShape, showShape, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/group_sums.wgsl" with { type: "text" };
import groupMask from "../shaders/_groups.wgsl" with { type: "text" };
import { reader, sumOver, tabulate } from "./_reference.ts";

/** Attributes of {@linkcode groupSumsOp}: groups of channels, and a factor for the sums of each input. */
export type GroupSumsAttrs = { readonly groups: number; readonly factors: readonly [number, number] };

/** Sums of two small tensors `[N, ..., C]` over groups of channels, each repeated for all channels of its group. */
export const groupSumsOp: Op<GroupSumsAttrs, 2, 2> = {
  name: "group_sums",
  bound: "memory",
  shapes: ([a, b], { groups }) => {
    if (!sameShape(a, b) || extent(a, -1) % groups) {
      throw new TypeError(`Cannot sum ${showShape(a)} and ${showShape(b)} over ${groups} groups of channels`);
    }
    return [a, b];
  },
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [a], attrs: { groups, factors } }) => {
      const C = extent(a, -1);
      return {
        source: `${source}\n${groupMask}`,
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
  gradient: ({ inputs: [a], attrs }, [dp, dq]) => {
    const zeros = a.graph.constant(new Float32Array(elements(a.shape)), a.shape);
    return groupSums(dp ?? zeros, dq ?? zeros, attrs);
  },
  reference([a, b], { groups, factors: [f, g] }) {
    const summed = (x: F64, factor: number): F64 => {
      const C = extent(x, -1);
      const rows = elements(x.shape) / C;
      const X = reader(x, [rows, groups, C / groups]);
      const sums = reader(tabulate([rows, groups], (r, k) => factor * sumOver([C / groups], (c) => X(r, k, c))));
      return { shape: x.shape, data: tabulate([rows, groups, C / groups], (r, k) => sums(r, k)).data };
    };
    return [summed(a, f), summed(b, g)];
  },
};

/** `factors[0]` times the group sums of `a`, and `factors[1]` times those of `b`; both in the inputs' shape. */
export function groupSums(a: Value, b: Value, attrs: GroupSumsAttrs): readonly [Value, Value] {
  return a.graph.apply(groupSumsOp, [a, b], attrs);
}
