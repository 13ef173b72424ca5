/**
 * Writes a graph as an ONNX file: each op of inference as one or a few ONNX nodes, parameters as initializers.
 *
 * Easy to get wrong:
 * - images are channels-last here and channels-first in ONNX: convolutions and poolings stand between two transposes,
 *   which runtimes cancel against each other;
 * - partial sums, which a GPU wants, have no meaning of their own: `moments` is written from its last input alone.
 *
 * Source: onnx/onnx, onnx/onnx.proto and docs/Operators.md, operator set 17.
 *
 * @module
 */

import type { MatmulAttrs } from "../../ops/matmul.ts";
import type { OpName } from "../../ops/registry.ts";
import { dims, type Node, showShape, topological, type Value } from "../../engine/graph.ts";
import type { TensorData } from "../../formats/safetensors.ts";

const OPERATOR_SET = 17, IR_VERSION = 8;
const FLOAT = 1, INT64 = 7;

/** Metadata of the file. */
export interface OnnxOptions {
  /** Name of the graph. */
  readonly name: string;
  /** Description of its outputs and inputs. */
  readonly doc: string;
}

/**
 * Writes what `outputs` depend on as an ONNX model.
 *
 * @param outputs Results by the names that the file gives them.
 * @param parameters Values of the graph's parameters, by name, in the layout of the graph.
 * @returns The file.
 * @throws {TypeError} If an op has no form in ONNX here, or a parameter has no value.
 */
export function onnxModel(
  outputs: Readonly<Record<string, Value>>,
  parameters: ReadonlyMap<string, TensorData>,
  { name, doc }: OnnxOptions,
): Uint8Array<ArrayBuffer> {
  const writer = new Writer();
  const nodes = topological(Object.values(outputs));
  const inputs: Value[] = [];
  for (const node of nodes) {
    if (!node.leaf) {
      writer.node(node);
      continue;
    }
    const value = node.outputs[0]!;
    if (node.leaf.kind === "input") {
      inputs.push(value);
      writer.bind(value, node.leaf.name);
      continue;
    }
    const data = node.leaf.kind === "constant" ? node.leaf.data : parameters.get(node.leaf.name)?.data;
    if (!data) {
      throw new TypeError(`Cannot write the graph as ONNX: a value of ${JSON.stringify(node.leaf)} is missing`);
    }
    writer.bind(value, writer.floats(data, value.shape, node.leaf.kind === "parameter" ? node.leaf.name : undefined));
  }
  for (const [key, value] of Object.entries(outputs)) writer.emit("Identity", [writer.nameOf(value)], {}, key);
  const graph = [
    ...writer.nodes,
    text(2, name),
    ...writer.initializers,
    ...inputs.map((value) => message(11, valueInfo(writer.nameOf(value), value))),
    ...Object.entries(outputs).map(([key, value]) => message(12, valueInfo(key, value))),
  ];
  return join([
    int(1, IR_VERSION),
    text(2, "facewright"),
    text(6, doc),
    message(7, graph),
    message(8, [text(1, ""), int(2, OPERATOR_SET)]),
  ]);
}

type Attribute = number | readonly number[];

/** Nodes and initializers under construction; tensors are known by name. */
class Writer {
  readonly nodes: Uint8Array[] = [];
  readonly initializers: Uint8Array[] = [];
  readonly #names = new Map<Value, string>();
  readonly #known = new Map<string, string>();
  #count = 0;

  bind(value: Value, name: string): void {
    this.#names.set(value, name);
  }

  nameOf(value: Value): string {
    return this.#names.get(value)!;
  }

  /** An initializer of f32. */
  floats(data: ArrayLike<number>, shape: readonly number[], name = this.#fresh("constant")): string {
    const raw = new Uint8Array(Float32Array.from(data).buffer);
    this.initializers.push(message(5, [...shape.map((n) => int(1, n)), int(2, FLOAT), text(8, name), bytes(9, raw)]));
    return name;
  }

  /** A list of integers, made once. */
  ints(values: readonly number[]): string {
    const key = values.join();
    const known = this.#known.get(key);
    if (known) return known;
    const name = this.#fresh("ints");
    const raw = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
    this.initializers.push(message(5, [int(1, values.length), int(2, INT64), text(8, name), bytes(9, raw)]));
    this.#known.set(key, name);
    return name;
  }

  /** A node with one output; returns the output's name. */
  emit(
    type: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
    output = this.#fresh(type),
  ): string {
    this.#emit(type, inputs, attributes, [output]);
    return output;
  }

