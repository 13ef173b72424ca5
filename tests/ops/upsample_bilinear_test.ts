import { upsampleBilinearOp } from "../../ops/upsample_bilinear.ts";
import { upsampleBilinearGradOp } from "../../ops/upsample_bilinear_grad.ts";
import { checkOp } from "../check_op.ts";

const sizes = [[[1, 1, 1, 1], [2, 3]], [[2, 3, 4, 5], [6, 8]], [[1, 5, 3, 4], [7, 11]], [[1, 8, 6, 4], [
  3,
  1,
]]] as const;
const modes = [false, true];

checkOp(
  upsampleBilinearOp,
  sizes.flatMap(([x, size]) => modes.map((align_corners) => ({ shapes: [x], attrs: { size, align_corners } }))),
);
checkOp(
  upsampleBilinearGradOp,
  sizes.flatMap(([[N, H, W, C], [HO, WO]]) =>
    modes.map((align_corners) => ({ shapes: [[N, HO, WO, C]], attrs: { size: [H, W] as const, align_corners } }))
  ),
);
