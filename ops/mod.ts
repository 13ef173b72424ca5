/**
 * The operations that networks are built of, losses, gradients and optimizers. An operation takes symbolic tensors of a
 * graph and returns one; its gradient and its kernels are in the file of its name.
 *
 * {@linkcode OPS} has all of them as the planner sees them, with those that only gradients and rewrites use.
 *
 * @module
 */
export { abs } from "./abs.ts";
export type { UpdateOptions } from "./_gradients.ts";
export { type AdamHyper, adamHyper } from "./adam.ts";
export { adaptiveSumPool } from "./adaptive_sum_pool.ts";
export { add } from "./add.ts";
export { sumOfSquares } from "./add_squares.ts";
export { affine } from "./affine.ts";
export { attention, type AttentionOptions } from "./attention.ts";
export { gradients } from "./autodiff.ts";
export { avgPool } from "./avg_pool.ts";
export { awingLoss } from "./awing.ts";
export { clamp } from "./clamp.ts";
export { clipFactor } from "./clip_factor.ts";
export { concat } from "./concat.ts";
export { conv2d } from "./conv2d.ts";
export { convTranspose2d } from "./conv_transpose2d.ts";
export { div } from "./div.ts";
export { eigen2x2 } from "./eigen_2x2.ts";
export { embedding } from "./embedding.ts";
export { exp } from "./exp.ts";
export { expandTo } from "./expand.ts";
export { geglu } from "./geglu.ts";
export { gelu } from "./gelu.ts";
export { type HeatmapMoments, heatmapMoments } from "./heatmap.ts";
export { linear } from "./linear.ts";
export { log } from "./log.ts";
export { matmul } from "./matmul.ts";
export { maxPool } from "./max_pool.ts";
export { maximum } from "./maximum.ts";
export { minimum } from "./minimum.ts";
export { moments } from "./moments.ts";
export { mse } from "./mse.ts";
export { mul } from "./mul.ts";
export { nearestRow } from "./nearest_row.ts";
export {
  batchNorm,
  type BatchNormResult,
  batchNormTrain,
  groupNorm,
  type GroupNormOptions,
  instanceNorm,
  layerNorm,
} from "./norm.ts";
export {
  type AdamOptions,
  adamUpdates,
  type RmspropOptions,
  rmspropUpdates,
  type SgdOptions,
  sgdUpdates,
} from "./optimizer.ts";
export { permute } from "./permute.ts";
export { quickGelu } from "./quick_gelu.ts";
export { type RandomOptions, randomStep, stepWords } from "./_random.ts";
export { randomNormal } from "./random_normal.ts";
export { randomUniform } from "./random_uniform.ts";
export { recompute } from "./recompute.ts";
export { type OpName, OPS, type Ops } from "./registry.ts";
export { relu } from "./relu.ts";
export { reshape } from "./reshape.ts";
export { rowMoments } from "./row_moments.ts";
export { rsqrt } from "./rsqrt.ts";
export { sigmoid } from "./sigmoid.ts";
export { sign } from "./sign.ts";
export { silu } from "./silu.ts";
export { pad, slice } from "./slice.ts";
export { smoothDistance, smoothL1 } from "./smooth_l1.ts";
export { softmax } from "./softmax.ts";
export { sqrt } from "./sqrt.ts";
export { type HeatmapSpread, heatmapSpread, type StarDistance, starLoss, type StarLossOptions } from "./star_loss.ts";
export { step } from "./step.ts";
export { stopGradient } from "./stop_gradient.ts";
export { sub } from "./sub.ts";
export { mean, sum, sumTo } from "./sum.ts";
export { sumLast } from "./sum_last.ts";
export { tanh } from "./tanh.ts";
export { timeEmbedding } from "./time_embedding.ts";
export { upsampleBilinear } from "./upsample_bilinear.ts";
export { upsampleNearest } from "./upsample_nearest.ts";
export { where } from "./where.ts";
export { wingDistance } from "./wing.ts";
