import { embeddingOp } from "../../ops/embedding.ts";
import { embeddingGradOp } from "../../ops/embedding_grad.ts";
import { checkOp, spreadNumbers } from "../check_op.ts";

const fill = (input: number, k: number) => input ? (k * 5) % 7 : spreadNumbers(0, k);

checkOp(embeddingOp, [
  { shapes: [[7, 6], [3, 5]], attrs: {}, fill, wrt: [0] },
  { shapes: [[9, 8], [4]], attrs: {}, fill, wrt: [0] },
]);

checkOp(embeddingGradOp, [
  { shapes: [[3, 5], [3, 5, 6]], attrs: { rows: 7 }, fill: (input, k) => fill(1 - input, k) },
]);
