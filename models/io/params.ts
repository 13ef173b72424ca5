/**
 * Parameters of networks: their names, shapes and first values, and the way to and from files.
 *
 * Names are those of diffusers and PyTorch. Several networks may share one graph, each under a prefix that ends with a
 * slash (`unet/`, `controlnet/`); files do not have the prefix.
 *
 * Layouts differ: PyTorch stores filters as `[O, I, KH, KW]` and linear weights as `[O, I]`; here they are
 * `[KH, KW, I, O]` and `[I, O]`. Tensors are re-laid when files are read and written, nowhere else.
 *
 * @module
 */

import { InputError } from "../../formats/input_error.ts";
import type { Device } from "../../engine/device.ts";
import { elements, extent, type Graph, sameShape, type Shape, showShape, type Value } from "../../engine/graph.ts";
import { Random } from "../../engine/rng.ts";
import {
  readSafetensors,
  type SafetensorsDtype,
  type TensorData,
  writeSafetensors,
} from "../../formats/safetensors.ts";
import { lookUp } from "../../engine/lookup.ts";
import { type Dtype, readAll, Tensor } from "../../engine/tensor.ts";

/** How a parameter is first filled. */
export type Init =
  /** Uniform over `[-bound, bound]`. */
  | { readonly kind: "uniform"; readonly bound: number }
  /** Normal with mean 0. */
  | { readonly kind: "normal"; readonly std: number }
  | { readonly kind: "constant"; readonly value: number };

/** All zeros: the zero convolutions of a ControlNet. */
export const ZEROS: Init = { kind: "constant", value: 0 };
/** All ones: the scale of a normalisation. */
export const ONES: Init = { kind: "constant", value: 1 };

/**
 * PyTorch's default for weights and biases of linear and convolutional layers:
 * `kaiming_uniform(a = sqrt(5))`, which is uniform with bound `1 / sqrt(fan_in)`.
 */
export function kaimingUniform(fan_in: number): Init {
  return { kind: "uniform", bound: 1 / Math.sqrt(fan_in) };
}

/** A parameter of a network. */
export interface ParameterSpec {
  /** Name in the graph: prefix and name in files. */
  readonly name: string;
  /** Shape in the graph. */
  readonly shape: Shape;
  /** `conv` is `[KH, KW, I, O]` here and `[O, I, KH, KW]` in files, `linear` `[I, O]` and `[O, I]`; `plain` is equal. */
  readonly layout: "conv" | "linear" | "plain";
  /** First values. */
  readonly init: Init;
}

/** The parameters of one or several networks, by name. */
export type Specs = ReadonlyMap<string, ParameterSpec>;

/** Tensors in the CPU's memory, by name, in the layout of the graph. */
export type HostTensors = Map<string, TensorData>;

/** A weight and, unless it was declined, a bias. */
export interface Weights {
  /** `[KH, KW, I, O]` or `[I, O]`. */
  readonly weight: Value;
  /** `[O]`. */
  readonly bias: Value | undefined;
}

/** What {@linkcode Scope.conv} and {@linkcode Scope.linear} may be told. */
export interface WeightOptions {
  /** Whether there is a bias; true when not given. */
  readonly bias?: boolean;
  /** First values of weight and bias; {@linkcode kaimingUniform} when not given. */
  readonly init?: Init;
}

/**
 * A place in the tree of parameter names, which declares parameters of a graph as they are asked for.
 *
 * @example
 * ```ts
 * import { Graph } from "../../engine/graph.ts";
 * import { type ParameterSpec, Scope } from "./params.ts";
 *
 * const specs = new Map<string, ParameterSpec>();
 * const unet = new Scope(new Graph(), specs, "unet/");
 * const { weight, bias } = unet.at("down_blocks.0.resnets.0").conv("conv1", 3, 3, 32, 64);
 * // "unet/down_blocks.0.resnets.0.conv1.weight": [3, 3, 32, 64]
 * ```
 */
export class Scope {
  /** Where the parameters live. */
  readonly graph: Graph;
  readonly #specs: Map<string, ParameterSpec>;
  readonly #prefix: string;

  /**
   * The root of the names.
   *
   * @param graph Where to declare parameters.
   * @param specs Receives a record of each.
   * @param prefix In front of every name: empty or ending with a slash.
   */
  constructor(graph: Graph, specs: Map<string, ParameterSpec>, prefix = "") {
    this.graph = graph;
    this.#specs = specs;
    this.#prefix = prefix;
  }

