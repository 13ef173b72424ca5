import type { Value } from "../runtime/graph.ts";
import { concat } from "./concat.ts";
import { headScores, headValues } from "./matmul.ts";
import { slice } from "./slice.ts";
import { softmax } from "./softmax.ts";

/** Options of {@linkcode attention}. */
export interface AttentionOptions {
  /** Number of heads; divides the width, and a head's width is a multiple of 4. */
  readonly heads: number;
  /** Whether a query sees only the keys up to its own position. */
  readonly causal?: boolean;
  /** Most scores that one tensor may hold, `N heads L T`; more are worked off in blocks of queries. 2^24 (64 MiB) when not given. */
  readonly most_scores?: number;
}

/**
 * Attention with several heads: `softmax(Q K^T / sqrt(D)) V` for each head of width D.
 *
 * A composition that stores the scores, `[N, heads, L, T]`, of a block of queries at a time: a sampler's memory grows with
 * T, a training's with L T, as the gradient needs all scores.
 *
 * @param q `[N, L, heads * D]`. @param k, v `[N, T, heads * D]`.
 * @returns `[N, L, heads * D]`.
 *
 * Source: Vaswani et al. 2017, arXiv 1706.03762, eq. 1.
 */
export function attention(q: Value, k: Value, v: Value, options: AttentionOptions): Value {
  const { heads, causal = false, most_scores = 2 ** 24 } = options;
  const [N, L, width] = q.shape as [number, number, number];
  const scale = 1 / Math.sqrt(width / heads);
  const attend = (q: Value) => headValues(softmax(headScores(q, k, heads), { scale, causal }), v, heads);
  const rows = Math.max(1, Math.floor(most_scores / (N * heads * k.shape[1]!)));
  // The mask counts queries from 0. Only texts are masked, and they are short.
  if (rows >= L || causal) return attend(q);
  const blocks: Value[] = [];
  for (let row = 0; row < L; row += rows) blocks.push(attend(slice(q, 1, row, Math.min(rows, L - row))));
  return concat(blocks, 1);
}
