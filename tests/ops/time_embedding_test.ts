import { timeEmbeddingOp } from "../../ops/time_embedding.ts";
import { checkOp } from "../check_op.ts";

const fill = (input: number, k: number) => input ? Math.fround(1e4 ** (-k / 5)) : k * 249.75;

checkOp(timeEmbeddingOp, [
  { shapes: [[1], [1]], attrs: { flip: true }, fill },
  { shapes: [[5], [5]], attrs: { flip: true }, fill },
  { shapes: [[41], [8]], attrs: { flip: false }, fill },
], { tol: 1e-6 });