  /** The place below this one: `at("mid_block").at("resnets.0")`. */
  at(name: string): Scope {
    return new Scope(this.graph, this.#specs, `${this.#prefix}${name}.`);
  }

  /** Filters `NAME.weight`, `[KH, KW, I, O]`, and `NAME.bias`, `[O]`. */
  conv(name: string, kh: number, kw: number, i: number, o: number, options: WeightOptions = {}): Weights {
    return this.#weights(name, [kh, kw, i, o], "conv", kh * kw * i, options);
  }

  /** Weights `NAME.weight`, `[I, O]`, and `NAME.bias`, `[O]`. */
  linear(name: string, i: number, o: number, options: WeightOptions = {}): Weights {
    return this.#weights(name, [i, o], "linear", i, options);
  }

  /** Scale `NAME.weight`, ones, and shift `NAME.bias`, zeros, of a normalisation; both `[C]`. */
  norm(name: string, channels: number): { gamma: Value; beta: Value } {
    return {
      gamma: this.vector(`${name}.weight`, channels, ONES),
      beta: this.vector(`${name}.bias`, channels, ZEROS),
    };
  }

  /** A table `NAME.weight`, `[N, C]`, of which rows are picked. */
  embedding(name: string, count: number, channels: number, std = 1): Value {
    return this.parameter(`${name}.weight`, [count, channels], "plain", { kind: "normal", std });
  }

  /** A vector under its full name, `[N]`. */
  vector(name: string, count: number, init: Init): Value {
    return this.parameter(name, [count], "plain", init);
  }

  /** Any parameter under its full name. */
  parameter(name: string, shape: Shape, layout: ParameterSpec["layout"], init: Init): Value {
    const full = this.#prefix + name;
    this.#specs.set(full, { name: full, shape, layout, init });
    return this.graph.parameter(full, shape);
  }

  #weights(name: string, shape: Shape, layout: "conv" | "linear", fan: number, options: WeightOptions): Weights {
    const { bias = true, init = kaimingUniform(fan) } = options;
    return {
      weight: this.parameter(`${name}.weight`, shape, layout, init),
      bias: bias ? this.vector(`${name}.bias`, extent(shape, -1), init) : undefined,
    };
  }
}

/** The specs whose names start with a prefix: one network of several. */
export function specsUnder(specs: Specs, prefix: string): Map<string, ParameterSpec> {
  return new Map([...specs].filter(([name]) => name.startsWith(prefix)));
}

/** The name in files: what follows the prefix of the network. */
export function fileName(name: string): string {
  return name.slice(name.indexOf("/") + 1);
}

/** Number of elements of all parameters. */
export function countParameters(specs: Specs): number {
  return [...specs.values()].reduce((total, spec) => total + elements(spec.shape), 0);
}

/**
 * First values of parameters. Each draws from a stream named after it, so they do not depend on each other or on order.
 *
 * @param specs What to fill.
 * @param seed Integer from 0 to 2^64 - 1.
 */
export function initialise(specs: Specs, seed: number | bigint): HostTensors {
  const tensors: HostTensors = new Map();
  for (const { name, shape, init } of specs.values()) {
    const data = new Float32Array(elements(shape));
    if (init.kind === "constant") data.fill(init.value);
    else {
      const random = new Random(seed, `init/${name}`);
      if (init.kind === "normal") random.fillNormal(data).forEach((x, k) => data[k] = x * init.std);
      else random.fillUniform(data).forEach((x, k) => data[k] = (2 * x - 1) * init.bound);
    }
    tensors.set(name, { shape: [...shape], data });
  }
  return tensors;
}

/**
 * Puts parameters on a device.
 *
 * @param device Where to.
 * @param specs Which parameters.
 * @param source Their values in the layout of the graph: {@linkcode initialise}, {@linkcode loadSafetensors}.
 * @param dtype Element type in memory; f16 is for weights that are not trained.
 * @throws {InputError} If the source lacks a name or has it in another shape.
 */
export function createParameters(
  device: Device,
  specs: Specs,
  source: ReadonlyMap<string, { readonly shape: Shape; readonly data: Float32Array }>,
  dtype: Dtype = "f32",
): Map<string, Tensor> {
  const wrong = compare(
    specs,
    (spec) => source.get(spec.name)?.shape ?? null,
    (spec) => spec.shape,
    (spec) => spec.name,
  );
  if (wrong.length) throw new InputError(`Cannot create the parameters:${wrong.join("")}`);
  using owned = new DisposableStack();
  const parameters = new Map<string, Tensor>();
  for (const { name, shape } of specs.values()) {
    parameters.set(name, owned.use(new Tensor(device, shape, lookUp(source, name, "tensors").data, dtype)));
  }
  owned.move(); // they are the caller's now
  return parameters;
}

