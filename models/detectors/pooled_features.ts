/**
 * Features of whole images from the maps of a network.
 *
 * @module
 */

import { dims, type Value } from "../../engine/graph.ts";
import { affine } from "../../ops/affine.ts";
import { concat } from "../../ops/concat.ts";
import { mul } from "../../ops/mul.ts";
import { relu } from "../../ops/relu.ts";
import { reshape } from "../../ops/reshape.ts";
import { sqrt } from "../../ops/sqrt.ts";
import { sub } from "../../ops/sub.ts";
import { sumTo } from "../../ops/sum.ts";

/** Mean and standard deviation of each channel over the pixels of a map, `[N, H, W, C]`: `[N, 2 C]`. */
export function pooledFeatures(map: Value): Value {
  const { N, H, W, C } = dims(map, "N H W C");
  const average = (x: Value) => reshape(affine(sumTo(x, [N, 1, 1, C]), 1 / (H * W)), [N, C]);
  const first = average(map);
  return concat([first, sqrt(relu(sub(average(mul(map, map)), mul(first, first))))]);
}
