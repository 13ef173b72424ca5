import { apply, dims, extent, type NoAttrs, type Op, showShape, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/embedding.wgsl" with { type: "text" };
import { fromRows, rowsOf } from "./_reference.ts";
import { embeddingGrad } from "./embedding_grad.ts";

/** `y[r] = table[ids[r]]`; an id outside the table takes its first or last row. */
export const embeddingOp: Op<NoAttrs, 2> = {
  name: "embedding",
  bound: "memory",
  shapes: ([table, ids]) => {
    if (table.length !== 2) {
      throw new TypeError(
        `Cannot look up ${showShape(ids)} in a table of shape ${showShape(table)}: [V, C] is expected`,
      );
    }
    return [[...ids, extent(table, 1)]];
  },
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [table, ids], outputs: [y] }) => {
      const L = ids.shape.at(-1) ?? 1;
      const { V, C } = dims(table, "V C");
      return {
        source,
        label: "shaders/embedding.wgsl",
        entry: "forward",
        reads: ["table", "ids"],
        writes: ["y"],
        ints: { V, C4: Math.ceil(C / 4), L, L4: Math.ceil(L / 4) },
        threads: texels(y.shape),
      };
    },
  },
  gradient: ({ inputs: [table, ids] }, [dy]) => [embeddingGrad(ids, dy, extent(table, 0)), null],
  flops: () => 0,
  reference([table, ids]) {
    const rows = rowsOf(table);
    return [fromRows([...ids.shape, extent(table, 1)], [...ids.data].map((id) => rows[id] ?? []))];
  },
};

/**
 * Rows of a table.
 *
 * @param table `[V, C]`. @param ids Row numbers, `[...]`.
 * @returns `[..., C]`.
 */
export function embedding(table: Value, ids: Value): Value {
  return apply(embeddingOp, [table, ids], {});
}
