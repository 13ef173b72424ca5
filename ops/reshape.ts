import { apply, elements, type Op, sameShape, type Shape, showShape, type Value } from "../engine/graph.ts";
import { repack } from "./repack.ts";

/** Attributes of {@linkcode reshapeOp}. */
export type ReshapeAttrs = { readonly shape: readonly number[] };

/** The same texels under another shape. */
export const reshapeOp: Op<ReshapeAttrs, 1> = {
  name: "reshape",
  bound: "memory",
  shapes: (_, { shape }) => [shape],
  lowering: { kind: "view" },
  gradient: ({ inputs: [x] }, [dy]) => [reshape(dy, x.shape)],
  flops: () => 0,
  reference: ([x], { shape }) => [{ shape, data: x.data }],
};

/**
 * The same elements under another shape, row-major. Free when the padding of the innermost dimension stays as it is;
 * otherwise the elements are moved.
 *
 * @throws {TypeError} If the number of elements differs.
 */
export function reshape(x: Value, shape: Shape): Value {
  if (sameShape(x.shape, shape)) return x;
  if (elements(x.shape) !== elements(shape)) {
    throw new TypeError(`Cannot reshape ${showShape(x.shape)} to ${showShape(shape)}: the number of elements differs`);
  }
  const [a, b] = [x.shape.at(-1) ?? 1, shape.at(-1) ?? 1];
  return a === b || (a % 4 === 0 && b % 4 === 0) ? apply(reshapeOp, [x], { shape }) : repack(x, shape);
}
