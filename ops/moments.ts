import { elements, extent, type F64, type Op, showShape, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/moments.wgsl" with { type: "text" };
import groupMask from "../shaders/_groups.wgsl" with { type: "text" };
import { reader, sumOver, tabulate } from "./_reference.ts";
import { add } from "./add.ts";
import { groupSums } from "./group_sums.ts";
import { chunkRows, momentsPartsOp, rowsOf } from "./moments_parts.ts";
import { mul } from "./mul.ts";
import { sub } from "./sub.ts";

/** Attributes of {@linkcode momentsOp}: groups of channels; rows in a chunk of the parts. */
export type MomentsAttrs = { readonly groups: number; readonly step: number };

/**
 * Mean and variance (biased) of each group of channels, `[N, 1, ..., C]`, merged from those of chunks.
 *
 * Its inputs are the chunks' means and squared deviations, then `x` itself: the kernel does not read it, the gradient
 * flows to it, past the chunks.
 */
export const momentsOp: Op<MomentsAttrs, 3, 2> = {
  name: "moments",
  bound: "memory",
  shapes: ([, , x], { groups }) => {
    const { N, C } = rowsOf(x);
    if (C % groups) throw new TypeError(`Cannot divide the channels of ${showShape(x)} into ${groups} groups`);
    const shape = [N, ...x.slice(1, -1).map(() => 1), C];
    return [shape, shape];
  },
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [parts, , x], outputs: [mean], attrs: { groups, step } }) => {
      const { R, C } = rowsOf(x.shape);
      return {
        source: `${source}\n${groupMask}`,
        label: "shaders/moments.wgsl",
        entry: "forward",
        reads: ["mean_s", "m2_s"],
        writes: ["mean", "var"],
        ints: { R, C, C4: Math.ceil(C / 4), S: extent(parts, 1), G: C / groups, step },
        floats: { count: R * C / groups },
        threads: texels(mean.shape),
      };
    },
  },
  gradient({ inputs: [, , x], outputs: [mean], attrs: { groups } }, [dmean, dvar]) {
    const { R, C } = rowsOf(x.shape);
    const count = R * C / groups;
    const zeros = () => x.graph.constant(new Float32Array(elements(mean.shape)), mean.shape);
    // dx = (sum of dmean + 2 (x - mean) sum of dvar) / count, sums over the group
    const [a, b] = groupSums(dmean ?? zeros(), dvar ?? zeros(), { groups, factors: [1 / count, 2 / count] });
    return [null, null, add(mul(sub(x, mean), b), a)];
  },
  flops: ({ inputs: [parts] }) => 5 * elements(parts.shape),
  reference([, , x], { groups }) {
    const { N, R, C } = rowsOf(x.shape);
    const G = C / groups;
    const X = reader(x, [N, R, groups, G]);
    const over = (term: (r: number, c: number) => number) => sumOver([R, G], term) / (R * G);
    const mean = tabulate([N, groups], (n, g) => over((r, c) => X(n, r, g, c)));
    const M = reader(mean);
    const variance = tabulate([N, groups], (n, g) => over((r, c) => (X(n, r, g, c) - M(n, g)) ** 2));
    const shape = [N, ...x.shape.slice(1, -1).map(() => 1), C];
    const repeated = (of: F64): F64 => {
      const value = reader(of);
      return { shape, data: tabulate([N, groups, G], (n, g) => value(n, g)).data };
    };
    return [repeated(mean), repeated(variance)];
  },
};

/**
 * Mean and biased variance over the inner dimensions and each group of channels; exact for large means too.
 *
 * @param x `[N, ..., C]`.
 * @param groups Divides C; C groups give the moments of each channel.
 * @returns Mean and variance, `[N, 1, ..., C]`, the same for all channels of a group.
 * @throws {TypeError} If `groups` does not divide C.
 */
export function moments(x: Value, groups: number): readonly [mean: Value, variance: Value] {
  const step = chunkRows(x.shape);
  const parts = x.graph.apply(momentsPartsOp, [x], { step });
  return x.graph.apply(momentsOp, [...parts, x], { groups, step });
}
