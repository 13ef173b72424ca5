/**
 * All operations by name: what a graph can hold, and what structure tests and exporters go through.
 *
 * @module
 */

import type { AnyOp } from "../engine/graph.ts";
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
import { logOp } from "./log.ts";
import { matmulOp } from "./matmul.ts";
import { maxPoolOp } from "./max_pool.ts";
import { maxPoolGradOp } from "./max_pool_grad.ts";
import { maximumOp } from "./maximum.ts";
import { minimumOp } from "./minimum.ts";
import { momentsOp } from "./moments.ts";
import { momentsPartsOp } from "./moments_parts.ts";
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

/** Names of all operations; each is the name of a file in `ops/`, but for `slice_texels`, which is a variant of `slice`. */
export type OpName =
  | "abs"
  | "adam"
  | "adaptive_sum_pool"
  | "add"
  | "add_squares"
  | "affine"
  | "attention"
  | "attention_grad"
  | "attention_tiles"
  | "attention_tiles_grad"
  | "awing"
  | "awing_grad"
  | "clamp"
  | "clip_factor"
  | "concat"
  | "conv2d"
  | "conv2d_backward_input"
  | "conv2d_backward_weight"
  | "div"
  | "eigen_2x2"
  | "eigen_2x2_grad"
  | "embedding"
  | "embedding_grad"
  | "exp"
  | "expand"
  | "gelu"
  | "gelu_grad"
  | "group_sums"
  | "im2col"
  | "log"
  | "matmul"
  | "max_pool"
  | "max_pool_grad"
  | "maximum"
  | "minimum"
  | "moments"
  | "moments_parts"
  | "mul"
  | "nearest_row"
  | "normalize"
  | "normalize_sums"
  | "permute"
  | "random_normal"
  | "random_uniform"
  | "recompute"
  | "relu"
  | "repack"
  | "reshape"
  | "row_moments"
  | "rsqrt"
  | "sigmoid"
  | "sign"
  | "silu"
  | "silu_grad"
  | "slice"
  | "slice_texels"
  | "smooth_l1"
  | "smooth_l1_grad"
  | "softmax"
  | "sqrt"
  | "step"
  | "stop_gradient"
  | "sub"
  | "sum"
  | "sum_last"
  | "tanh"
  | "time_embedding"
  | "upsample_bilinear"
  | "upsample_bilinear_grad"
  | "upsample_nearest"
  | "where"
  | "wing"
  | "wing_grad"
  | "winograd_filter"
  | "winograd_filter_grad"
  | "winograd_filter_grad_product"
  | "winograd_grad_output_transform"
  | "winograd_input"
  | "winograd_output"
  | "winograd_product";

/** All operations; a name without an implementation does not compile. */
export const OPS: { readonly [Name in OpName]: AnyOp } = {
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
  log: logOp,
  matmul: matmulOp,
  max_pool: maxPoolOp,
  max_pool_grad: maxPoolGradOp,
  maximum: maximumOp,
  minimum: minimumOp,
  moments: momentsOp,
  moments_parts: momentsPartsOp,
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