  /** Parts of a tensor along an axis. */
  split(x: string, axis: number, sizes: readonly number[]): string[] {
    const outputs = sizes.map(() => this.#fresh("Split"));
    this.#emit("Split", [x, this.ints(sizes)], { axis }, outputs);
    return outputs;
  }

  #emit(
    type: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>>,
    outputs: readonly string[],
  ): void {
    this.nodes.push(message(1, [
      ...inputs.map((name) => text(1, name)),
      ...outputs.map((name) => text(2, name)),
      text(3, outputs[0]!),
      text(4, type),
      ...Object.entries(attributes).map(([key, value]) => message(5, attribute(key, value))),
    ]));
  }

  /** Writes a node of the graph. */
  node(node: Node): void {
    const translate = translationOf(node.op!.name);
    if (!translate) throw new TypeError(`Cannot write ${node.op!.name} as ONNX: it has no form there yet`);
    const outputs = translate(this, node.inputs.map((value) => this.#names.get(value) ?? ""), node);
    outputs.forEach((name, k) => this.bind(node.outputs[k]!, name));
  }

  #fresh(kind: string): string {
    return `${kind}_${this.#count++}`;
  }
}

/** Writes a node whose inputs have these names; returns the names of its outputs. */
type Translation = (w: Writer, inputs: readonly string[], node: Node) => string[];

/** An op that ONNX has under another name. */
const same = (type: string): Translation => (w, inputs) => [w.emit(type, inputs)];

/** Does something to `[N, H, W, C]` as `[N, C, H, W]`. */
function channelsFirst(w: Writer, x: string, act: (x: string) => string): string {
  return w.emit("Transpose", [act(w.emit("Transpose", [x], { perm: [0, 3, 1, 2] }))], { perm: [0, 2, 3, 1] });
}

const scalar = (w: Writer, value: number) => w.floats([value], []);

/** Mean and biased variance over some axes, which stay with size 1. */
function meanAndVariance(w: Writer, x: string, axes: readonly number[]): [mean: string, variance: string] {
  const mean = w.emit("ReduceMean", [x], { axes, keepdims: 1 });
  const difference = w.emit("Sub", [x, mean]);
  return [mean, w.emit("ReduceMean", [w.emit("Mul", [difference, difference])], { axes, keepdims: 1 })];
}

/** An operand of a product as `[N, H, rows, columns]`, or `[N, rows, columns]` with one head. */
function splitHeads(w: Writer, x: string, { shape }: Value, heads: number, merged: boolean): string {
  if (merged === (heads === 1)) return x;
  if (!merged) return w.emit("Reshape", [x, w.ints([shape[0]!, ...shape.slice(2)])]);
  const { N, rows, wide } = dims(shape, "N rows wide");
  return w.emit("Transpose", [w.emit("Reshape", [x, w.ints([N, rows, heads, wide / heads])])], { perm: [0, 2, 1, 3] });
}

const toShape: Translation = (w, [x], node) => [w.emit("Reshape", [x!, w.ints(node.outputs[0]!.shape)])];

const window: Translation = (w, [x], { inputs, attrs }) => {
  const { axis, start, size } = attrs as { axis: number; start: number; size: number };
  const { shape } = inputs[0]!;
  if (start < 0 || start + size > shape[axis]!) {
    throw new TypeError(`Cannot write a window of ${size} from ${start} of ${showShape(shape)} as ONNX: it pads`);
  }
  // Not a Slice: that of ONNX Runtime Web's WebGPU provider (1.22.0, calculateInputIndicesImpl) begins one past the last
  // axis, which the WebGPU of Chrome forgives and that of Deno does not.
  const sizes = [start, size, shape[axis]! - start - size];
  const parts = w.split(x!, axis, sizes.filter((n) => n > 0));
  return [parts[start > 0 ? 1 : 0]!];
};

/** Ops without a form in ONNX yet: those of losses, gradients, optimizers and kernels, and those that no exported network has. */
type Untranslated =
  | "abs"
  | "adam"
  | "adaptive_sum_pool"
  | "add_squares"
  | "attention_grad"
  | "attention_tiles"
  | "attention_tiles_grad"
  | "awing"
  | "awing_grad"
  | "clamp"
  | "clip_factor"
  | "conv2d_backward_input"
  | "conv2d_backward_weight"
  | "eigen_2x2"
  | "eigen_2x2_grad"
  | "embedding"
  | "embedding_grad"
  | "exp"
  | "expand"
  | "gelu_grad"
  | "group_sums"
  | "im2col"
  | "log"
  | "max_pool_grad"
  | "minimum"
  | "nearest_row"
  | "normalize_sums"
  | "random_normal"
  | "random_uniform"
  | "recompute"
  | "sign"
  | "silu_grad"
  | "smooth_l1"
  | "smooth_l1_grad"
  | "sqrt"
  | "stop_gradient"
  | "sum_last"
  | "tanh"
  | "upsample_bilinear"
  | "upsample_bilinear_grad"
  | "where"
  | "wing"
  | "wing_grad"
  | "winograd_filter"
  | "winograd_filter_grad"
  | "winograd_filter_grad_product"
  | "winograd_grad_output_transform"
  | "winograd_input"
  | "winograd_output"
  | "winograd_product";

/** Every op is here or in {@linkcode Untranslated}: one that is in neither does not compile. */
const TRANSLATIONS: { readonly [Name in Exclude<OpName, Untranslated>]: Translation } = {
  add: same("Add"),
  sub: same("Sub"),
  mul: same("Mul"),
  div: same("Div"),
  maximum: same("Max"),
  relu: same("Relu"),
  sigmoid: same("Sigmoid"),
  silu: (w, [x]) => [w.emit("Mul", [x!, w.emit("Sigmoid", [x!])])],
  // x P(X <= x); there is a Gelu from operator set 20 on.
  gelu(w, [x]) {
    const erf = w.emit("Erf", [w.emit("Mul", [x!, scalar(w, Math.SQRT1_2)])]);
    const cdf = w.emit("Mul", [w.emit("Add", [erf, scalar(w, 1)]), scalar(w, 0.5)]);
    return [w.emit("Mul", [x!, cdf])];
  },
  reshape: toShape,
  repack: toShape,
  slice: window,
  slice_texels: window,
  concat: (w, inputs, { attrs }) => [w.emit("Concat", inputs, { axis: attrs["axis"] as number })],
  permute: (w, inputs, { attrs }) => [w.emit("Transpose", inputs, { perm: attrs["order"] as number[] })],
  affine(w, [x], { attrs }) {
    const { factor, offset } = attrs as { factor: number; offset: number };
    const scaled = w.emit("Mul", [x!, scalar(w, factor)]);
    return [offset === 0 ? scaled : w.emit("Add", [scaled, scalar(w, offset)])];
  },
  rsqrt(w, [x], { attrs }) {
    return [w.emit("Reciprocal", [w.emit("Sqrt", [w.emit("Add", [x!, scalar(w, attrs["eps"] as number)])])])];
  },
  step(w, [x], { attrs }) {
    return [w.emit("Cast", [w.emit("Greater", [x!, scalar(w, attrs["at"] as number)])], { to: FLOAT })];
  },
  softmax(w, [x], { attrs }) {
    if (attrs["causal"]) throw new TypeError("Cannot write a causal softmax as ONNX: it has no form there yet");
    return [w.emit("Softmax", [w.emit("Mul", [x!, scalar(w, attrs["scale"] as number)])], { axis: -1 })];
  },
  conv2d(w, [x, filter], { inputs, attrs }) {
    const { stride, padding } = attrs as { stride: number; padding: number[] };
    const weights = w.emit("Transpose", [filter!], { perm: [3, 2, 0, 1] });
    const { KH, KW } = dims(inputs[1]!, "KH KW I O");
    // ONNX has defaults for all but the weights; ONNX Runtime Web's WebGPU provider (1.22.0) refuses to work without.
    const options = {
      kernel_shape: [KH, KW],
      strides: [stride, stride],
      pads: padding,
      dilations: [1, 1],
      group: 1,
    };
    return [channelsFirst(w, x!, (h) => w.emit("Conv", [h, weights], options))];
  },
  max_pool(w, [x], { attrs }) {
    const { kernel, stride, padding } = attrs as Record<string, number>;
    const square = (n: number) => [n, n];
    const options = {
      kernel_shape: square(kernel!),
      strides: square(stride!),
      pads: [...square(padding!), ...square(padding!)],
    };
    return [channelsFirst(w, x!, (h) => w.emit("MaxPool", [h], options))];
  },
  upsample_nearest(w, [x], { inputs, outputs }) {
    const { N, H, W, C } = dims(inputs[0]!, "N H W C");
    const { HO, WO } = dims(outputs[0]!, "N HO WO C");
    if (HO % H || WO % W) throw new TypeError(`Cannot write an enlargement from ${H} x ${W} to ${HO} x ${WO} as ONNX`);
    const split = w.emit("Reshape", [x!, w.ints([N, H, 1, W, 1, C])]);
    const repeated = w.emit("Expand", [split, w.ints([N, H, HO / H, W, WO / W, C])]);
    return [w.emit("Reshape", [repeated, w.ints([N, HO, WO, C])])];
  },
  matmul(w, [a, b], node) {
    const { heads, ta, tb, merged_a, merged_b, merged_y } = node.attrs as MatmulAttrs;
    const operand = (name: string, value: Value, merged: boolean, turn: boolean) => {
      const split = splitHeads(w, name, value, heads, merged);
      return turn ? w.emit("Transpose", [split], { perm: heads === 1 ? [0, 2, 1] : [0, 1, 3, 2] }) : split;
    };
    const [x, y] = [operand(a!, node.inputs[0]!, merged_a, ta), operand(b!, node.inputs[1]!, merged_b, tb)];
    const product = w.emit("MatMul", [x, y]);
    const joined = heads > 1 && merged_y ? w.emit("Transpose", [product], { perm: [0, 2, 1, 3] }) : product;
    return toShape(w, [joined], node);
  },
  attention: (_, [y]) => [y!],
  time_embedding(w, [t, frequencies], { inputs, attrs }) {
    const angles = w.emit("Mul", [w.emit("Reshape", [t!, w.ints([inputs[0]!.shape[0]!, 1])]), frequencies!]);
    const waves = [w.emit("Sin", [angles]), w.emit("Cos", [angles])];
    return [w.emit("Concat", attrs["flip"] ? waves.reverse() : waves, { axis: 1 })];
  },
  sum(w, [x], node) {
    const { A, B } = dims(node.inputs[0]!, "A B ...");
    const inner = node.inputs[0]!.shape.slice(2);
    const parts = node.attrs["parts"] as number;
    const split = w.emit("Reshape", [x!, w.ints([A, parts, B / parts, ...inner])]);
    return [w.emit("ReduceSum", [split, w.ints([2])], { keepdims: 0 })];
  },
  row_moments: (w, [x], { inputs }) => meanAndVariance(w, x!, [inputs[0]!.shape.length - 1]),
  moments_parts: () => [],
  moments(w, [, , x], { inputs, outputs, attrs }) {
    const shape = inputs[2]!.shape;
    const [N, C, groups] = [shape[0]!, shape.at(-1)!, attrs["groups"] as number];
    const split = w.emit("Reshape", [x!, w.ints([N, -1, groups, C / groups])]);
    return meanAndVariance(w, split, [1, 3]).map((name, k) => {
      const spread = w.emit("Expand", [name, w.ints([N, 1, groups, C / groups])]);
      return w.emit("Reshape", [spread, w.ints(outputs[k]!.shape)]);
    });
  },
  normalize(w, [x, mean, factor, shift]) {
    return [w.emit("Add", [w.emit("Mul", [w.emit("Sub", [x!, mean!]), factor!]), shift!])];
  },
};

/** Translation of an op; undefined for one that has no form in ONNX. */
const translationOf = (name: string): Translation | undefined =>
  new Map<string, Translation>(Object.entries(TRANSLATIONS)).get(name);

function attribute(name: string, value: Attribute): Uint8Array[] {
  const [TYPE_INT, TYPE_INTS] = [2, 7];
  if (typeof value === "number") return [text(1, name), int(3, value), int(20, TYPE_INT)];
  return [text(1, name), ...value.map((n) => int(8, n)), int(20, TYPE_INTS)];
}

function valueInfo(name: string, { shape }: Value): Uint8Array[] {
  const dimensions = shape.map((n) => message(1, [int(1, n)]));
  return [text(1, name), message(2, [message(1, [int(1, FLOAT), message(2, dimensions)])])];
}

// Protocol buffers: a field is its number and wire type, then a varint, or a length and bytes.

function varint(value: number): Uint8Array {
  const out: number[] = [];
  for (let rest = BigInt.asUintN(64, BigInt(value)); out.length === 0 || rest > 0n; rest >>= 7n) {
    out.push(Number(rest & 127n) | (rest > 127n ? 128 : 0));
  }
  return Uint8Array.from(out);
}

const int = (field: number, value: number) => join([varint(field * 8), varint(value)]);
const bytes = (field: number, data: Uint8Array) => join([varint(field * 8 + 2), varint(data.length), data]);
const text = (field: number, value: string) => bytes(field, new TextEncoder().encode(value));
const message = (field: number, parts: readonly Uint8Array[]) => bytes(field, join(parts));

function join(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((n, { length }) => n + length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
