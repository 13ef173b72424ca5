import { adamOp, HYPER } from "../../ops/adam.ts";
import { adamHyper } from "../../ops/optimizer.ts";
import { checkOp, spreadNumbers } from "../check_op.ts";

const hyper = adamHyper(3, { lr: 0.01, weight_decay: 0.1, grad_scale: 0.5, ema_decay: 0.9 });
const fill = (input: number, k: number) => {
  if (input === 4) return hyper[k]!;
  const x = spreadNumbers(input, k);
  return input === 3 ? x * x : x; // the second moment is not negative
};
const shapes = (shape: number[]) => [shape, shape, shape, shape, [HYPER.length]];

checkOp(adamOp, [
  { shapes: shapes([1]), attrs: { ema: false, l2: false }, fill },
  { shapes: shapes([3, 5, 7]), attrs: { ema: false, l2: true }, fill },
  { shapes: [...shapes([65, 8]), [65, 8]], attrs: { ema: true, l2: false }, fill },
]);
