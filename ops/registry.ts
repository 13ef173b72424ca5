/**
 * All operations by name, for graphs, exporters and tests of the structure.
 *
 * @module
 */

import { absOp } from "./abs.ts";
import { adamOp } from "./adam.ts";
import { adaptiveSumPoolOp } from "./adaptive_sum_pool.ts";
import { addOp } from "./add.ts";
import { addSquaresOp } from "./add_squares.ts";
import { affineOp } from "./affine.ts";
import { attentionOp } from "./attention.ts";
import { attentionGradOp } from "./attention_grad.ts";
import { attentionTilesOp } from "./attention_tiles.ts";
import { attentionTilesGradOp } from "./attention_tiles_grad.ts";
import { awingOp } from "./awing.ts";
import { awingGradOp } from "./awing_grad.ts";
import { clampOp } from "./clamp.ts";
import { clipFactorOp } from "./clip_factor.ts";
import { concatOp } from "./concat.ts";
import { conv2dOp } from "./conv2d.ts";
import { conv2dBackwardInputOp } from "./conv2d_backward_input.ts";
import { conv2dBackwardWeightOp } from "./conv2d_backward_weight.ts";
import { divOp } from "./div.ts";
import { eigen2x2Op } from "./eigen_2x2.ts";
import { eigen2x2GradOp } from "./eigen_2x2_grad.ts";
import { embeddingOp } from "./embedding.ts";
import { embeddingGradOp } from "./embedding_grad.ts";
import { expOp } from "./exp.ts";
import { expandOp } from "./expand.ts";
import { geluOp } from "./gelu.ts";
import { geluGradOp } from "./gelu_grad.ts";
import { groupSumsOp } from "./group_sums.ts";
import { im2colOp } from "./im2col.ts";
import { isFiniteOp } from "./is_finite.ts";
import { logOp } from "./log.ts";
import { matmulOp } from "./matmul.ts";
import { maxPoolOp } from "./max_pool.ts";
import { maxPoolGradOp } from "./max_pool_grad.ts";
import { maximumOp } from "./maximum.ts";
import { minimumOp } from "./minimum.ts";
import { momentsOp } from "./moments.ts";
import { momentsPartsOp } from "./moments_parts.ts";
import { momentumOp } from "./momentum.ts";
import { mulOp } from "./mul.ts";
import { nearestRowOp } from "./nearest_row.ts";
import { normalizeOp } from "./normalize.ts";
import { normalizeSumsOp } from "./normalize_sums.ts";
import { permuteOp } from "./permute.ts";
import { randomNormalOp } from "./random_normal.ts";
import { randomUniformOp } from "./random_uniform.ts";
import { recomputeOp } from "./recompute.ts";
import { reluOp } from "./relu.ts";
import { repackOp } from "./repack.ts";
import { reshapeOp } from "./reshape.ts";
import { rowMomentsOp } from "./row_moments.ts";
import { rsqrtOp } from "./rsqrt.ts";
import { sigmoidOp } from "./sigmoid.ts";
import { signOp } from "./sign.ts";
import { siluOp } from "./silu.ts";
import { siluGradOp } from "./silu_grad.ts";
import { sliceOp, sliceTexelsOp } from "./slice.ts";
import { smoothL1Op } from "./smooth_l1.ts";
import { smoothL1GradOp } from "./smooth_l1_grad.ts";
import { softmaxOp } from "./softmax.ts";
import { sqrtOp } from "./sqrt.ts";
import { stepOp } from "./step.ts";
import { stopGradientOp } from "./stop_gradient.ts";
import { subOp } from "./sub.ts";
import { sumOp } from "./sum.ts";
import { sumLastOp } from "./sum_last.ts";
import { tanhOp } from "./tanh.ts";
import { timeEmbeddingOp } from "./time_embedding.ts";
import { unscaleOp } from "./unscale.ts";
import { upsampleBilinearOp } from "./upsample_bilinear.ts";
import { upsampleBilinearGradOp } from "./upsample_bilinear_grad.ts";
import { upsampleNearestOp } from "./upsample_nearest.ts";
import { whereOp } from "./where.ts";
import { wingOp } from "./wing.ts";
import { wingGradOp } from "./wing_grad.ts";
import { winogradFilterOp } from "./winograd_filter.ts";
import { winogradFilterGradOp } from "./winograd_filter_grad.ts";
import { winogradFilterGradProductOp } from "./winograd_filter_grad_product.ts";
import { winogradGradOutputTransformOp } from "./winograd_grad_output_transform.ts";
import { winogradInputOp } from "./winograd_input.ts";
import { winogradOutputOp } from "./winograd_output.ts";
import { winogradProductOp } from "./winograd_product.ts";

