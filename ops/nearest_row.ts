import { apply, dims, elements, type NoAttrs, type Op, showShape, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/nearest_row.wgsl" with { type: "text" };

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
      const L = x.shape.at(-2);
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
  flops: ({ inputs: [table, x] }) => 3 * table.shape[0] * elements(x.shape),
  reference([table, x]) {
    const { V, C } = dims(table, "V C");
    const data = Float64Array.from({ length: x.data.length / C }, (_, r) => {
      let [best, found] = [Infinity, 0];
      for (let v = 0; v < V; v++) {
        let d = 0;
        for (let c = 0; c < C; c++) d += (x.data[r * C + c] - table.data[v * C + c]) ** 2;
        if (d < best) [best, found] = [d, v];
      }
      return found;
    });
    return [{ shape: x.shape.slice(0, -1), data }];
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
