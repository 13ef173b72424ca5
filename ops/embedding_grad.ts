import { apply, elements, extent, type Op, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/embedding_grad.wgsl" with { type: "text" };
import { accumulator, rowsOf } from "./_reference.ts";

/** Attributes of {@linkcode embeddingGradOp}: rows of the table. */
export type EmbeddingGradAttrs = { readonly rows: number };

/** `dtable[v] = sum of dy[r] over the r with ids[r] = v`. */
export const embeddingGradOp: Op<EmbeddingGradAttrs, 2> = {
  name: "embedding_grad",
  bound: "memory",
  shapes: ([, dy], { rows }) => [[rows, extent(dy, -1)]],
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [ids, dy], outputs: [dtable], attrs: { rows } }) => {
      const L = ids.shape.at(-1) ?? 1;
      return {
        source,
        label: "shaders/embedding_grad.wgsl",
        entry: "forward",
        reads: ["ids", "dy"],
        writes: ["dtable"],
        ints: { V: rows, C4: Math.ceil(extent(dy, -1) / 4), M: elements(ids.shape) / L, L, L4: Math.ceil(L / 4) },
        threads: texels(dtable.shape),
      };
    },
  },
  flops: ({ inputs: [, dy] }) => elements(dy.shape),
  reference([ids, dy], { rows }) {
    const C = extent(dy, -1);
    const { sum: dtable, add } = accumulator([rows, C]);
    const DY = rowsOf(dy);
    ids.data.forEach((id, r) => DY[r]?.forEach((d, c) => add(d, id, c)));
    return [dtable];
  },
};

/** Gradient of `embedding` for its table of so many rows. */
export function embeddingGrad(ids: Value, dy: Value, rows: number): Value {
  return apply(embeddingGradOp, [ids, dy], { rows });
}
