/**
 * Mixed precision: which values are kept as f16. Kernels compute in f32 whatever they load and store.
 *
 * @module
 */

import { type Node, sameShape, texels, type Value } from "../graph.ts";
import type { Fusion } from "./fuse.ts";
import type { ComputeGraph } from "./records.ts";

/** Number formats of a computation: f32 throughout, or activations and their gradients as f16. */
export type Precision = "f32" | "f16-mixed";

/** Every {@linkcode Precision}. */
export const PRECISIONS = ["f32", "f16-mixed"] as const satisfies readonly Precision[];

/** An operand of a kernel that has fewer texels than this share of the result is no activation but a statistic. */
const STATISTIC = 1 / 16;

/**
 * The stored values that mixed precision keeps as f16: results of products, and what is made of them by ops that keep the
 * precision of their operands. Parameters, inputs, sums, statistics and whatever is fetched are f32.
 *
 * Source: Micikevicius et al. 2018, arXiv 1710.03740, sections 3.1 and 3.3; the classes of ops are those of torch.autocast.
 */
export function halfValues({ nodes, outputs, updates }: ComputeGraph, { stored, resolve }: Fusion): Set<Value> {
  const halves = new Set<Value>();
  for (const node of nodes) {
    for (const value of node.outputs) if (isHalf(value, halves)) halves.add(value);
  }
  const fetched = new Set([...outputs, ...updates.flat()].map(resolve));
  return new Set([...halves].filter((value) => stored.has(value) && resolve(value) === value && !fetched.has(value)));
}

/** True if an op's result is f16, given those of the values before it that are. */
function isHalf(value: Value, halves: ReadonlySet<Value>): boolean {
  const { op, inputs } = value.node;
  if (!op) return false;
  const { kind } = op.lowering;
  if (kind === "view" || kind === "window") return inputs.every((input) => halves.has(input));
  const choice = op.f16?.(value.node, value.index) ?? "never";
  if (choice !== "follows") return choice === "always";
  const activations = inputs.filter((input) => isActivation(input, value, kind === "elementwise"));
  return activations.length > 0 && activations.every((input) => halves.has(input));
}

/** True if the precision of an operand counts for that of a result. */
function isActivation(input: Value, result: Value, elementwise: boolean): boolean {
  if (isWeight(input.node)) return false;
  return elementwise ? sameShape(input.shape, result.shape) : texels(input.shape) >= STATISTIC * texels(result.shape);
}

function isWeight({ leaf }: Node): boolean {
  return leaf !== null && leaf.kind !== "input";
}
