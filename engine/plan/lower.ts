/**
 * Lowering: turns the stored values of a graph into dispatches, each a program with the tensors that it reads and writes.
 *
 * @module
 */

import { InputError } from "../../formats/input_error.ts";
import { elements, type Kernel, type Node, sameShape, type Shape, showShape, texels, type Value } from "../graph.ts";
import { itemAt } from "../lookup.ts";
import type { Indexing, Load, Step, Store } from "../wgsl.ts";
import type { Fusion } from "./fuse.ts";
import type { ComputeGraph, Dispatch } from "./records.ts";

const ELEMENTWISE_KERNEL = `
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  st_y(t, vec4f());
}
`;

/**
 * Dispatches of a graph, in the order of the values that they compute.
 *
 * @throws {InputError} If a dispatch binds more tensors than the adapter allows.
 */
export function lower(graph: ComputeGraph, fusion: Fusion): Dispatch[] {
  const { kernels, expressions, epilogues, used } = fusion;
  const absorbed = new Set([...epilogues.values()].map(({ node }) => node));
  const dispatches: Dispatch[] = [];
  for (const node of graph.nodes) {
    const [first] = node.outputs;
    const kernel = kernels.get(node);
    if (first && expressions.has(first)) {
      const result = epilogues.get(first);
      const before = result && kernels.get(result.node);
      dispatches.push(
        before ? kernelDispatch(before, result.node, first, graph, fusion) : elementwiseDispatch(first, fusion),
      );
    } else if (kernel && !absorbed.has(node) && node.outputs.some((value) => used.has(value))) {
      dispatches.push(kernelDispatch(kernel, node, null, graph, fusion));
    }
  }
  return dispatches;
}

/** A dispatch that computes the expression of a stored value. */
function elementwiseDispatch(root: Value, fusion: Fusion): Dispatch {
  const bindings = new Bindings(fusion, null);
  const steps = bindings.steps(root);
  const name = steps.flatMap((step) => step.kind === "call" ? [step.name] : []).join("+") || "copy";
  const kernel: Kernel = {
    source: ELEMENTWISE_KERNEL,
    label: `fused ${name}`,
    entry: "forward",
    reads: [],
    writes: ["y"],
    threads: texels(root.shape),
  };
  const { reads, flops } = bindings;
  const program = { kernel, reads: reads.length, loads: [], stores: [{ shape: root.shape, steps }] };
  return { program, reads, writes: [root], flops, bound: "memory", name, cached: false };
}

/**
 * A dispatch of a kernel.
 *
 * @param epilogue The value that is stored in place of the kernel's result; null for the results themselves.
 */
function kernelDispatch(
  kernel: Kernel,
  node: Node,
  epilogue: Value | null,
  { target }: ComputeGraph,
  fusion: Fusion,
): Dispatch {
  const { op, outputs: [result] } = node;
  if (!op || !result) throw new Error("Cannot lower a leaf to a kernel");
  const bindings = new Bindings(fusion, epilogue && result);
  const loads = node.inputs.map((input): Load =>
    fusion.stored.has(input) ? { slot: bindings.slot(input) } : { shape: input.shape, steps: bindings.steps(input) }
  );
  const writes = epilogue ? [epilogue] : node.outputs;
  const stores = writes.map((value): Store => ({
    shape: value.shape,
    steps: epilogue ? bindings.steps(epilogue) : [],
  }));
  const { reads } = bindings;
  if (reads.length + writes.length > target.bindings) {
    throw new InputError(
      `Cannot bind ${reads.length + writes.length} tensors for ${op.name} ${showShape(result.shape)} as the adapter ` +
        `allows ${target.bindings} in a dispatch`,
    );
  }
  const { isFrozen = () => false } = target;
  return {
    program: { kernel, reads: reads.length, loads, stores },
    reads,
    writes,
    flops: bindings.flops + (op.flops?.(node) ?? elements(result.shape)),
    bound: op.bound,
    name: op.name,
    cached: op.cached === true && reads.every(isFrozen),
  };
}

