/**
 * Parameters of networks: their names, shapes and first values, and their way to a device.
 *
 * Names are those of diffusers and PyTorch. Several networks may share one graph, each under a prefix that ends with a
 * slash (`unet/`, `controlnet/`); files do not have the prefix: `models/io/parameter_files.ts`.
 *
 * @module
 */

import { InputError } from "../../formats/input_error.ts";
import type { Device } from "../../engine/device.ts";
import { elements, extent, type Graph, sameShape, type Shape, showShape, type Value } from "../../engine/graph.ts";
import { Random } from "../../engine/rng.ts";
import type { TensorData } from "../../formats/safetensors.ts";
import { lookUp } from "../../engine/lookup.ts";
import { type Dtype, Tensor } from "../../engine/tensor.ts";

/** Initial values of a parameter. */
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

/** Options of {@linkcode Scope.conv} and {@linkcode Scope.linear}. */
export interface WeightOptions {
  /** True if there is a bias; by default true. */
  readonly bias?: boolean;
  /** First values of weight and bias; {@linkcode kaimingUniform} when not given. */
  readonly init?: Init;
}

/**
 * A place in the tree of parameter names, which declares parameters of a graph at their first use.
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
  /** Graph of the parameters. */
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

  /** A table `NAME.weight`, `[N, C]`, whose rows are picked by ids. */
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
  const wrong = compareShapes(
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
    // Written data waits in memory until something is submitted.
    device.gpu.queue.submit([]);
  }
  owned.move(); // they are the caller's now
  return parameters;
}

/** Lines about parameters that are missing or of another shape. */
export function compareShapes(
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
export function few(lines: string[], most = 8): string[] {
  return lines.length <= most ? lines : [...lines.slice(0, most), `\n  and ${lines.length - most} more like the last`];
}