/**
 * Puts parameters on a device as they are read, so that memory holds one at a time.
 *
 * @param tensors By name, in the layout of the graph: {@linkcode readParameters}.
 * @param dtype Element type in memory.
 */
export async function uploadParameters(
  device: Device,
  tensors: AsyncIterable<readonly [string, TensorData]>,
  dtype: Dtype = "f32",
): Promise<Map<string, Tensor>> {
  using owned = new DisposableStack();
  const parameters = new Map<string, Tensor>();
  for await (const [name, { shape, data }] of tensors) {
    parameters.set(name, owned.use(new Tensor(device, shape, data, dtype)));
    // What is written waits in memory until something is submitted.
    device.gpu.queue.submit([]);
  }
  owned.move(); // they are the caller's now
  return parameters;
}

/** A file of named tensors; `SafetensorsFile` is one. */
export interface TensorFile {
  /** Where it is, for messages. */
  readonly path: string;
  /** Names of its tensors. */
  readonly names: readonly string[];
  /** Shape of a tensor, in the file's layout, and its element type where that is known. */
  info(name: string): { readonly shape: Shape; readonly dtype?: SafetensorsDtype };
  /** Reads a tensor as f32. */
  read(name: string): Promise<TensorData>;
}

/** How names in a file relate to ours. */
export interface LoadOptions {
  /** Name in the file of a parameter; its own without the prefix when not given. */
  readonly nameOf?: (spec: ParameterSpec) => string;
  /** Names in the file that are passed over, such as `position_ids`. */
  readonly ignore?: Pick<RegExp, "test">;
}

/**
 * Reads parameters from an open file, one after the other, in the layout of the graph.
 *
 * A filter of 1 by 1 may be a linear layer in the file and the other way round: checkpoints of several ages differ there.
 *
 * @throws {InputError} Before anything is read, naming all parameters that are missing, unexpected, of another shape or not
 * of a floating-point type; later, if a value is not finite.
 */
export async function* readParameters(
  file: TensorFile,
  specs: Specs,
  options: LoadOptions = {},
): AsyncGenerator<[string, TensorData]> {
  for (const [name, { shape, read }] of findParameters(file, specs, options)) {
    const spec = specs.get(name)!;
    yield [name, { shape: [...shape], data: fromFileLayout(spec, await read()) }];
  }
}

/**
 * Finds parameters in an open file, which are read when asked for: what {@linkcode writeSafetensors} takes.
 *
 * @returns By the parameters' names; shapes are those of the graph, elements in the layout of files.
 * @throws {InputError} As {@linkcode readParameters} does.
 */
export function findParameters(
  file: TensorFile,
  specs: Specs,
  { nameOf = (spec) => fileName(spec.name), ignore }: LoadOptions = {},
): Map<string, { readonly shape: Shape; read(): Promise<Float32Array> }> {
  const there = new Set(file.names);
  const wrong = compare(
    specs,
    (spec) => there.has(nameOf(spec)) ? file.info(nameOf(spec)).shape : null,
    fileShape,
    nameOf,
  );
  const wanted = new Set([...specs.values()].map(nameOf));
  const extra = file.names.filter((name) => !wanted.has(name) && !ignore?.test(name));
  wrong.push(...few(extra.map((name) => `\n  "${name}" is unexpected`)));
  wrong.push(...few(
    [...wanted].filter((name) => there.has(name) && !/F/.test(file.info(name).dtype ?? "F32"))
      .map((name) => `\n  "${name}" is of ${file.info(name).dtype}, not of F16, BF16, F32 or F64`),
  ));
  if (wrong.length) throw new InputError(`Cannot read the parameters from ${file.path}:${wrong.join("")}`);
  return new Map([...specs.values()].map((spec) => [spec.name, {
    shape: spec.shape,
    async read() {
      const { data } = await file.read(nameOf(spec));
      checkFinite(file.path, nameOf(spec), data);
      return data;
    },
  }]));
}

/**
 * Checks that weights are numbers, as one that is not makes all that a network computes not a number.
 *
 * @throws {InputError} If one is NaN or infinite; it is named.
 */
export function checkFinite(path: string, name: string, data: Float32Array): void {
  // Zero times anything finite is zero: one pass without a branch.
  let sum = 0;
  for (let k = 0; k < data.length; k++) sum += 0 * data[k]!;
  if (sum === 0) return;
  const k = data.findIndex((value) => !Number.isFinite(value));
  throw new InputError(`Cannot use "${name}" of ${path} as weights: element ${k} is ${data[k]}`, {
    hint: "the training diverged or the file is damaged",
  });
}

