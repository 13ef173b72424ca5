/**
 * Selection of kernels: which candidate of an op is used, and the key under which its measurement is kept.
 *
 * @module
 */

import type { Candidate, Kernel, Node, Target } from "../graph.ts";

/** `P=4, WG=64`, or `default`. */
export function showCandidate(candidate: Candidate): string {
  const parts = Object.entries(candidate).sort(([a], [b]) => a < b ? -1 : 1);
  return parts.map(([name, value]) => `${name}=${value}`).join(", ") || "default";
}

/** The kernel of a node: the op's own, or the candidate that was measured to be faster. */
export function kernelOf(node: Node, target: Target): Kernel {
  const lowering = node.op?.lowering;
  if (lowering?.kind !== "kernel") throw new TypeError(`Cannot run ${node.op?.name} alone: it has no kernel`);
  return lowering.kernel(node, target, candidateOf(node, target));
}

/** The candidate of a node's op that was measured to be the fastest; empty for the op's own way. */
export function candidateOf(node: Node, target: Target): Candidate {
  const lowering = node.op?.lowering;
  if (lowering?.kind !== "kernel" || !lowering.tune || !target.selector) return {};
  return target.selector.select(kernelKey(node, lowering.kernel(node, target, {}), target), lowering.tune) ?? {};
}

/**
 * The key of a measurement: storage class, op, entry point, constants of the op's own kernel, and the element types and
 * shapes of inputs and outputs, each extent rounded up to a power of two. Of ops that decompose it also names the frozen
 * inputs, because work on these may be cached.
 */
export function kernelKey(node: Node, own: Kernel, { storage, tiled, isF16, isFrozen }: Target): string {
  const constants = Object.entries(own.constants ?? {}).map(([name, value]) => `${name}${value}`).join(",");
  const tensors = [...node.inputs, ...node.outputs].map((value) => {
    const { shape, node: { leaf } } = value;
    const frozen = node.op?.decompose && isFrozen?.(value) ? "frozen " : "";
    const dtype = leaf?.kind === "parameter" && isF16?.(leaf.name) ? "f16" : "f32";
    return `${frozen}${dtype}[${shape.map((n) => 2 ** Math.ceil(Math.log2(Math.max(1, n))))}]`;
  });
  return [storage, ...tiled ? ["tiled"] : [], node.op?.name ?? "", own.entry, constants, ...tensors].join(" ");
}
