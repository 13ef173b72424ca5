import { dims, elements, type Value } from "../engine/graph.ts";
import { add } from "./add.ts";
import { matmul } from "./matmul.ts";
import { reshape } from "./reshape.ts";

/**
 * A linear layer: `x W + bias`.
 *
 * @param x `[..., I]`. @param w `[I, O]`, the transpose of PyTorch's. @param bias `[O]`.
 * @returns `[..., O]`.
 */
export function linear(x: Value, w: Value, bias?: Value): Value {
  const { I, O } = dims(w, "I O");
  const y = matmul(reshape(x, [elements(x.shape) / I, I]), w);
  return reshape(bias ? add(y, bias) : y, [...x.shape.slice(0, -1), O]);
}
