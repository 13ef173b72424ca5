/**
 * Writes a graph as an ONNX file: nodes by the translations of their ops, parameters as initializers.
 *
 * Source: onnx/onnx, onnx/onnx.proto.
 *
 * @module
 */

import { type Node, topological, type Value } from "../../engine/graph.ts";
import type { TensorData } from "../../formats/safetensors.ts";
import type { MatmulAttrs } from "../../ops/_matmul.ts";
import { FLOAT, type OnnxAttribute, type OnnxWriter, translationOf } from "./onnx_ops.ts";

const OPERATOR_SET = 17, IR_VERSION = 8;
const INT64 = 7;

/** Metadata of the file. */
export interface OnnxOptions {
  /** Name of the graph. */
  readonly name: string;
  /** Description of its outputs and inputs. */
  readonly doc: string;
  /** Nodes before and after the graph; by default its own inputs and outputs are the file's. */
  readonly around?: OnnxAround;
}

/**
 * Pre- and post-processing in ONNX's own nodes. Extents are numbers, or names of those that may be any; the graph takes other
 * extents than its own if its ops do, as convolutions.
 */
export interface OnnxAround {
  /** Shapes of the file's inputs, by name. */
  readonly inputs: Readonly<Record<string, readonly (number | string)[]>>;
  /** Shapes of the file's outputs, by name. */
  readonly outputs: Readonly<Record<string, readonly (number | string)[]>>;
  /**
   * Writes the nodes. `graph` writes those of the graph: it takes the names of the tensors that its inputs are, and returns
   * those of its results. The result are the names of the file's outputs.
   */
  write(
    w: OnnxWriter,
    graph: (inputs: Readonly<Record<string, string>>) => Readonly<Record<string, string>>,
  ): Readonly<Record<string, string>>;
}

/**
 * Writes an ONNX model of some outputs and everything that they depend on.
 *
 * @param outputs Results by the names that the file gives them.
 * @param parameters Values of the graph's parameters, by name, in the layout of the graph.
 * @returns The file.
 * @throws {TypeError} If an op has no form in ONNX here, or a parameter has no value.
 */
export function onnxModel(
  outputs: Readonly<Record<string, Value>>,
  parameters: ReadonlyMap<string, TensorData>,
  { name, doc, around }: OnnxOptions,
): Uint8Array<ArrayBuffer> {
  const writer = new Writer();
  const inputs = new Map<string, readonly (number | string)[]>(Object.entries(around?.inputs ?? {}));
  const write = (given: Readonly<Record<string, string>>) => {
    for (const { leaf, outputs: [value] } of writeGraph(writer, Object.values(outputs), parameters, given)) {
      if (leaf?.kind === "input" && value && !(leaf.name in given)) inputs.set(leaf.name, value.shape);
    }
    return Object.fromEntries(Object.entries(outputs).map(([key, value]) => [key, writer.nameOf(value)]));
  };
  const results = around ? around.write(writer, write) : write({});
  for (const [key, result] of Object.entries(results)) writer.emit("Identity", [result], {}, key);
  const made = around?.outputs ?? Object.fromEntries(Object.entries(outputs).map(([key, { shape }]) => [key, shape]));
  const graph = [
    ...writer.nodes,
    text(2, name),
    ...writer.initializers,
    ...[...inputs].map(([key, shape]) => message(11, valueInfo(key, shape))),
    ...Object.entries(made).map(([key, shape]) => message(12, valueInfo(key, shape))),
  ];
  return join([
    int(1, IR_VERSION),
    text(2, "facewright"),
    text(6, doc),
    message(7, graph),
    message(8, [text(1, ""), int(2, OPERATOR_SET)]),
  ]);
}

/** Writes the nodes that values depend on; returns them. */
function writeGraph(
  writer: Writer,
  values: readonly Value[],
  parameters: ReadonlyMap<string, TensorData>,
  given: Readonly<Record<string, string>>,
): Node[] {
  const nodes = topological(values);
  const products = new Map(nodes.flatMap((node) => {
    const product = pixelProduct(node);
    return product ? [[node, product] as const] : [];
  }));
  const within = new Set([...products.values()].flatMap(({ parts }) => parts));
  for (const node of nodes) {
    const [value] = node.outputs;
    const product = products.get(node);
    if (product && value) {
      const { maps, filter } = product;
      const matrix = writer.emit("Reshape", [writer.nameOf(filter), writer.ints(filter.shape.slice(2))]);
      writer.bind(value, writer.emit("MatMul", [writer.nameOf(maps), matrix]));
      continue;
    }
    if (within.has(node)) continue;
    if (!node.leaf || !value) {
      writer.node(node);
      continue;
    }
    if (node.leaf.kind === "input") {
      writer.bind(value, given[node.leaf.name] ?? node.leaf.name);
      continue;
    }
    const data = node.leaf.kind === "constant" ? node.leaf.data : parameters.get(node.leaf.name)?.data;
    if (!data) {
      throw new TypeError(`Cannot write the graph as ONNX: a value of ${JSON.stringify(node.leaf)} is missing`);
    }
    writer.bind(value, writer.floats(data, value.shape, node.leaf.kind === "parameter" ? node.leaf.name : undefined));
  }
  return nodes;
}

