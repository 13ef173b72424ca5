/**
 * Parameters of networks in files.
 *
 * Layouts differ: PyTorch stores filters as `[O, I, KH, KW]` and linear weights as `[O, I]`; here they are
 * `[KH, KW, I, O]` and `[I, O]`. Tensors are re-laid when files are read and written, nowhere else.
 *
 * @module
 */

import { InputError } from "../../formats/input_error.ts";
import type { Shape } from "../../engine/graph.ts";
import type { SafetensorsDtype } from "../../formats/elements.ts";
import { readSafetensors, type TensorData, writeSafetensors } from "../../formats/safetensors.ts";
import { readAll, Tensor } from "../../engine/tensor.ts";
import { compareShapes, few, type HostTensors, type ParameterSpec, type Specs } from "./params.ts";

/** The name in files: the part after the prefix of the network. */
export function fileName(name: string): string {
  return name.slice(name.indexOf("/") + 1);
}

/** A file of named tensors; `SafetensorsFile` is one. */
export interface TensorFile {
  /** Its path, for messages. */
  readonly path: string;
  /** Names of its tensors. */
  readonly names: readonly string[];
  /** Shape of a tensor, in the file's layout, and its element type where that is known. */
  info(name: string): { readonly shape: Shape; readonly dtype?: SafetensorsDtype };
  /** Reads a tensor as f32. */
  read(name: string): Promise<TensorData>;
  /** Objects in the file that are not read: classes by names. */
  readonly objects?: ReadonlyMap<string, string>;
}

/** Classes of tensors that are in a file and not read, such as complex or sparse ones. */
const UNREAD_TENSOR = /^torch\.(\w*Storage|_utils\._rebuild|_tensor\.|storage\.)/;

/** Mapping between names in a file and those of the network. */
export interface LoadOptions {
  /** Name in the file of a parameter; by default its own without the prefix. */
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
  for (const [name, { spec, shape, read }] of findParameters(file, specs, options)) {
    yield [name, { shape: [...shape], data: fromFileLayout(spec, await read()) }];
  }
}

/**
 * Finds parameters in an open file, which are read on demand, as {@linkcode writeSafetensors} takes them.
 *
 * @returns By the parameters' names; shapes are those of the graph, elements in the layout of files.
 * @throws {InputError} As {@linkcode readParameters} does.
 */
export function findParameters(
  file: TensorFile,
  specs: Specs,
  { nameOf = (spec) => fileName(spec.name), ignore }: LoadOptions = {},
): Map<string, { readonly spec: ParameterSpec; readonly shape: Shape; read(): Promise<Float32Array> }> {
  const there = new Set(file.names);
  const wrong = compareShapes(
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
  const unread = [...file.objects ?? []].filter(([, label]) => UNREAD_TENSOR.test(label));
  if (wrong.length) {
    wrong.push(...few(unread.map(([name, label]) => `\n  "${name}" is of ${label}, which is not read here`)));
  }
  if (wrong.length) throw new InputError(`Cannot read the parameters from ${file.path}:${wrong.join("")}`);
  return new Map([...specs.values()].map((spec) => [spec.name, {
    spec,
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
  for (const value of data) sum += 0 * value;
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
  const sources = [...specs.values()].map((spec) => {
    const source = parameters.get(spec.name);
    if (!source) throw new TypeError(`Cannot save ${path}: parameter "${spec.name}" is missing`);
    return { spec, source };
  });
  const read = await readAll(sources.map(({ source }) => source).filter((source) => source instanceof Tensor));
  const tensors = new Map<string, TensorData>();
  for (const { spec, source } of sources) {
    const data = source instanceof Tensor ? read.get(source) : source.data;
    if (!data) throw new TypeError(`Cannot save ${path}: parameter "${spec.name}" was not read`);
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
