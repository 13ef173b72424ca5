/**
 * Ops in parts: where an op is faster as a few other ops, they take its place before a graph is planned. Gradients know
 * nothing of it.
 *
 * @module
 */

import { candidateOf } from "../tuning/tuning_cache.ts";
import { type Node, type Target, topological, type Value } from "../graph.ts";

/** What is computed. */
export interface InParts {
  /** Inputs before users. */
  readonly nodes: readonly Node[];
  /** What is computed in place of a value of the graph: itself, or what has the same elements. */
  now(value: Value): Value;
}

/** Takes ops apart that are faster so on a target, of all that values are computed from; nodes are added to their graph. */
export function inParts(wanted: readonly Value[], target: Target): InParts {
  const replaced = new Map<Value, Value>();
  const now = (value: Value) => replaced.get(value) ?? value;
  const found = new Set<Node>();
  const find = (node: Node) => {
    if (found.has(node)) return;
    for (const { node: input } of node.inputs) find(input);
    found.add(node);
  };
  for (const node of topological(wanted)) {
    const inputs = node.inputs.map(now);
    const moved = inputs.every((value, k) => value === node.inputs[k])
      ? node
      : node.outputs[0]!.graph.apply(node.op!, inputs, node.attrs)[0]!.node;
    const whole = moved.op?.parts?.(moved, candidateOf(moved, target), target);
    const outputs = whole ? [whole] : moved.outputs;
    node.outputs.forEach((value, k) => {
      if (outputs[k] !== value) replaced.set(value, outputs[k]!);
      find(outputs[k]!.node);
    });
  }
  // What only an op read that is now computed otherwise is left out.
  const read = new Set(topological(wanted.map(now)));
  return { nodes: [...found].filter((node) => read.has(node)), now };
}
