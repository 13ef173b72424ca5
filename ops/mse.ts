import type { Value } from "../engine/graph.ts";
import { mul } from "./mul.ts";
import { sub } from "./sub.ts";
import { mean } from "./sum.ts";

/** Mean squared error of all elements, `mean((x - y)^2)`: `[1]`. */
export function mse(x: Value, y: Value): Value {
  const d = sub(x, y);
  return mean(mul(d, d));
}
