/**
 * Fusion: chooses which values are stored in memory. All others are computed inside the dispatches that read them: in
 * an element-wise dispatch, in the loads of a kernel, or in the epilogue of the kernel before.
 *
 * @module
 */

import { type Kernel, type Node, sameShape, texels, type Value } from "../graph.ts";
import { itemAt, lookUp } from "../lookup.ts";
import { kernelOf } from "../tuning/select.ts";
import type { ComputeGraph } from "./records.ts";

/**
 * Most steps in an expression: ops and loads, each a statement of the WGSL of every dispatch that computes it. The limit
 * keeps shaders short, and it bounds the arithmetic that is repeated where several dispatches read a value that is not
 * stored. Of the networks here only the loss of STAR, with a chain of 155 steps, is cut by it; the number is not tuned.
 */
export const MAX_STEPS = 40;

/** Most tensors that an expression reads: the storage buffers that WebGPU guarantees to a shader stage. */
export const MAX_LEAVES = 8;

/** Bindings that an expression leaves free for its result and for the kernel that it may be fused with. */
const SPARE_BINDINGS = 4;

/** Values that are stored, and the dispatches that compute them. */
export interface Fusion {
  /** Kernels of the nodes that have one. */
  readonly kernels: ReadonlyMap<Node, Kernel>;
  /** Values in memory. */
  readonly stored: ReadonlySet<Value>;
  /** Stored values that are computed by an element-wise expression, with the stored values that it reads. */
  readonly expressions: ReadonlyMap<Value, readonly Value[]>;
  /** Expressions that are the epilogue of a kernel, with the kernel's result, which is then never stored. */
  readonly epilogues: ReadonlyMap<Value, Value>;
  /** Stored values that a dispatch reads, or that are fetched. */
  readonly used: ReadonlySet<Value>;
  /** The stored value behind a value: itself, its replacement, or the value that it is a view of. */
  resolve(value: Value): Value;
}

/** Chooses the stored values of a graph. */
export function fuse(graph: ComputeGraph): Fusion {
  const kernels = new Map<Node, Kernel>();
  for (const node of graph.nodes) {
    if (node.op?.lowering.kind === "kernel") kernels.set(node, kernelOf(node, graph.target));
  }
  const maxLeaves = Math.min(MAX_LEAVES, graph.target.bindings - SPARE_BINDINGS);
  const storage = new StorageChoice(graph, kernels, maxLeaves);
  const { stored } = storage;
  const resolve = (value: Value) => storage.resolve(value);
  const expressions = new Map<Value, readonly Value[]>();
  for (const { op, outputs: [value] } of graph.nodes) {
    if (!op || !value || kernels.has(value.node)) continue;
    if (stored.has(value) && resolve(value) === value) expressions.set(value, leavesOf(value, stored, resolve));
  }
  const users = usersOf(graph, { kernels, stored, expressions, resolve });
  const epilogues = epiloguesOf(graph, { kernels, stored, expressions, resolve }, users, maxLeaves);
  return { kernels, stored, expressions, epilogues, used: new Set(users.keys()), resolve };
}

/** Values that are read in a way that cannot be fused. */
function unfusable({ nodes, outputs, updates, target }: ComputeGraph, kernels: ReadonlyMap<Node, Kernel>): Set<Value> {
  const stored = new Set<Value>();
  for (const node of nodes) {
    const kernel = kernels.get(node);
    if (!node.op || kernel || target.fused === false) node.outputs.forEach((value) => stored.add(value));
    const kind = node.op?.lowering.kind;
    node.inputs.forEach((input, k) => {
      if (kernel && !kernel.fusable?.includes(itemAt(kernel.reads, k, "a kernel's reads"))) stored.add(input);
      // A broadcast operand would be computed again for every element of the result; a window addresses its input.
      const spreads = kind === "elementwise" && node.outputs.some(({ shape }) => !sameShape(input.shape, shape));
      if (kind === "window" || spreads) stored.add(input);
    });
  }
  for (const value of [...outputs, ...updates.flat()]) stored.add(value);
  return stored;
}

/** The stored values of a graph, and the size of the expressions between them, found node by node. */
class StorageChoice {
  readonly stored: Set<Value>;
  /** Views of stored values, which are stored already. */
  readonly #views = new Map<Value, Value>();
  /** By value: the stored values that its expression reads, and how many steps it has. */
  readonly #extent = new Map<Value, { readonly leaves: ReadonlySet<Value>; readonly steps: number }>();

  constructor(private readonly graph: ComputeGraph, kernels: ReadonlyMap<Node, Kernel>, maxLeaves: number) {
    this.stored = unfusable(graph, kernels);
    for (const node of graph.nodes) {
      const kernel = kernels.get(node);
      if (kernel) this.#fitBindings(node.inputs, kernel);
      for (const value of node.outputs) {
        if (node.op && !kernel) this.#express(value, maxLeaves);
        this.#settle(value);
      }
    }
  }

  resolve(value: Value): Value {
    const now = this.graph.now(value);
    return this.#views.get(now) ?? now;
  }

