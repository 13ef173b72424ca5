/**
 * All ops, by name.
 *
 * @module
 */

import type { Op } from "../runtime/graph.ts";
import { absOp } from "./abs.ts";
import { adamOp } from "./adam.ts";
import { addOp } from "./add.ts";
import { addSquaresOp } from "./add_squares.ts";
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
import { logOp } from "./log.ts";
import { matmulOp } from "./matmul.ts";
import { maxMiddleOp } from "./max_middle.ts";
import { maxPoolOp } from "./max_pool.ts";
import { maxPoolGradOp } from "./max_pool_grad.ts";
import { maximumOp } from "./maximum.ts";
import { minimumOp } from "./minimum.ts";
import { momentsOp } from "./moments.ts";
import { momentsPartsOp } from "./moments_parts.ts";
import { mulOp } from "./mul.ts";
import { normalizeOp } from "./normalize.ts";
import { normalizeSumsOp } from "./normalize_sums.ts";
import { permuteOp } from "./permute.ts";
import { randomNormalOp } from "./random_normal.ts";
import { randomUniformOp } from "./random_uniform.ts";
import { regroupOp } from "./regroup.ts";
import { reluOp } from "./relu.ts";
import { reshapeOp } from "./reshape.ts";
import { rowMomentsOp } from "./row_moments.ts";
import { rsqrtOp } from "./rsqrt.ts";
import { scaleOp } from "./scale.ts";
import { sigmoidOp } from "./sigmoid.ts";
import { signOp } from "./sign.ts";
import { siluOp } from "./silu.ts";
import { siluGradOp } from "./silu_grad.ts";
import { sliceOp } from "./slice.ts";
import { smoothL1Op } from "./smooth_l1.ts";
import { smoothL1GradOp } from "./smooth_l1_grad.ts";
import { softmaxOp } from "./softmax.ts";
import { sqrtOp } from "./sqrt.ts";
import { stepOp } from "./step.ts";
import { subOp } from "./sub.ts";
import { sumOp } from "./sum.ts";
import { sumLastOp } from "./sum_last.ts";
import { sumRegionsOp } from "./sum_regions.ts";
import { tanhOp } from "./tanh.ts";
import { timeEmbeddingOp } from "./time_embedding.ts";
import { upsampleBilinearOp } from "./upsample_bilinear.ts";
import { upsampleBilinearGradOp } from "./upsample_bilinear_grad.ts";
import { upsampleNearestOp } from "./upsample_nearest.ts";
import { whereOp } from "./where.ts";
import { wingOp } from "./wing.ts";
import { wingGradOp } from "./wing_grad.ts";

/** Every op; a structural test holds each to a shader and a test. */
export const ops: readonly Op<never>[] = [
  absOp,
  adamOp,
  addOp,
  addSquaresOp,
  awingOp,
  awingGradOp,
  clampOp,
  clipFactorOp,
  concatOp,
  conv2dOp,
  conv2dBackwardInputOp,
  conv2dBackwardWeightOp,
  divOp,
  eigen2x2Op,
  eigen2x2GradOp,
  embeddingOp,
  embeddingGradOp,
  expOp,
  expandOp,
  geluOp,
  geluGradOp,
  groupSumsOp,
  logOp,
  matmulOp,
  maxMiddleOp,
  maxPoolOp,
  maxPoolGradOp,
  maximumOp,
  minimumOp,
  momentsOp,
  momentsPartsOp,
  mulOp,
  normalizeOp,
  normalizeSumsOp,
  permuteOp,
  randomNormalOp,
  randomUniformOp,
  regroupOp,
  reluOp,
  reshapeOp,
  rowMomentsOp,
  rsqrtOp,
  scaleOp,
  sigmoidOp,
  signOp,
  siluOp,
  siluGradOp,
  sliceOp,
  smoothL1Op,
  smoothL1GradOp,
  softmaxOp,
  sqrtOp,
  stepOp,
  subOp,
  sumOp,
  sumLastOp,
  sumRegionsOp,
  tanhOp,
  timeEmbeddingOp,
  upsampleBilinearOp,
  upsampleBilinearGradOp,
  upsampleNearestOp,
  whereOp,
  wingOp,
  wingGradOp,
];
