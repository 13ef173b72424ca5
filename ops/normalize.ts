import { apply, elements, type NoAttrs, type Op, type Value } from "../engine/graph.ts";
import source from "../shaders/normalize.wgsl" with { type: "text" };
import { elementwise } from "./_elementwise.ts";
import { rowsOf } from "./moments_parts.ts";
import { mul } from "./mul.ts";
import { normalizeSums } from "./normalize_sums.ts";
import { affine } from "./affine.ts";

/** `y = (x - mean) * scale + shift`, means `[N, 1, ..., C]`, the rest so or `[C]`. */
export const normalizeOp: Op<NoAttrs, 4> = elementwise({
  name: "normalize",
  source,
  value: ([x, mean, factor, shift]) => (x - mean) * factor + shift,
  gradient: ({ inputs: [x, mean, factor] }, dy) => {
    const [a, b] = normalizeSums(dy, x, mean);
    return [mul(dy, factor), affine(mul(a, factor), -1), b, a];
  },
});

/**
 * Applies a norm: `(x - mean) * scale + shift`.
 *
 * @param x `[N, ..., C]`. @param mean `[N, 1, ..., C]`. @param factor, shift As `mean`, or `[C]`.
 * @throws {TypeError} If `mean` is not one for each channel of each sample.
 */
export function normalize(x: Value, mean: Value, factor: Value, shift: Value): Value {
  const { N, C } = rowsOf(x.shape);
  if (elements(mean.shape) !== N * C || mean.shape.length !== x.shape.length) {
    throw new TypeError(`Cannot normalize [${x.shape}] with means of shape [${mean.shape}]`);
  }
  return apply(normalizeOp, [x, mean, factor, shift], {});
}
