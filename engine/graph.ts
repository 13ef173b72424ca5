/**
 * Graphs of tensor operations: symbolic values, nodes and the contract that every op fulfils.
 *
 * Model code describes a computation once; nothing is computed here. `ops/autodiff.ts` differentiates a graph,
 * `plan/` turns it into dispatches and `executable.ts` runs them.
 *
 * Layout: tensors are channels-last. The innermost dimension is stored in texels of four f32, padded with zeros to a
 * multiple of four; a *texel index* counts texels in row-major order. All arithmetic is f32; integers (token ids,
 * time steps, class indices) are stored as f32, exact up to 2^24.
 *
 * @module
 */

/** Extent of each dimension, outermost first. */
export type Shape = readonly number[];

/** Static options of a node; part of its identity. */
export type Attrs = Readonly<Record<string, number | string | boolean | readonly number[]>>;

/** Attributes of an op that has none. */
export type NoAttrs = Record<string, never>;

/** Tuples of one type by their length, up to six; any number of elements for `number`. */
export interface Tuples<T> {
  /** Any number of them. */
  readonly [length: number]: readonly T[];
  /** One. */
  readonly 1: readonly [T];
  /** Two. */
  readonly 2: readonly [T, T];
  /** Three. */
  readonly 3: readonly [T, T, T];
  /** Four. */
  readonly 4: readonly [T, T, T, T];
  /** Five. */
  readonly 5: readonly [T, T, T, T, T];
  /** Six. */
  readonly 6: readonly [T, T, T, T, T, T];
}

/** `N` values of one type: `Tuple<Value, 2>` is `readonly [Value, Value]`; any number of them when `N` is `number`. */
export type Tuple<T, N extends number> = Tuples<T>[N];

/**
 * Gradients of outputs by their number: null for an output that the loss does not depend on. The only output of an op
 * always has one, since the op is not differentiated otherwise.
 */
export interface OutputGradients extends Tuples<Value | null> {
  /** Of the only output. */
  readonly 1: readonly [Value];
}

/** A tensor in f64 on the CPU, row-major and without padding: the truth that kernels are tested against. */
export interface F64 {
  /** Extent of each dimension. */
  readonly shape: Shape;
  /** Elements, row-major. */
  readonly data: Float64Array;
}

/** Properties of the device and of the run that an op's kernel may depend on. */
export interface Target {
  /** Storage class of every tensor on this adapter. */
  readonly storage: "texture" | "buffer";
  /** Most tensors that one dispatch may bind. */
  readonly bindings: number;
  /** True if kernels should tile in workgroup memory: fast on hardware, slow on software drivers. */
  readonly tiled: boolean;
  /** True if large results are written to a buffer and copied to their textures: see {@linkcode Device.staged}. */
  readonly staged?: boolean;
  /** Returns true for the name of a parameter in f16. */
  readonly isF16?: (name: string) => boolean;
  /** Returns true for a value that is the same in every run, such as a weight that is not trained. */
  readonly isFrozen?: (value: Value) => boolean;
  /** Selects measured kernels in place of the ops' own; the ops' own are used without it. */
  readonly selector?: KernelSelector;
  /** True to keep an op composite where its decomposition takes more memory. */
  readonly keepComposite?: boolean;
  /** False to give every op a dispatch of its own, so that each result can be inspected; by default true. */
  readonly fused?: boolean;
}

/** Numbers that a kernel is built with in place of the op's own, such as tile shapes. */
export type Candidate = Readonly<Record<string, number>>;

/** Selects kernels by measurements on an adapter. */
export interface KernelSelector {
  /** The fastest of an op's candidates for the kernel of a key; undefined for the op's own. */
  select(key: string, candidates: readonly Candidate[]): Candidate | undefined;
}

/**
 * One compute dispatch of an op: a WGSL entry point and the numbers it runs with.
 *
 * The loader declares the bindings and puts these in front of `source`:
 * `ld_x(i) -> vec4f` for each name in `reads` and `ldz_x(i)`, the same but zero for a negative index;
 * `st_y(i, v)` for each name in `writes`, which applies the fused epilogue and zeroes the padding lanes;
 * `u.NAME` for each of `ints` (i32) and `floats` (f32); `thread(id) -> i32`, the linear index of the invocation, to be
 * compared with `u.threads`; `quotient(i, d)` and `remainder(i, d)`, in place of `/` and `%` which processors do lane by
 * lane; `pixel(t, height, width, channels4)`, the sample `n`, row `h`, column `w` and texel of channels `c` of texel `t` of
 * maps; `WG`, the workgroup size.
 */
