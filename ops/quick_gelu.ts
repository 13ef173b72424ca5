import type { Value } from "../engine/graph.ts";
import { mul } from "./mul.ts";
import { affine } from "./affine.ts";
import { sigmoid } from "./sigmoid.ts";

/** `x / (1 + exp(-1.702 x))`, the approximate GELU of CLIP. */
export function quickGelu(x: Value): Value {
  return mul(x, sigmoid(affine(x, 1.702)));
}