/** Types of all operations by name: an exporter learns from them the attributes and the number of inputs and outputs. */
export interface Ops {
  readonly abs: typeof absOp;
  readonly adam: typeof adamOp;
  readonly adaptive_sum_pool: typeof adaptiveSumPoolOp;
  readonly add: typeof addOp;
  readonly add_squares: typeof addSquaresOp;
  readonly affine: typeof affineOp;
  readonly attention: typeof attentionOp;
  readonly attention_grad: typeof attentionGradOp;
  readonly attention_tiles: typeof attentionTilesOp;
  readonly attention_tiles_grad: typeof attentionTilesGradOp;
  readonly awing: typeof awingOp;
  readonly awing_grad: typeof awingGradOp;
  readonly clamp: typeof clampOp;
  readonly clip_factor: typeof clipFactorOp;
  readonly concat: typeof concatOp;
  readonly conv2d: typeof conv2dOp;
  readonly conv2d_backward_input: typeof conv2dBackwardInputOp;
  readonly conv2d_backward_weight: typeof conv2dBackwardWeightOp;
  readonly div: typeof divOp;
  readonly eigen_2x2: typeof eigen2x2Op;
  readonly eigen_2x2_grad: typeof eigen2x2GradOp;
  readonly embedding: typeof embeddingOp;
  readonly embedding_grad: typeof embeddingGradOp;
  readonly exp: typeof expOp;
  readonly expand: typeof expandOp;
  readonly gelu: typeof geluOp;
  readonly gelu_grad: typeof geluGradOp;
  readonly group_sums: typeof groupSumsOp;
  readonly im2col: typeof im2colOp;
  readonly is_finite: typeof isFiniteOp;
  readonly log: typeof logOp;
  readonly matmul: typeof matmulOp;
  readonly max_pool: typeof maxPoolOp;
  readonly max_pool_grad: typeof maxPoolGradOp;
  readonly maximum: typeof maximumOp;
  readonly minimum: typeof minimumOp;
  readonly moments: typeof momentsOp;
  readonly moments_parts: typeof momentsPartsOp;
  readonly momentum: typeof momentumOp;
  readonly mul: typeof mulOp;
  readonly nearest_row: typeof nearestRowOp;
  readonly normalize: typeof normalizeOp;
  readonly normalize_sums: typeof normalizeSumsOp;
  readonly permute: typeof permuteOp;
  readonly random_normal: typeof randomNormalOp;
  readonly random_uniform: typeof randomUniformOp;
  readonly recompute: typeof recomputeOp;
  readonly relu: typeof reluOp;
  readonly repack: typeof repackOp;
  readonly reshape: typeof reshapeOp;
  readonly row_moments: typeof rowMomentsOp;
  readonly rsqrt: typeof rsqrtOp;
  readonly sigmoid: typeof sigmoidOp;
  readonly sign: typeof signOp;
  readonly silu: typeof siluOp;
  readonly silu_grad: typeof siluGradOp;
  readonly slice: typeof sliceOp;
  readonly slice_texels: typeof sliceTexelsOp;
  readonly smooth_l1: typeof smoothL1Op;
  readonly smooth_l1_grad: typeof smoothL1GradOp;
  readonly softmax: typeof softmaxOp;
  readonly sqrt: typeof sqrtOp;
  readonly step: typeof stepOp;
  readonly stop_gradient: typeof stopGradientOp;
  readonly sub: typeof subOp;
  readonly sum: typeof sumOp;
  readonly sum_last: typeof sumLastOp;
  readonly tanh: typeof tanhOp;
  readonly time_embedding: typeof timeEmbeddingOp;
  readonly unscale: typeof unscaleOp;
  readonly upsample_bilinear: typeof upsampleBilinearOp;
  readonly upsample_bilinear_grad: typeof upsampleBilinearGradOp;
  readonly upsample_nearest: typeof upsampleNearestOp;
  readonly where: typeof whereOp;
  readonly wing: typeof wingOp;
  readonly wing_grad: typeof wingGradOp;
  readonly winograd_filter: typeof winogradFilterOp;
  readonly winograd_filter_grad: typeof winogradFilterGradOp;
  readonly winograd_filter_grad_product: typeof winogradFilterGradProductOp;
  readonly winograd_grad_output_transform: typeof winogradGradOutputTransformOp;
  readonly winograd_input: typeof winogradInputOp;
  readonly winograd_output: typeof winogradOutputOp;
  readonly winograd_product: typeof winogradProductOp;
}