export interface Kernel {
  /** WGSL text, usually imported from `shaders/`. */
  readonly source: string;
  /** Origin of the text for error messages, `shaders/conv2d.wgsl`. */
  readonly label: string;
  /** Name of the entry point in `source`. */
  readonly entry: string;
  /** Names of the node's inputs in the shader, in order. */
  readonly reads: readonly string[];
  /** Names of the node's outputs in the shader, in order. */
  readonly writes: readonly string[];
  /** Constants of the expansion of `//@ for` blocks and `$(...)`; each set makes a pipeline of its own. */
  readonly constants?: Readonly<Record<string, number>>;
  /** Integer uniforms. */
  readonly ints?: Readonly<Record<string, number>>;
  /**
   * Names of integers that are written into the code instead, because indices are divided by them: a GPU multiplies and
   * shifts to divide by a constant, and takes some twenty instructions to divide by anything else.
   */
  readonly inlined?: readonly string[];
  /** Float uniforms. */
  readonly floats?: Readonly<Record<string, number>>;
  /** Number of invocations. */
  readonly threads: number;
  /** Invocations in a workgroup: 8 for heavy register tiles, 64 for light kernels (the default). */
  readonly workgroup?: number;
  /** Inputs whose texels the kernel reads at most once or twice, so that a producer may be fused into the load. */
  readonly fusable?: readonly string[];
  /**
   * Inputs whose memory a result may have, by the result: only the invocation that writes a texel reads the texel before it.
   */
  readonly inPlace?: Readonly<Record<string, string>>;
  /**
   * Joins dispatches of equal keys: `merge` gives the kernel that computes the results of all, whose inputs and
   * outputs are theirs, one kernel's after the other's.
   */
  readonly together?: { readonly key: string; merge(kernels: readonly Kernel[]): Kernel };
}

/** Lowering of an op to WGSL. */
export type Lowering<A, I extends number = number, O extends number = number> =
  /** `fn op_<name>(a: vec4f, ..., c: f32, ...) -> vec4f` on texels with numpy broadcasting; `floats` are the trailing arguments. */
  | { readonly kind: "elementwise"; readonly source: string; floats?(attrs: A): readonly number[] }
  /** Same texels under another shape; costs nothing. */
  | { readonly kind: "view" }
  /** Texels of the input, or zeros, by their index: a load with another address wherever the result is used. */
  | { readonly kind: "window"; window(node: Node<A, I, O>): Window }
  /**
   * A kernel of its own. `tune` lists up to eight candidates that tuning tries, the first of them `{}`, which is the op's
   * own kernel and runs anywhere; all compute the same.
   */
  | {
    readonly kind: "kernel";
    kernel(node: Node<A, I, O>, target: Target, candidate: Candidate): Kernel;
    readonly tune?: readonly Candidate[];
  };

/**
 * Texel `i` of the result is texel `i + floor(i / period) * skip + offset` of the input; zero where
 * `i % period + offset` is not in `[0, extent)`.
 */
export interface Window {
  /** Texels of the result between two jumps. */
  readonly period: number;
  /** Texels of the input that a jump leaves out. */
  readonly skip: number;
  /** Texels of the input before the first one of the result. */
  readonly offset: number;
  /** Texels of the input in a period. */
  readonly extent: number;
}

/**
 * A differentiable operation. One file in `ops/` each, with a shader of the same name.
 *
 * `A` is the type of its attributes, `I` the number of its inputs and `O` that of its outputs; `number` for either leaves it open.
 */
