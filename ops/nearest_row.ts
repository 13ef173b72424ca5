import {
  apply,
  dims,
  elements,
  extent,
  type NoAttrs,
  type Op,
  showShape,
  texels,
  type Value,
} from "../engine/graph.ts";
import source from "../shaders/nearest_row.wgsl" with { type: "text" };
import { reader, rowsOf } from "./_reference.ts";

/** `y[r] = argmin over v of |x[r] - table[v]|^2`, the first one of equals. It stops the gradient: a choice has none. */
export const nearestRowOp: Op<NoAttrs, 2> = {
  name: "nearest_row",
  bound: "compute",
  shapes: ([table, x]) => {
    if (table.length !== 2 || x.length < 2 || x.at(-1) !== table[1]) {
      throw new TypeError(
        `Cannot find the rows of a table of shape ${showShape(table)} that are nearest to ${showShape(x)}: ` +
          `[V, C] and [..., C] are expected`,
      );
    }
    return [x.slice(0, -1)];
  },
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [table, x], outputs: [y] }) => {
      const { V, C } = dims(table, "V C");
      const L = extent(x, -2);
      return {
        source,
        label: "shaders/nearest_row.wgsl",
        entry: "forward",
        reads: ["table", "x"],
        writes: ["y"],
        ints: { V, C4: Math.ceil(C / 4), L, L4: Math.ceil(L / 4) },
        threads: texels(y.shape),
      };
    },
  },
  flops: ({ inputs: [table, x] }) => 3 * extent(table, 0) * elements(x.shape),
  reference([table, x]) {
    const V = extent(table, 0);
    const T = reader(table);
    const nearest = rowsOf(x).map((row) => {
      const distance = (v: number) => row.reduce((sum, value, c) => sum + (value - T(v, c)) ** 2, 0);
      const distances = Array.from({ length: V }, (_, v) => distance(v));
      return distances.indexOf(Math.min(...distances));
    });
    return [{ shape: x.shape.slice(0, -1), data: Float64Array.from(nearest) }];
  },
};

/**
 * Numbers of the rows of a table that are nearest, by Euclidean distance: codes of a vector quantisation.
 *
 * @param table `[V, C]`. @param x `[..., L, C]`.
 * @returns `[..., L]`; no gradient flows through it.
 */
export function nearestRow(table: Value, x: Value): Value {
  return apply(nearestRowOp, [table, x], {});
}
