import { apply, dims, type NoAttrs, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/winograd_filter.wgsl" with { type: "text" };
import { directWorkgroup } from "./_gemm.ts";
import { filterStride, G, leftRight, matrix, tabulateFilters } from "./_winograd.ts";
import { reader } from "./_reference.ts";

/** `u = G f G^T` for the 3x3 filters of each pair of channels. */
export const winogradFilterOp: Op<NoAttrs, 1> = {
  name: "winograd_filter",
  bound: "memory",
  cached: true,
  shapes: ([f]) => {
    const { I, O } = dims(f, "KH KW I O");
    return [[36, 4 * filterStride(I, O)]];
  },
  lowering: {
    kind: "kernel",
    kernel({ inputs: [f] }, target) {
      const { I, O } = dims(f, "KH KW I O");
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
    const { I, O } = dims(f, "KH KW I O");
    const F = reader(f);
    return [tabulateFilters(I, O, (i, o) => leftRight(G, matrix(3, 3, (r, c) => F(r, c, i, o))))];
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
