import { apply, elements, type F64, type Op, sameShape, showShape, type Value } from "../runtime/graph.ts";
import { again } from "./again.ts";
import { concat } from "./concat.ts";
import { exp } from "./exp.ts";
import { headScores, headSums, headValues } from "./matmul.ts";
import { mul } from "./mul.ts";
import { permute } from "./permute.ts";
import { reshape } from "./reshape.ts";
import { scale as times } from "./scale.ts";
import { slice } from "./slice.ts";
import { softmaxOp } from "./softmax.ts";
import { sub } from "./sub.ts";
import { sumLast } from "./sum_last.ts";

/** Attributes of {@linkcode attentionOp}. */
export type AttentionAttrs = { readonly heads: number };

/**
 * Attention whose gradient needs no scores: inputs are the result, the logarithms of the sums that divide its weights,
 * `[N, heads, L, 1]`, and q, k and v; the output is the result. Backwards, the weights are computed again from the
 * logarithms, so that a block of queries needs memory for its own only while it is worked on.
 *
 * Source: Dao et al. 2022, arXiv 2205.14135, algorithm 4.
 */
export const attentionOp: Op<AttentionAttrs> = {
  name: "attention",
  bound: "compute",
  shapes: ([y, logs, q, k, v], { heads }) => {
    if (!sameShape(y!, q!) || !sameShape(k!, v!) || !sameShape(logs!, [q![0]!, heads, q![1]!, 1])) {
      throw new TypeError(
        `Cannot attend with ${heads} heads: shapes are ${[y, logs, q, k, v].map((s) => showShape(s!))}`,
      );
    }
    return [y!];
  },
  lowering: { kind: "view" },
  gradient({ inputs: [y, logs, q, k, v], attrs: { heads } }, [dy]) {
    const [N, L, width] = q!.shape as [number, number, number];
    const factor = 1 / Math.sqrt(width / heads);
    const weights = exp(sub(times(headScores(again(q!), k!, heads), factor), logs!));
    // dS = P (dP - sum of P dP), and that sum is the one of y dy over a head.
    const sums = sumLast(reshape(mul(y!, dy!), [N, L, heads, width / heads]));
    const centred = sub(headScores(dy!, v!, heads), permute(sums, [0, 2, 1, 3]));
    const ds = times(mul(weights, centred), factor);
    return [null, null, headValues(ds, k!, heads), headSums(ds, q!, heads), headSums(weights, dy!, heads)];
  },
  flops: () => 0,
  reference([, , q, k, v], { heads }) {
    const [N, L, width] = q!.shape as [number, number, number];
    const [T, D] = [k!.shape[1]!, width / heads];
    const y: F64 = { shape: q!.shape, data: new Float64Array(elements(q!.shape)) };
    for (let n = 0; n < N; n++) {
      for (let h = 0; h < heads; h++) {
        for (let l = 0; l < L; l++) {
          const at = (t: number, d: number, length: number) => (n * length + t) * width + h * D + d;
          const powers = Array.from({ length: T }, (_, t) => {
            let score = 0;
            for (let d = 0; d < D; d++) score += q!.data[at(l, d, L)]! * k!.data[at(t, d, T)]!;
            return Math.exp(score / Math.sqrt(D));
          });
          const sum = powers.reduce((a, b) => a + b);
          powers.forEach((p, t) => {
            for (let d = 0; d < D; d++) y.data[at(l, d, L)]! += p / sum * v!.data[at(t, d, T)]!;
          });
        }
      }
    }
    return [y];
  },
};

/** Options of {@linkcode attention}. */
export interface AttentionOptions {
  /** Number of heads; divides the width, and a head's width is a multiple of 4. */
  readonly heads: number;
  /** Whether a query sees only the keys up to its own position. */
  readonly causal?: boolean;
  /**
   * Most scores that are kept for the gradient, `N heads L T`; more are worked off in blocks of queries and computed again
   * backwards, which takes up to 17 % more time (SPEED.md). 2^24 (64 MiB) when not given.
   */
  readonly most_scores?: number;
}

/**
 * Attention with several heads: `softmax(Q K^T / sqrt(D)) V` for each head of width D.
 *
 * Scores that are too many to keep are there for a block of queries at a time, forwards and backwards, so that memory
 * grows with L + T.
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
  const attend = (q: Value) => {
    const [weights, logs] = q.graph.apply(softmaxOp, [headScores(q, k, heads)], { scale, causal }) as [Value, Value];
    return { y: headValues(weights, v, heads), logs };
  };
  const rows = Math.max(1, Math.floor(most_scores / (N * heads * k.shape[1]!)));
  // The mask counts queries from 0. Only texts are masked, and they are short.
  if (rows >= L || causal) return attend(q).y;
  const blocks: Value[] = [];
  for (let row = 0; row < L; row += rows) {
    const some = slice(q, 1, row, Math.min(rows, L - row));
    const { y, logs } = attend(some);
    blocks.push(apply(attentionOp, [y, logs, some, k, v], { heads }));
  }
  return concat(blocks, 1);
}
