/**
 * Makes element-wise ops: a WGSL function on texels, a scalar function in f64, a gradient.
 *
 * @module
 */

import {
  type Attrs,
  type F64,
  type Node,
  type Op,
  sameShape,
  type Shape,
  showShape,
  type Value,
} from "../engine/graph.ts";
import { sumTo } from "./sum.ts";

/** Shape of the result of numpy broadcasting. */
export function broadcastShape(name: string, shapes: readonly Shape[]): Shape {
  const rank = Math.max(...shapes.map((s) => s.length));
  return Array.from({ length: rank }, (_, d) => {
    const sizes = shapes.map((s) => s[d - rank + s.length] ?? 1);
    const size = Math.max(...sizes);
    if (sizes.some((n) => n !== 1 && n !== size)) {
      throw new TypeError(`Cannot ${name} tensors of shapes ${shapes.map(showShape).join(" and ")}`);
    }
    return size;
  });
}

/** Elements of `x` broadcast to `shape`. */
function spread(x: F64, shape: Shape): (index: number) => number {
  if (sameShape(x.shape, shape)) return (index) => x.data[index]!;
  const strides = shape.map(() => 0);
  let stride = 1;
  for (let d = x.shape.length - 1; d >= 0; d--) {
    if (x.shape[d] !== 1) strides[d + shape.length - x.shape.length] = stride;
    stride *= x.shape[d]!;
  }
  return (index) => {
    let at = 0;
    for (let d = shape.length - 1; d >= 0; d--) {
      at += (index % shape[d]!) * strides[d]!;
      index = Math.floor(index / shape[d]!);
    }
    return x.data[at]!;
  };
}

/**
 * An element-wise op with numpy broadcasting.
 *
 * @param spec `source` defines `fn op_<name>(a: vec4f, ..., c: f32, ...) -> vec4f` with one argument an input and then
 * the `floats`; `value` is the same in f64; `gradient` gives the gradient of each input in the shape of the result (it
 * is summed over broadcast dimensions here), and is absent where none is defined.
 */
export function elementwise<A extends Attrs = Record<string, never>>(spec: {
  readonly name: string;
  readonly source: string;
  readonly floats?: (attrs: A) => readonly number[];
  readonly value: (inputs: readonly number[], attrs: A) => number;
  readonly gradient?: (node: Node<A>, dy: Value) => readonly (Value | null)[];
}): Op<A> {
  const { gradient } = spec;
  return {
    name: spec.name,
    bound: "memory",
    shapes: (inputs) => [broadcastShape(spec.name, inputs)],
    lowering: { kind: "elementwise", source: spec.source, ...(spec.floats ? { floats: spec.floats } : {}) },
    ...(gradient
      ? {
        gradient: (node: Node<A>, [dy]: readonly (Value | null)[]) =>
          gradient(node, dy!).map((d, k) => d && sumTo(d, node.inputs[k]!.shape)),
      }
      : {}),
    reference(inputs, attrs) {
      const shape = broadcastShape(spec.name, inputs.map((x) => x.shape));
      const read = inputs.map((x) => spread(x, shape));
      const data = new Float64Array(shape.reduce((a, b) => a * b, 1));
      for (let k = 0; k < data.length; k++) data[k] = spec.value(read.map((r) => r(k)), attrs);
      return [{ shape, data }];
    },
  };
}
