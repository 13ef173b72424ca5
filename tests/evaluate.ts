/**
 * Evaluates whole graphs in f64 by the ops' references: the truth for networks and losses.
 *
 * @module
 */

import { elements, type F64, type Value } from "../engine/graph.ts";

/** Numbers of inputs and parameters, by name. */
export type Leaves = ReadonlyMap<string, ArrayLike<number>>;

/** A value in f64. */
export function evaluate(value: Value, leaves: Leaves): Float64Array {
  const known = new Map<Value["node"], readonly F64[]>();
  const visit = ({ node, shape }: Value): readonly F64[] => {
    const found = known.get(node);
    if (found) return found;
    const { op, leaf, inputs, attrs } = node;
    const made = op
      ? op.reference(inputs.map((input) => visit(input)[input.index]!), attrs)
      : [{ shape, data: Float64Array.from(leaf!.kind === "constant" ? leaf!.data : given(leaves, leaf!.name)) }];
    known.set(node, made);
    return made;
  };
  return visit(value)[value.index]!.data as Float64Array;
}

function given(leaves: Leaves, name: string): ArrayLike<number> {
  const data = leaves.get(name);
  if (!data) throw new Error(`Cannot evaluate: "${name}" has no numbers`);
  return data;
}

/** Central difference of a scalar by one number of a leaf, in f64. */
export function difference(scalar: Value, leaves: Leaves, name: string, element: number, step = 1e-5): number {
  const at = (change: number) => {
    const moved = Float64Array.from(given(leaves, name));
    moved[element]! += change;
    return evaluate(scalar, new Map([...leaves, [name, moved]]))[0]!;
  };
  if (elements(scalar.shape) !== 1) throw new Error("Cannot differentiate a value that is no scalar");
  return (at(step) - at(-step)) / (2 * step);
}