/**
 * Reads the parameters of a network from a safetensors file, in the layout of the graph.
 *
 * @param path The file.
 * @param specs Parameters of one network.
 * @throws {InputError} If the file is not safetensors, or names or shapes differ; all of them are named.
 */
export async function loadSafetensors(path: string, specs: Specs, options: LoadOptions = {}): Promise<HostTensors> {
  using file = await readSafetensors(path);
  return new Map(await Array.fromAsync(readParameters(file, specs, options)));
}

/**
 * Writes the parameters of a network to a safetensors file, in PyTorch's layout.
 *
 * @param path The file; its folder must exist.
 * @param specs Parameters of one network.
 * @param parameters Their values, on the device or in memory, in the layout of the graph.
 * @param options Element type (`F32` when not given) and free text.
 */
export async function saveSafetensors(
  path: string,
  specs: Specs,
  parameters: ReadonlyMap<string, Tensor | TensorData>,
  options: { dtype?: "F32" | "F16"; metadata?: Record<string, string> } = {},
): Promise<void> {
  const sources = [...specs.values()].map(({ name }) => {
    const source = parameters.get(name);
    if (!source) throw new TypeError(`Cannot save ${path}: parameter "${name}" is missing`);
    return source;
  });
  const read = await readAll(sources.filter((s) => s instanceof Tensor));
  const tensors = new Map<string, TensorData>();
  for (const [k, spec] of [...specs.values()].entries()) {
    const source = sources[k]!;
    const data = source instanceof Tensor ? read.get(source)! : source.data;
    tensors.set(fileName(spec.name), { shape: [...fileShape(spec)], data: toFileLayout(spec, data) });
  }
  await writeSafetensors(path, tensors, options);
}

/** Shape of a parameter in files. */
export function fileShape({ shape, layout }: ParameterSpec): Shape {
  if (layout === "plain") return shape;
  const [i, o] = shape.slice(-2) as [number, number];
  return [o, i, ...shape.slice(0, -2)];
}

/** `[O, I, ...]` to `[..., I, O]`. */
export function fromFileLayout(spec: ParameterSpec, data: Float32Array): Float32Array {
  if (spec.layout === "plain") return data;
  const [I, O] = spec.shape.slice(-2) as [number, number];
  return transpose(transpose(data, O, data.length / O), I, data.length / O / I, O);
}

/** `[..., I, O]` to `[O, I, ...]`. */
export function toFileLayout(spec: ParameterSpec, data: Float32Array): Float32Array {
  if (spec.layout === "plain") return data;
  const [I, O] = spec.shape.slice(-2) as [number, number];
  return transpose(transpose(data, data.length / O / I, I, O), data.length / O, O);
}

/** `[rows, columns, inner]` to `[columns, rows, inner]`. */
function transpose(data: Float32Array, rows: number, columns: number, inner = 1): Float32Array {
  if (rows === 1 || columns === 1) return data;
  const out = new Float32Array(data.length);
  for (let r = 0, from = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      const to = (c * rows + r) * inner;
      for (let k = 0; k < inner; k++) out[to + k] = data[from++]!;
    }
  }
  return out;
}

/** Lines about parameters that are missing or of another shape. */
function compare(
  specs: Specs,
  got: (spec: ParameterSpec) => Shape | null,
  want: (spec: ParameterSpec) => Shape,
  nameOf: (spec: ParameterSpec) => string,
): string[] {
  const missing: string[] = [];
  const misshapen: string[] = [];
  for (const spec of specs.values()) {
    const shape = got(spec);
    if (!shape) missing.push(`\n  "${nameOf(spec)}" is missing`);
    else if (!sameShape(squeeze(shape), squeeze(want(spec)))) {
      misshapen.push(`\n  "${nameOf(spec)}" is ${showShape(shape)}, not ${showShape(want(spec))}`);
    }
  }
  return [...few(misshapen), ...few(missing)];
}

/** Without the ones at the end, in which a linear layer and a filter of 1 by 1 differ. */
function squeeze(shape: Shape): Shape {
  let length = shape.length;
  while (length > 1 && shape[length - 1] === 1) length--;
  return shape.slice(0, length);
}

/** The first lines and how many more there are. */
function few(lines: string[], most = 8): string[] {
  return lines.length <= most ? lines : [...lines.slice(0, most), `\n  and ${lines.length - most} more like the last`];
}
