/**
 * Decomposition: before a graph is planned, an op is replaced by a few other ops where these are faster. Gradients are
 * taken of the ops as written.
 *
 * @module
 */

import { type Node, type Target, topological, type Value } from "../graph.ts";
import { itemAt } from "../lookup.ts";
import { candidateOf } from "../tuning/select.ts";
import { type ComputeGraph, type Fetches, frozenIn, valuesOf } from "./records.ts";

/** Decomposes all that `fetches` compute, where that is faster on a target; new nodes are added to their graph. */
export function decompose(fetches: Fetches, target: Target): ComputeGraph {
  const on = { ...target, isFrozen: frozenIn(fetches) };
  const wanted = valuesOf(fetches);
  const replaced = new Map<Value, Value>();
  const now = (value: Value) => replaced.get(value) ?? value;
  const found = new Set<Node>();
  const find = (node: Node) => {
    if (found.has(node)) return;
    for (const { node: input } of node.inputs) find(input);
    found.add(node);
  };
  for (const node of topological(wanted)) {
    const outputs = rewrite(node, node.inputs.map(now), on);
    node.outputs.forEach((value, k) => {
      const output = itemAt(outputs, k, "a decomposed op's outputs");
      if (output !== value) replaced.set(value, output);
      find(output.node);
    });
  }
  // Nodes that only a replaced op read are dropped.
  const read = new Set(topological(wanted.map(now)));
  return {
    nodes: [...found].filter((node) => read.has(node)),
    outputs: Object.values(fetches.outputs).map(now),
    updates: (fetches.updates ?? []).map(([parameter, value]) => [parameter, now(value)]),
    target: on,
    now,
  };
}

/** Outputs of a node's op for partly replaced inputs: its own, or those of its decomposition. */
function rewrite(node: Node, inputs: readonly Value[], target: Target): readonly Value[] {
  const { op, attrs, outputs: [first] } = node;
  if (!op || !first) return node.outputs;
  const same = inputs.every((value, k) => value === node.inputs[k]);
  const outputs = same ? node.outputs : first.graph.apply(op, inputs, attrs);
  const moved = itemAt(outputs, 0, "an op's outputs").node;
  return op.decompose?.(moved, candidateOf(moved, target), target) ?? outputs;
}
