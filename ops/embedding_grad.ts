import { apply, elements, type Op, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/embedding_grad.wgsl" with { type: "text" };

/** Attributes of {@linkcode embeddingGradOp}: rows of the table. */
export type EmbeddingGradAttrs = { readonly rows: number };

/** `dtable[v] = sum of dy[r] over the r with ids[r] = v`. */
export const embeddingGradOp: Op<EmbeddingGradAttrs, 2> = {
  name: "embedding_grad",
  bound: "memory",
  shapes: ([, dy], { rows }) => [[rows, dy.at(-1)]],
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
        ints: { V: rows, C4: Math.ceil(dy.shape.at(-1) / 4), M: elements(ids.shape) / L, L, L4: Math.ceil(L / 4) },
        threads: texels(dtable.shape),
      };
    },
  },
  flops: ({ inputs: [, dy] }) => elements(dy.shape),
  reference([ids, dy], { rows }) {
    const C = dy.shape.at(-1);
    const data = new Float64Array(rows * C);
    dy.data.forEach((d, k) => data[ids.data[Math.floor(k / C)] * C + k % C] += d);
    return [{ shape: [rows, C], data }];
  },
};

/** Gradient of `embedding` for its table of so many rows. */
export function embeddingGrad(ids: Value, dy: Value, rows: number): Value {
  return apply(embeddingGradOp, [ids, dy], { rows });
}