export interface Op<A, I extends number, O extends number = 1> {
  /** Same as the file name. */
  readonly name: string;
  /** Shapes of the outputs, or throws TypeError naming the shapes given. Runs when the graph is built. */
  shapes(inputs: Tuple<Shape, I>, attrs: A): Tuple<Shape, O>;
  /**
   * Gradients in the order of the inputs, as values of the same graph; null where none flows.
   * `dys` are the gradients of the outputs.
   * An op without this method stops the gradient.
   */
  gradient?(node: Node<A, I, O>, dys: OutputGradients[O]): Tuple<Value | null, I>;
  /** Its form on the GPU. */
  readonly lowering: Lowering<A, I, O>;
  /**
   * Rewrites the op into other ops that compute its outputs, where that is faster on a target; null where it is not.
   * The choice is by shape unless a tuned candidate overrides it.
   */
  decompose?(node: Node<A, I, O>, candidate: Candidate, target: Target): Tuple<Value, O> | null;
  /** True to keep the outputs from run to run while the inputs are frozen: for transformed weights. */
  readonly cached?: boolean;
  /** "memory": cheap, may be recomputed. "compute": keep its output. */
  readonly bound: "memory" | "compute";
  /**
   * Rule by which mixed precision keeps an output as f16: "always" for products, which are summed in f32; "follows" if all
   * operands of the result's size are f16. Without it outputs are f32, as sums and statistics must be.
   */
  f16?(node: Node<A, I, O>, output: number): "always" | "follows" | "never";
  /** Floating point operations, for plans and rooflines; one per element when absent. */
  flops?(node: Node<A, I, O>): number;
  /** Plain loops in f64. The truth for tests; slow and obvious on purpose. */
  reference(inputs: Tuple<F64, I>, attrs: A): Tuple<F64, O>;
}

/** An op of any attributes, inputs and outputs. */
export type AnyOp = Op<Attrs, number, number>;

/** Origin of a value that no op computes. */
export type Leaf =
  | { readonly kind: "input"; readonly name: string }
  | { readonly kind: "parameter"; readonly name: string }
  | { readonly kind: "constant"; readonly data: Float32Array };

/** An application of an op, or a leaf. */
export interface Node<A = Attrs, I extends number = number, O extends number = number> {
  /** Number of the node in its graph. */
  readonly id: number;
  /** Null for a leaf. */
  readonly op: AnyOp | null;
  /** Null unless the node is one. */
  readonly leaf: Leaf | null;
  /** Values that the op takes. */
  readonly inputs: Tuple<Value, I>;
  /** Options of the op. */
  readonly attrs: A;
  /** Values that the op gives. */
  readonly outputs: Tuple<Value, O>;
}

/** One output of a node: a symbolic tensor. */
export interface Value {
  /** The graph it is in. */
  readonly graph: Graph;
  /** The node that gives it. */
  readonly node: Node;
  /** Which of the node's outputs. */
  readonly index: number;
  /** Extent of each dimension, channels last. */
  readonly shape: Shape;
}

/** Number of elements of a shape. */
export function elements(shape: Shape): number {
  return shape.reduce((a, b) => a * b, 1);
}

/** Number of texels of a shape: the innermost dimension is padded to a multiple of four. */
export function texels(shape: Shape): number {
  const last = shape.at(-1) ?? 1;
  return shape.slice(0, -1).reduce((a, b) => a * b, 1) * Math.ceil(last / 4);
}

/** True if two shapes are equal. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((n, i) => n === b[i]);
}

/** `[2, 3]`, for messages. */
export function showShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

/** Extents by the names in a string such as `"N H W C"`. */
export type Dims<Names extends string> = { readonly [Name in Exclude<Word<Names>, "...">]: number };

/** The words of a string. */
export type Word<S extends string> = S extends `${infer Head} ${infer Tail}` ? Head | Word<Tail> : S;

/**
 * Names the dimensions of a tensor: `const { H, W } = dims(x, "N H W C")`.
 *
 * @param x A shape, or what has one.
 * @param names One name a dimension, outermost first, with spaces between; `...` stands for any number of dimensions.
 * @throws {TypeError} If the number of dimensions differs.
 */
export function dims<Names extends string>(x: Shape | { readonly shape: Shape }, names: Names): Dims<Names> {
  const shape = "shape" in x ? x.shape : x;
  const words = names.split(" ");
  const rest = words.indexOf("...");
  if (rest < 0 ? shape.length !== words.length : shape.length < words.length - 1) {
    const count = `${shape.length} dimension${shape.length === 1 ? "" : "s"}`;
    throw new TypeError(`Cannot read ${showShape(shape)} as [${words.join(", ")}]: it has ${count}`);
  }
  const found: Record<string, number | undefined> = {};
  for (const [k, word] of words.entries()) {
    if (k !== rest) found[word] = shape.at(rest >= 0 && k > rest ? k - words.length : k);
  }
  return found as Dims<Names>;
}

/**
 * Extent of one dimension.
 *
 * @param axis Counted from the outermost, or from the innermost where negative.
 * @throws {RangeError} If there is no such dimension.
 */
