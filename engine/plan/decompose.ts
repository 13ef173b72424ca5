/**
 * Decomposition: before a graph is planned, an op is replaced by a few other ops where these are faster. Gradients are
 * taken of the ops as written.
 *
 * @module
 */

import { candidateOf } from "../tuning/tuning_cache.ts";
import { type Node, type Target, topological, type Value } from "../graph.ts";

/** The nodes to compute. */
export interface Decomposition {
  /** Inputs before users. */
  readonly nodes: readonly Node[];
  /** The value that replaces a value of the graph, with the same elements; the value itself where nothing does. */
  now(value: Value): Value;
}

/** Decomposes the ops that `wanted` depends on where that is faster on a target; new nodes are added to their graph. */
export function decompose(wanted: readonly Value[], target: Target): Decomposition {
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
    const replacement = moved.op?.decompose?.(moved, candidateOf(moved, target), target);
    const outputs = replacement ? [replacement] : moved.outputs;
    node.outputs.forEach((value, k) => {
      if (outputs[k] !== value) replaced.set(value, outputs[k]!);
      find(outputs[k]!.node);
    });
  }
  // Nodes that only a replaced op read are dropped.
  const read = new Set(topological(wanted.map(now)));
  return { nodes: [...found].filter((node) => read.has(node)), now };
}
