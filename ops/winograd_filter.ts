import { apply, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/winograd_filter.wgsl" with { type: "text" };
import { directWorkgroup } from "./_gemm.ts";
import { both, filterStride, G } from "./_winograd.ts";

/** `u = G f G^T` for the 3x3 filters of each pair of channels. */
export const winogradFilterOp: Op<Record<string, never>> = {
  name: "winograd_filter",
  bound: "memory",
  cached: true,
  shapes: ([f]) => [[36, 4 * filterStride(f![2]!, f![3]!)]],
  lowering: {
    kind: "kernel",
    kernel({ inputs: [f] }, target) {
      const [, , I, O] = f!.shape as [number, number, number, number];
      return {
        source,
        label: "shaders/winograd_filter.wgsl",
        entry: "forward",
        reads: ["f"],
        writes: ["u"],
        ints: { stride: filterStride(I, O) },
        threads: I * Math.ceil(O / 4),
        workgroup: directWorkgroup(target),
      };
    },
  },
  flops: () => 0,
  reference([f]) {
    const [, , I, O] = f!.shape as [number, number, number, number];
    const stride = 4 * filterStride(I, O);
    const data = new Float64Array(36 * stride);
    for (let i = 0; i < I; i++) {
      for (let o = 0; o < O; o++) {
        const taps = [0, 1, 2].map((r) => [0, 1, 2].map((c) => f!.data[((r * 3 + c) * I + i) * O + o]!));
        both(G, taps).flat().forEach((v, place) => data[place * stride + i * 4 * Math.ceil(O / 4) + o] = v);
      }
    }
    return [{ shape: [36, stride], data }];
  },
};

/**
 * Filters, ready for {@linkcode winogradProduct}.
 *
 * @param f `[3, 3, I, O]`.
 * @returns A matrix `[I, O]` for each of the 36 places.
 */
export function winogradFilter(f: Value): Value {
  return apply(winogradFilterOp, [f], {});
}
