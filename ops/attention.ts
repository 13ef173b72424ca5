import type { Value } from "../runtime/graph.ts";
import { headScores, headValues } from "./matmul.ts";
import { softmax } from "./softmax.ts";

/** Options of {@linkcode attention}. */
export interface AttentionOptions {
  /** Number of heads; divides the width, and a head's width is a multiple of 4. */
  readonly heads: number;
  /** Whether a query sees only the keys up to its own position. */
  readonly causal?: boolean;
}

/**
 * Attention with several heads: `softmax(Q K^T / sqrt(D)) V` for each head of width D.
 *
 * A composition that stores the scores, `[N, heads, L, T]`: its memory grows with L T.
 *
 * @param q `[N, L, heads * D]`. @param k, v `[N, T, heads * D]`.
 * @returns `[N, L, heads * D]`.
 *
 * Source: Vaswani et al. 2017, arXiv 1706.03762, eq. 1.
 */
export function attention(q: Value, k: Value, v: Value, { heads, causal = false }: AttentionOptions): Value {
  const width = q.shape.at(-1)! / heads;
  return headValues(softmax(headScores(q, k, heads), { scale: 1 / Math.sqrt(width), causal }), v, heads);
}
