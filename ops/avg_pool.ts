import { dims, showShape, type Value } from "../engine/graph.ts";
import { affine } from "./affine.ts";
import { adaptiveSumPool } from "./adaptive_sum_pool.ts";

/**
 * Means of non-overlapping squares of `size` by `size` pixels.
 *
 * @param x `[N, H, W, C]`.
 * @returns `[N, H / size, W / size, C]`.
 * @throws {TypeError} If `size` does not divide height and width.
 */
export function avgPool(x: Value, size = 2): Value {
  const { H, W } = dims(x, "N H W C");
  if (H % size || W % size) {
    throw new TypeError(`Cannot pool ${showShape(x.shape)} by ${size}: it does not divide both height and width`);
  }
  return affine(adaptiveSumPool(x, [H / size, W / size]), 1 / size ** 2);
}