/** A convolution with a filter of one pixel. */
interface PixelProduct {
  /** `[N, H, W, I]`. */
  readonly maps: Value;
  /** `[1, 1, I, O]`. */
  readonly filter: Value;
  /** The nodes that compute it, except the last one. */
  readonly parts: readonly Node[];
}

/**
 * The convolution that a node is the last of: a product of matrices between changes of shape. As one MatMul it takes maps of
 * any size.
 */
function pixelProduct(node: Node): PixelProduct | null {
  if (node.op?.name !== "reshape") return null;
  const [result, product] = [node.outputs[0], unshaped(node.inputs[0])];
  const attrs = product?.value.node.attrs as Partial<MatmulAttrs> | undefined;
  if (!result || !product || product.value.node.op?.name !== "matmul" || attrs?.ta || attrs?.tb) return null;
  const [maps, filter] = product.value.node.inputs.map(unshaped);
  if (!maps || !filter || maps.value.shape.length !== 4 || filter.value.shape.length !== 4) return null;
  const [KH, KW, I, O] = filter.value.shape;
  const fits = KH === 1 && KW === 1 && I === maps.value.shape[3];
  if (!fits || `${result.shape}` !== `${[...maps.value.shape.slice(0, 3), O]}`) return null;
  const parts = [...product.shapes, product.value.node, ...maps.shapes, ...filter.shapes];
  return { maps: maps.value, filter: filter.value, parts };
}

/** The value before changes of shape, and the nodes of these. */
function unshaped(value: Value | undefined): { value: Value; shapes: Node[] } | null {
  const shapes: Node[] = [];
  let at = value;
  while (at?.node.op?.name === "reshape") {
    shapes.push(at.node);
    at = at.node.inputs[0];
  }
  return at ? { value: at, shapes } : null;
}

/** Nodes and initializers under construction; tensors are known by name. */
class Writer implements OnnxWriter {
  readonly nodes: Uint8Array[] = [];
  readonly initializers: Uint8Array[] = [];
  readonly #names = new Map<Value, string>();
  readonly #known = new Map<string, string>();
  #count = 0;

  bind(value: Value, name: string): void {
    this.#names.set(value, name);
  }

  nameOf(value: Value): string {
    const name = this.#names.get(value);
    if (name === undefined) throw new TypeError(`Cannot name output ${value.index} of ${describe(value.node)} in ONNX`);
    return name;
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
    attributes: Readonly<Record<string, OnnxAttribute>> = {},
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

  order(x: string, count: string): string {
    const outputs = [this.#fresh("TopK"), this.#fresh("TopK")] as const;
    this.#emit("TopK", [x, count], {}, outputs);
    return outputs[1];
  }

  #emit(
    type: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, OnnxAttribute>>,
    outputs: readonly string[],
  ): void {
    this.nodes.push(message(1, [
      ...inputs.map((name) => text(1, name)),
      ...outputs.map((name) => text(2, name)),
      ...outputs.slice(0, 1).map((name) => text(3, name)),
      text(4, type),
      ...Object.entries(attributes).map(([key, value]) => message(5, attribute(key, value))),
    ]));
  }

  /** Writes a node of the graph. */
  node(node: Node): void {
    const translate = translationOf(describe(node));
    if (!translate) throw new TypeError(`Cannot write ${describe(node)} as ONNX: it has no form there yet`);
    const names = translate(this, node.inputs.map((value) => this.#names.get(value) ?? ""), node);
    for (const [k, value] of node.outputs.entries()) {
      const name = names[k];
      if (name !== undefined) this.bind(value, name);
    }
  }

  #fresh(kind: string): string {
    return `${kind}_${this.#count++}`;
  }
}

/** Name of a node's op. */
const describe = ({ op }: Node) => op?.name ?? "a leaf";

function attribute(name: string, value: OnnxAttribute): Uint8Array[] {
  const [TYPE_INT, TYPE_INTS] = [2, 7];
  if (typeof value === "number") return [text(1, name), int(3, value), int(20, TYPE_INT)];
  return [text(1, name), ...value.map((n) => int(8, n)), int(20, TYPE_INTS)];
}

function valueInfo(name: string, shape: readonly (number | string)[]): Uint8Array[] {
  const dimensions = shape.map((n) => message(1, [typeof n === "number" ? int(1, n) : text(2, n)]));
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