  /** Notes a stored value as a leaf of the expressions that read it, and a view of one as stored. */
  #settle(value: Value): void {
    const [input] = value.node.inputs;
    if (value.node.op?.lowering.kind === "view" && input && this.stored.has(input)) {
      this.#views.set(value, this.resolve(input));
      this.stored.add(value);
    }
    if (this.stored.has(value)) this.#extent.set(value, { leaves: new Set([this.resolve(value)]), steps: 1 });
  }

  #store(value: Value): void {
    this.stored.add(value);
    this.#settle(value);
  }

  /** Measures the expression of a value; one that is too large is cut at its longest operand. */
  #express(value: Value, maxLeaves: number): void {
    const { inputs } = value.node;
    for (;;) {
      const leaves = this.#leavesOf(inputs);
      const steps = 1 + inputs.reduce((sum, input) => sum + this.#extentOf(input).steps, 0);
      const longest = leaves.size > maxLeaves || steps > MAX_STEPS
        ? this.#largest(inputs, (input) => this.#extentOf(input).steps)
        : undefined;
      if (!longest) {
        this.#extent.set(value, { leaves, steps });
        return;
      }
      this.#store(longest);
    }
  }

  /** Stores the widest operands of a kernel until it binds no more than the adapter allows. */
  #fitBindings(inputs: readonly Value[], kernel: Kernel): void {
    while (this.#leavesOf(inputs).size + kernel.writes.length > this.graph.target.bindings) {
      const widest = this.#largest(inputs, (input) => this.#extentOf(input).leaves.size);
      if (!widest) return;
      this.#store(widest);
    }
  }

  #leavesOf(values: readonly Value[]): Set<Value> {
    return new Set(values.flatMap((value) => [...this.#extentOf(value).leaves]));
  }

  /** The first value of the largest measure among those that are not stored. */
  #largest(values: readonly Value[], measure: (value: Value) => number): Value | undefined {
    return values.filter((value) => !this.stored.has(value)).sort((a, b) => measure(b) - measure(a))[0];
  }

  #extentOf(value: Value) {
    return lookUp(this.#extent, value, "expressions");
  }
}

/** Stored values that the expression behind `value` reads; `value` itself is not counted. */
function leavesOf(value: Value, stored: ReadonlySet<Value>, resolve: (value: Value) => Value): Value[] {
  const found = new Set<Value>();
  const visit = (v: Value) => v.node.inputs.forEach((i) => stored.has(i) ? found.add(resolve(i)) : visit(i));
  visit(value);
  return [...found];
}

type Choice = Pick<Fusion, "kernels" | "stored" | "expressions" | "resolve">;

/** By stored value: the expressions and kernels that read it, and `"fetch"` where a run returns or assigns it. */
function usersOf(
  { outputs, updates }: ComputeGraph,
  { kernels, stored, expressions, resolve }: Choice,
): Map<Value, Set<Value | Node | "fetch">> {
  const users = new Map<Value, Set<Value | Node | "fetch">>();
  const use = (value: Value, user: Value | Node | "fetch") => {
    const set = users.get(value) ?? new Set();
    users.set(value, set.add(user));
  };
  for (const [root, leaves] of expressions) leaves.forEach((leaf) => use(leaf, root));
  for (const node of kernels.keys()) {
    for (const input of node.inputs) {
      if (stored.has(input)) use(resolve(input), node);
      else leavesOf(input, stored, resolve).forEach((leaf) => use(leaf, node));
    }
  }
  for (const value of [...outputs, ...updates.flat()]) use(resolve(value), "fetch");
  return users;
}

/** Expressions that become the epilogue of a kernel: its result is read by them alone, each texel at its own place. */
function epiloguesOf(
  { nodes, target }: ComputeGraph,
  { kernels, stored, expressions, resolve }: Choice,
  users: ReadonlyMap<Value, ReadonlySet<unknown>>,
  maxLeaves: number,
): Map<Value, Value> {
  const position = new Map(nodes.map((node, k) => [node, k]));
  const epilogues = new Map<Value, Value>();
  if (target.fused === false) return epilogues;
  for (const [root, leaves] of expressions) {
    const [latest] = leaves
      .filter(({ node }) => kernels.has(node) && node.outputs.length === 1)
      .filter((leaf) => users.get(leaf)?.size === 1)
      .filter((leaf) => texels(leaf.shape) === texels(root.shape) && readsInPlace(root, leaf, stored, resolve))
      .sort((a, b) => lookUp(position, b.node, "nodes") - lookUp(position, a.node, "nodes"));
    const kernel = latest && kernels.get(latest.node);
    if (!kernel) continue;
    const bindings = kernel.reads.length * (kernel.fusable ? maxLeaves : 1) + leaves.length + 1;
    if (bindings <= target.bindings) epilogues.set(root, latest);
  }
  return epilogues;
}

/** True if the expression of `root` reads `leaf` only at its own texel, never broadcast. */
function readsInPlace(
  root: Value,
  leaf: Value,
  stored: ReadonlySet<Value>,
  resolve: (value: Value) => Value,
): boolean {
  const visit = (value: Value): boolean =>
    value.node.inputs.every((input) => {
      const kind = value.node.op?.lowering.kind;
      const own = kind === "view" || kind === "elementwise" && sameShape(input.shape, value.shape);
      if (stored.has(input)) return own || resolve(input) !== leaf;
      return own && visit(input);
    });
  return visit(root);
}
