import { MOMENTUM_HYPER, momentumOp } from "../../ops/momentum.ts";
import { checkOp, spreadNumbers } from "../check_op.ts";

const hyper = { lr: 0.01, momentum: 0.9, weight_decay: 0.1, ema_rate: 0.2, alpha: 0.95, square_rate: 0.05, eps: 0.03 };
/** Inputs of a case: hyper-parameters, then `size` tensors of each shape. */
const given = (size: number, ...tensors: number[][]) => ({
  shapes: [[MOMENTUM_HYPER.length], ...tensors.flatMap((shape) => Array<number[]>(size).fill(shape))],
  fill(input: number, k: number) {
    if (input === 0) return hyper[MOMENTUM_HYPER[k]!];
    const x = spreadNumbers(input, k);
    return (input - 1) % size === 3 ? x * x : x; // mean squares are not negative
  },
});

checkOp(momentumOp, [
  { ...given(3, [1]), attrs: { squares: false, ema: false } },
  { ...given(4, [3, 5, 7], [65, 8]), attrs: { squares: false, ema: true } },
  { ...given(4, [65, 8]), attrs: { squares: true, ema: false } },
  { ...given(5, [5], [65, 8], [3, 3, 4]), attrs: { squares: true, ema: true } },
], { tiled: true });
