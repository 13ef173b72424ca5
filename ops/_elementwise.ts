/**
 * Makes element-wise ops: a WGSL function on texels, a scalar function in f64, a gradient.
 *
 * @module
 */

import {
  type Attrs,
  elements,
  type F64,
  type Node,
  type Op,
  type OutputGradients,
  type Shape,
  showShape,
  type Tuple,
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

/** Elements of `x`, broadcast to `shape`. */
export function broadcast({ shape: own, data }: F64, shape: Shape): Float64Array {
  let all = data;
  // From the innermost dimension out, blocks inside a dimension of size 1 are repeated.
  for (let [d, inner] = [shape.length - 1, 1]; d >= 0; d--) {
    const [wanted = 1, had = 1] = [shape[d], own[d - shape.length + own.length]];
    if (had !== wanted) {
      const repeated = new Float64Array(all.length * wanted);
      for (let at = 0; at < repeated.length; at += inner) {
        const from = Math.floor(at / (inner * wanted)) * inner;
        repeated.set(all.subarray(from, from + inner), at);
      }
      all = repeated;
    }
    inner *= wanted;
  }
  return all;
}

/** Gradients in the shapes of the inputs: summed over the dimensions along which an input was repeated. */
function sumToInputs<I extends number>(gradients: Tuple<Value | null, I>, inputs: Tuple<Value, I>) {
  const given: readonly (Value | null)[] = gradients;
  const wanted: readonly Value[] = inputs;
  return wanted.map(({ shape }, k) => given[k] ? sumTo(given[k], shape) : null) as unknown as Tuple<Value | null, I>;
}

/**
 * An element-wise op with numpy broadcasting.
 *
 * @param spec `source` defines `fn op_<name>(a: vec4f, ..., c: f32, ...) -> vec4f` with one argument an input and then
 * the `floats`; `value` is the same in f64; `gradient` gives the gradient of each input in the shape of the result (it
 * is summed over broadcast dimensions here), and is absent where none is defined.
 */
export function elementwise<A extends Attrs, I extends number>(spec: {
  readonly name: string;
  readonly source: string;
  readonly floats?: (attrs: A) => readonly number[];
  readonly value: (inputs: Tuple<number, I>, attrs: A) => number;
  readonly gradient?: (node: Node<A, I, 1>, dy: Value) => Tuple<Value | null, I>;
}): Op<A, I> {
  const { gradient } = spec;
  return {
    name: spec.name,
    bound: "memory",
    f16: () => "follows",
    shapes: (inputs) => [broadcastShape(spec.name, inputs)],
    lowering: { kind: "elementwise", source: spec.source, ...(spec.floats ? { floats: spec.floats } : {}) },
    ...(gradient
      ? { gradient: (node: Node<A, I, 1>, [dy]: OutputGradients[1]) => sumToInputs(gradient(node, dy), node.inputs) }
      : {}),
    reference(inputs: readonly F64[], attrs) {
      const shape = broadcastShape(spec.name, inputs.map((x) => x.shape));
      const columns = inputs.map((x) => broadcast(x, shape));
      const data = new Float64Array(elements(shape));
      for (let k = 0; k < data.length; k++) {
        data[k] = spec.value(columns.map((column) => column[k]) as unknown as Tuple<number, I>, attrs);
      }
      return [{ shape, data }];
    },
  };
}