/** Names of all operations; each is the name of a file in `ops/`, except `slice_texels`, which is a variant of `slice`. */
export type OpName = keyof Ops;

/** All operations. */
export const OPS: Ops = {
  abs: absOp,
  adam: adamOp,
  adaptive_sum_pool: adaptiveSumPoolOp,
  add: addOp,
  add_squares: addSquaresOp,
  affine: affineOp,
  attention: attentionOp,
  attention_grad: attentionGradOp,
  attention_tiles: attentionTilesOp,
  attention_tiles_grad: attentionTilesGradOp,
  awing: awingOp,
  awing_grad: awingGradOp,
  clamp: clampOp,
  clip_factor: clipFactorOp,
  concat: concatOp,
  conv2d: conv2dOp,
  conv2d_backward_input: conv2dBackwardInputOp,
  conv2d_backward_weight: conv2dBackwardWeightOp,
  div: divOp,
  eigen_2x2: eigen2x2Op,
  eigen_2x2_grad: eigen2x2GradOp,
  embedding: embeddingOp,
  embedding_grad: embeddingGradOp,
  exp: expOp,
  expand: expandOp,
  gelu: geluOp,
  gelu_grad: geluGradOp,
  group_sums: groupSumsOp,
  im2col: im2colOp,
  is_finite: isFiniteOp,
  log: logOp,
  matmul: matmulOp,
  max_pool: maxPoolOp,
  max_pool_grad: maxPoolGradOp,
  maximum: maximumOp,
  minimum: minimumOp,
  moments: momentsOp,
  moments_parts: momentsPartsOp,
  momentum: momentumOp,
  mul: mulOp,
  nearest_row: nearestRowOp,
  normalize: normalizeOp,
  normalize_sums: normalizeSumsOp,
  permute: permuteOp,
  random_normal: randomNormalOp,
  random_uniform: randomUniformOp,
  recompute: recomputeOp,
  relu: reluOp,
  repack: repackOp,
  reshape: reshapeOp,
  row_moments: rowMomentsOp,
  rsqrt: rsqrtOp,
  sigmoid: sigmoidOp,
  sign: signOp,
  silu: siluOp,
  silu_grad: siluGradOp,
  slice: sliceOp,
  slice_texels: sliceTexelsOp,
  smooth_l1: smoothL1Op,
  smooth_l1_grad: smoothL1GradOp,
  softmax: softmaxOp,
  sqrt: sqrtOp,
  step: stepOp,
  stop_gradient: stopGradientOp,
  sub: subOp,
  sum: sumOp,
  sum_last: sumLastOp,
  tanh: tanhOp,
  time_embedding: timeEmbeddingOp,
  unscale: unscaleOp,
  upsample_bilinear: upsampleBilinearOp,
  upsample_bilinear_grad: upsampleBilinearGradOp,
  upsample_nearest: upsampleNearestOp,
  where: whereOp,
  wing: wingOp,
  wing_grad: wingGradOp,
  winograd_filter: winogradFilterOp,
  winograd_filter_grad: winogradFilterGradOp,
  winograd_filter_grad_product: winogradFilterGradProductOp,
  winograd_grad_output_transform: winogradGradOutputTransformOp,
  winograd_input: winogradInputOp,
  winograd_output: winogradOutputOp,
  winograd_product: winogradProductOp,
};
