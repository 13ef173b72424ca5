import { matmulOp } from "../../ops/matmul.ts";
import { checkOp } from "../check_op.ts";

const plain = { ta: false, tb: false, heads: 1, merged_a: true, merged_b: true, merged_y: true };

checkOp(matmulOp, [
  { shapes: [[1, 1, 1], [1, 1, 1]], attrs: plain },
  { shapes: [[1, 17, 12], [1, 12, 20]], attrs: plain },
  { shapes: [[3, 5, 7], [3, 7, 9]], attrs: plain },
  { shapes: [[3, 5, 8], [1, 8, 9]], attrs: plain },
  { shapes: [[4, 64, 8], [1, 8, 12]], attrs: plain },
  { shapes: [[2, 9, 7], [2, 5, 7]], attrs: { ...plain, tb: true } },
  { shapes: [[2, 7, 9], [2, 7, 5]], attrs: { ...plain, ta: true } },
  { shapes: [[2, 6, 24], [2, 10, 24]], attrs: { ...plain, tb: true, heads: 3, merged_y: false } },
  { shapes: [[2, 3, 6, 10], [2, 10, 24]], attrs: { ...plain, heads: 3, merged_a: false } },
  { shapes: [[1, 1, 6, 10], [1, 10, 8]], attrs: { ...plain, merged_a: false } },
  { shapes: [[2, 70, 21], [1, 21, 67]], attrs: plain },
  { shapes: [[2, 33, 18], [2, 70, 18]], attrs: { ...plain, tb: true } },
  { shapes: [[2, 37, 66], [2, 37, 34]], attrs: { ...plain, ta: true } },
  { shapes: [[2, 40, 24], [2, 36, 24]], attrs: { ...plain, tb: true, heads: 2, merged_y: false } },
  { shapes: [[2, 2, 36, 20], [2, 20, 72]], attrs: { ...plain, heads: 2, merged_a: false } },
  // Large enough for large tiles.
  { shapes: [[1, 261, 5], [1, 5, 66]], attrs: plain, wrt: [] },
  { shapes: [[1, 261, 5], [1, 66, 5]], attrs: { ...plain, tb: true }, wrt: [] },
  { shapes: [[2, 9, 27], [2, 9, 66]], attrs: { ...plain, ta: true }, wrt: [] },
  // Sums long enough to be split.
  { shapes: [[2, 768, 36], [2, 768, 40]], attrs: { ...plain, ta: true }, wrt: [] },
], { tiled: true });