export function extent(x: Shape | { readonly shape: Shape }, axis: number): number {
  const shape = "shape" in x ? x.shape : x;
  const size = shape.at(axis);
  if (size === undefined) throw new RangeError(`Cannot take dimension ${axis} of ${showShape(shape)}`);
  return size;
}

/** A graph under construction. Equal nodes are made once, so a repeated sub-expression costs nothing. */
export class Graph {
  readonly #seen = new Map<string, Node>();
  readonly #inputs = new Map<string, Value>();
  readonly #parameters = new Map<string, Value>();
  #count = 0;

  /** A tensor that the caller gives with every run. */
  input(name: string, shape: Shape): Value {
    return this.#named(this.#inputs, { kind: "input", name }, name, shape);
  }

  /** A tensor that lives on the device between runs, under a name that checkpoints use. */
  parameter(name: string, shape: Shape): Value {
    return this.#named(this.#parameters, { kind: "parameter", name }, name, shape);
  }

  /** A tensor known when the graph is built. */
  constant(data: ArrayLike<number>, shape: Shape): Value {
    if (data.length !== elements(shape)) {
      throw new TypeError(`Cannot make a constant of shape ${showShape(shape)}: ${data.length} elements were given`);
    }
    return this.#leaf({ kind: "constant", data: Float32Array.from(data) }, shape);
  }

  /** Parameters named so far, in the order of their creation. */
  get parameters(): ReadonlyMap<string, Value> {
    return this.#parameters;
  }

  /** Inputs named so far. */
  get inputs(): ReadonlyMap<string, Value> {
    return this.#inputs;
  }

  #named(map: Map<string, Value>, leaf: Leaf, name: string, shape: Shape): Value {
    const known = map.get(name);
    if (known) {
      if (!sameShape(known.shape, shape)) {
        throw new TypeError(
          `Cannot use ${leaf.kind} "${name}" as ${showShape(shape)}: it is ${
            showShape(known.shape)
          } elsewhere in the graph`,
        );
      }
      return known;
    }
    const value = this.#leaf(leaf, shape);
    map.set(name, value);
    return value;
  }

  #leaf(leaf: Leaf, shape: Shape): Value {
    return this.#add(null, leaf, [], {}, [shape]).outputs[0]!;
  }

  /** Applies an op; prefer the typed function of the op's own file. */
  apply<A extends Attrs, I extends number, O extends number>(
    op: Op<A, I, O>,
    given: Tuple<Value, I>,
    attrs: A,
  ): Tuple<Value, O> {
    const inputs: readonly Value[] = given;
    const key = `${op.name}(${inputs.map((v) => `${v.node.id}.${v.index}`)})${JSON.stringify(attrs)}`;
    const seen = this.#seen.get(key);
    if (seen) return seen.outputs as Tuple<Value, O>;
    for (const value of inputs) {
      if (value.graph !== this) throw new TypeError(`Cannot apply ${op.name} to a value of another graph`);
    }
    // The types of `op` and `given` check the number of inputs; a node keeps neither type.
    const open: AnyOp = op;
    const node = this.#add(open, null, inputs, attrs, open.shapes(inputs.map((v) => v.shape), attrs));
    this.#seen.set(key, node);
    return node.outputs as Tuple<Value, O>;
  }

  #add(op: AnyOp | null, leaf: Leaf | null, inputs: readonly Value[], attrs: Attrs, shapes: readonly Shape[]): Node {
    const outputs: Value[] = [];
    const node: Node = { id: this.#count++, op, leaf, inputs, attrs, outputs };
    shapes.forEach((shape, index) => outputs.push({ graph: this, node, index, shape }));
    return node;
  }
}

/** Applies an op with one output. */
export function apply<A extends Attrs, I extends number>(op: Op<A, I, 1>, inputs: Tuple<Value, I>, attrs: A): Value {
  const [first] = inputs as readonly [Value, ...Value[]];
  const [y] = first.graph.apply(op, inputs, attrs);
  return y;
}

/** Nodes that `values` depend on, inputs before users. */
export function topological(values: readonly Value[]): Node[] {
  const found = new Map<number, Node>();
  const stack = values.map((v) => v.node);
  for (let node = stack.pop(); node; node = stack.pop()) {
    if (found.has(node.id)) continue;
    found.set(node.id, node);
    for (const input of node.inputs) stack.push(input.node);
  }
  // Ids grow with construction, and a node is constructed after its inputs.
  return [...found.values()].sort((a, b) => a.id - b.id);
}
