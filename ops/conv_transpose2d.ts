import { dims, type Value } from "../engine/graph.ts";
import { add } from "./add.ts";
import { conv2dBackwardInput } from "./conv2d_backward_input.ts";

/**
 * Transposed convolution: the gradient of a convolution with respect to its input. The size grows to
 * `(H - 1) stride - 2 padding + KH`.
 *
 * @param x `[N, H, W, I]`. @param f Filters, `[KH, KW, O, I]`: those of the convolution that goes the other way.
 * @param options `bias` is `[O]`.
 * @returns `[N, HO, WO, O]`.
 */
export function convTranspose2d(
  x: Value,
  f: Value,
  { stride = 1, padding = 0, bias }: { stride?: number; padding?: number; bias?: Value } = {},
): Value {
  const { N, H, W } = dims(x, "N H W I");
  const { KH, KW, O } = dims(f, "KH KW O I");
  const size = (n: number, k: number) => (n - 1) * stride - 2 * padding + k;
  const y = conv2dBackwardInput(x, f, [N, size(H, KH), size(W, KW), O], {
    stride,
    padding: [padding, padding, padding, padding],
  });
  return bias ? add(y, bias) : y;
}
