/**
 * Reverse-mode differentiation: a transformation of graphs.
 *
 * @module
 */

import { elements, type Node, topological, type Value } from "../engine/graph.ts";
import { add } from "./add.ts";

/**
 * Gradients of a scalar with respect to values of its graph, as new values of that graph.
 *
 * An op without a gradient stops it. Only nodes between `wrt` and `loss` are differentiated, so whatever is frozen costs nothing backwards.
 *
 * @param loss A value with one element.
 * @param wrt Usually parameters.
 * @returns One gradient for each of `wrt`, in its shape; zeros where the loss does not depend on it.
 * @throws {TypeError} If `loss` is not a scalar.
 */
export function gradients(loss: Value, wrt: readonly Value[]): Value[] {
  if (elements(loss.shape) !== 1) {
    throw new TypeError(`Cannot differentiate [${loss.shape}]: the loss must have one element`);
  }
  const graph = loss.graph;
  const nodes = topological([loss]);
  const active = new Set<Node>(wrt.map((v) => v.node));
  for (const node of nodes) if (node.inputs.some((v) => active.has(v.node))) active.add(node);

  const found = new Map<Value, Value>([[loss, graph.constant([1], loss.shape)]]);
  for (const node of nodes.reverse()) {
    if (!node.op || !active.has(node) || !node.inputs.some((v) => active.has(v.node))) continue;
    const dys = node.outputs.map((v) => found.get(v) ?? null);
    if (dys.every((dy) => dy === null)) continue;
    if (!node.op.gradient) continue; // an op without a gradient stops it
    node.op.gradient(node, dys).forEach((dx, k) => {
      const input = node.inputs[k];
      if (!input || !dx || !active.has(input.node)) return;
      const before = found.get(input);
      found.set(input, before ? add(before, dx) : dx);
    });
  }
  return wrt.map((v) => found.get(v) ?? graph.constant(new Float32Array(elements(v.shape)), v.shape));
}
