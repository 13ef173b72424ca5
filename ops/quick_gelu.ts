import type { Value } from "../engine/graph.ts";
import { mul } from "./mul.ts";
import { scale } from "./scale.ts";
import { sigmoid } from "./sigmoid.ts";

/** `x / (1 + exp(-1.702 x))`, the approximate GELU of CLIP. */
export function quickGelu(x: Value): Value {
  return mul(x, sigmoid(scale(x, 1.702)));
}
