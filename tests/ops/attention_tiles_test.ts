import { attentionTilesOp } from "../../ops/attention_tiles.ts";
import { type AttentionTilesGradAttrs, attentionTilesGradOp } from "../../ops/attention_tiles_grad.ts";
import { type Case, checkOp } from "../check_op.ts";

/** Batch, queries, keys, heads and their width: less than a tile, more than one, lengths that end in a tile. */
const SIZES = [[1, 1, 1, 1, 4], [2, 5, 7, 3, 8], [2, 70, 37, 2, 12], [1, 66, 77, 1, 160]] as const;
const all = [...SIZES.map((sizes) => ({ sizes, causal: false })), { sizes: [1, 35, 37, 2, 12], causal: true }] as const;

checkOp(
  attentionTilesOp,
  all.map(({ sizes: [N, L, T, heads, D], causal }) => ({
    shapes: [[N, L, heads * D], [N, T, heads * D], [N, T, heads * D]],
    attrs: { heads, causal },
  })),
);

checkOp(
  attentionTilesGradOp,
  all.flatMap(({ sizes: [N, L, T, heads, D], causal }) =>
    (["q", "k", "v"] as const).map((wrt): Case<AttentionTilesGradAttrs> => ({
      shapes: [
        [N, L, heads * D],
        [N, T, heads * D],
        [N, T, heads * D],
        [N, L, heads * D],
        [N, heads, L, 1],
        [N, L, heads, 1],
      ],
      attrs: { heads, causal, wrt },
    }))
  ),
);
