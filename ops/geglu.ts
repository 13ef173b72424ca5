import { extent, type Value } from "../engine/graph.ts";
import { gelu } from "./gelu.ts";
import { linear } from "./linear.ts";
import { mul } from "./mul.ts";
import { slice } from "./slice.ts";

/**
 * Gated linear unit with GELU: one projection whose first half is the value, the second the gate; `value * gelu(gate)`.
 *
 * @param x `[..., I]`. @param w `[I, 2 O]`. @param bias `[2 O]`.
 * @returns `[..., O]`.
 *
 * Source: Shazeer 2020, arXiv 2002.05202.
 */
export function geglu(x: Value, w: Value, bias: Value): Value {
  const both = linear(x, w, bias);
  const [axis, O] = [both.shape.length - 1, extent(both, -1) / 2];
  return mul(slice(both, axis, 0, O), gelu(slice(both, axis, O, O)));
}