/** Tensors that a dispatch reads, collected while its fused expressions are written down. */
class Bindings {
  readonly reads: Value[] = [];
  /** Floating point operations of the expressions. */
  flops = 0;

  /** @param result What the kernel has just computed, for its epilogue; null without one. */
  constructor(private readonly fusion: Fusion, private readonly result: Value | null) {}

  /** Position among the reads of a stored value, which is added if it is new. */
  slot(value: Value): number {
    const stored = this.fusion.resolve(value);
    const found = this.reads.indexOf(stored);
    return found >= 0 ? found : this.reads.push(stored) - 1;
  }

  /** Steps of the expression of a value, though it may be stored; equal parts are computed once. */
  steps(root: Value): Step[] {
    const { stored, resolve } = this.fusion;
    const steps: Step[] = [];
    const done = new Map<Value, number>();
    const visit = (value: Value): number => {
      const known = done.get(value);
      if (known !== undefined) return known;
      const at = position(value);
      done.set(value, at);
      return at;
    };
    const position = (value: Value): number => {
      if (this.result && resolve(value) === this.result) return steps.push({ kind: "value" }) - 1;
      if (stored.has(value) && value !== root) return load(value, { indexing: null, splat: false });
      const { op, inputs, attrs } = value.node;
      const lowering = op?.lowering;
      if (lowering?.kind === "view") return visit(itemAt(inputs, 0, "a view's inputs"));
      if (lowering?.kind === "window") {
        const slot = this.slot(itemAt(inputs, 0, "a window's inputs"));
        return steps.push({ kind: "window", slot, window: lowering.window(value.node) }) - 1;
      }
      if (!op || lowering?.kind !== "elementwise") throw new Error(`Cannot fuse ${op?.name ?? "a leaf"}`);
      const args = inputs.map((input) => {
        const how = broadcast(input.shape, value.shape);
        if (how.indexing === null && !how.splat) return visit(input);
        if (!stored.has(input)) throw new Error(`Cannot plan ${op.name}: its broadcast operand is not stored`);
        return load(input, how);
      });
      const count = elements(value.shape);
      this.flops += count * (op.flops ? op.flops(value.node) / count : 1);
      const floats = lowering.floats?.(attrs) ?? [];
      return steps.push({ kind: "call", name: op.name, source: lowering.source, args, floats }) - 1;
    };
    const load = (value: Value, how: { indexing: Indexing; splat: boolean }) =>
      steps.push({ kind: "load", slot: this.slot(value), ...how }) - 1;
    visit(root);
    return steps;
  }
}

/** Index of a broadcast operand for a result of shape `to`; shapes as in numpy. */
export function broadcast(from: Shape, to: Shape): { indexing: Indexing; splat: boolean } {
  const splat = (from.at(-1) ?? 1) === 1 && (to.at(-1) ?? 1) !== 1;
  if (sameShape(from, to)) return { indexing: null, splat };
  const padded = [...Array<number>(to.length - from.length).fill(1), ...from];
  const last = to.length - 1;
  // Dimensions counted in texels; neighbours that are both kept or both broadcast are one.
  const groups: { size: number; kept: boolean }[] = [];
  to.forEach((n, d) => {
    const size = d === last ? Math.ceil(n / 4) : n;
    if (size === 1) return;
    const kept = padded[d] === n;
    const before = groups.at(-1);
    if (before && before.kept === kept) before.size *= size;
    else groups.push({ size, kept });
  });
  if (groups.every(({ kept }) => kept)) return { indexing: null, splat };
  const indexing: { inner: number; size: number; stride: number; outermost: boolean }[] = [];
  let inner = 1;
  let stride = 1;
  for (const [g, { size, kept }] of [...groups.entries()].reverse()) {
    if (kept) {
      indexing.push({ inner, size, stride, outermost: g === 0 });
      stride *= size;
    }
    inner *= size;
  }
  return { indexing, splat };
}
