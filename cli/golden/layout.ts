/**
 * Tensors and parameters of golden cases in the layout of graphs, and outputs of graphs in PyTorch's layout.
 *
 * @module
 */
import { z } from "zod";
import { dims, elements, type Graph, type Value } from "../../engine/graph.ts";
import type { Executable } from "../../engine/executable.ts";
import { lookUp } from "../../engine/lookup.ts";
import { InputError } from "../../formats/input_error.ts";
import type { TensorData } from "../../formats/safetensors.ts";
import type { HostTensors, ParameterSpec, Specs } from "../../models/io/params.ts";
import { fileShape, type LoadOptions, readParameters, toFileLayout } from "../../models/io/parameter_files.ts";
import { type GoldenCase, parsePart, tensorOf } from "./case.ts";

/** `[N, C, H, W]` to `[N, H, W, C]`. */
export function channelsLast({ shape, data }: TensorData): TensorData {
  const { N, C, H, W } = dims(shape, "N C H W");
  return { shape: [N, H, W, C], data: swap(data, N, C, H * W) };
}

/** `[N, H, W, C]` to `[N, C, H, W]`. */
export function channelsFirst(data: Float32Array, shape: readonly number[]): Float32Array {
  const { N, H, W, C } = dims(shape, "N H W C");
  return swap(data, N, H * W, C);
}

/** `[N, rows, columns]` to `[N, columns, rows]`. */
function swap(data: Float32Array, N: number, rows: number, columns: number): Float32Array {
  const out = new Float32Array(data.length);
  for (let n = 0, k = 0; n < N; n++) {
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++) out[(n * columns + c) * rows + r] = data[k++]!;
    }
  }
  return out;
}

/** Inputs of a case in a graph. */
export interface CaseInputs {
  /**
   * The value of `input/NAME`; maps are channels-last.
   *
   * @throws {InputError} If the case lacks it.
   */
  at(name: string): Value;
  /** The data to run the graph with. */
  readonly data: Record<string, Float32Array>;
}

/** Declares every `input/NAME` of a case in a graph. */
export function inputsOf(graph: Graph, tensors: ReadonlyMap<string, TensorData>): CaseInputs {
  const values = new Map<string, Value>(), data: Record<string, Float32Array> = {};
  for (const [full, tensor] of tensors) {
    if (!full.startsWith("input/")) continue;
    const name = full.slice("input/".length);
    const laid = tensor.shape.length === 4 ? channelsLast(tensor) : tensor;
    values.set(name, graph.input(name, laid.shape));
    data[name] = laid.data;
  }
  const at = (name: string) => {
    tensorOf(tensors, `input/${name}`);
    return lookUp(values, name, "inputs");
  };
  return { at, data };
}

/** Parameters by a rule, in place of tensors: see "Generated parameters" in the README of `tests/golden`. */
const generatedSchema = z.strictObject({
  prefix: z.literal("param/"),
  rules: z.array(z.tuple([z.string(), z.number(), z.union([z.number(), z.literal("fan_in")])])),
});

/** Numbers in [-1, 1) of a name: xorshift32 from the name's FNV-1a hash, its upper 24 bits. */
export function numbersOf(name: string, count: number): Float64Array {
  let state = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) state = Math.imul(state ^ byte, 0x01000193);
  state ||= 1;
  return Float64Array.from({ length: count }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 8) / 2 ** 23 - 1;
  });
}

function generate(c: GoldenCase, specs: Specs): Map<string, TensorData> {
  const { rules } = parsePart(c, generatedSchema, "generated");
  return new Map([...specs.values()].map((spec) => {
    const [, offset, size] = rules.find(([pattern]) => new RegExp(pattern).test(spec.name)) ??
      (() => {
        throw new InputError(`Cannot generate "${spec.name}": none of the rules of ${c.name} is for it`);
      })();
    const shape = [...fileShape(spec)];
    const factor = size === "fan_in" ? Math.sqrt(3 * (shape[0] ?? 1) / elements(shape)) : size;
    const data = Float32Array.from(numbersOf(spec.name, elements(shape)), (u) => offset + factor * u);
    return [`param/${spec.name}`, { shape, data }];
  }));
}

/**
 * The parameters of a network case, `param/NAME`, in the layout of the graph.
 *
 * @throws {InputError} When names or shapes differ from the specs.
 */
export async function hostParametersOf(
  c: GoldenCase,
  specs: Specs,
  tensors: ReadonlyMap<string, TensorData>,
  options: LoadOptions = { nameOf: (spec) => `param/${spec.name}` },
): Promise<HostTensors> {
  const all = c.json["generated"] === undefined ? tensors : generate(c, specs);
  const file = {
    path: c.name,
    names: [...all.keys()].filter((name) => name.startsWith("param/")),
    info: (name: string) => tensorOf(all, name),
    read: (name: string) => Promise.resolve(tensorOf(all, name)),
  };
  return new Map(await Array.fromAsync(readParameters(file, specs, options)));
}

/**
 * Reads outputs in PyTorch's layout.
 *
 * @param specOf The parameter that an output is a gradient of.
 */
export async function readOutputs(
  exe: Executable,
  outputs: Readonly<Record<string, Value>>,
  specOf: (output: string) => ParameterSpec | undefined = () => undefined,
): Promise<Map<string, Float32Array>> {
  // All copies are queued before the first is waited for.
  const read = Object.entries(outputs).map(async ([name, { shape }]) => {
    const data = await exe.read(name);
    const spec = specOf(name);
    return [name, spec ? toFileLayout(spec, data) : shape.length === 4 ? channelsFirst(data, shape) : data] as const;
  });
  return new Map(await Promise.all(read));
}
