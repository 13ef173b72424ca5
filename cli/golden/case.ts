/**
 * A golden case and its error metric, as the folder's README defines them.
 *
 * @module
 */

import {
  type HostTensors,
  type LoadOptions,
  type ParameterSpec,
  readParameters,
  type Specs,
  toFileLayout,
} from "../../models/io/params.ts";
import type { Device } from "../../engine/device.ts";
import type { Graph, Value } from "../../engine/graph.ts";
import type { Executable } from "../../engine/executable.ts";
import { readSafetensors, type TensorData } from "../../formats/safetensors.ts";

/** The parsed `NAME.json`; only what all cases have in common is typed. */
export interface GoldenJson {
  readonly case: string;
  readonly kind: string;
  /** Safetensors beside the JSON. */
  readonly files?: readonly string[];
  /** Largest absolute value of each group of tensors. */
  readonly group_scale?: Readonly<Record<string, number>>;
  /** `metric` in words, and a number for each group. */
  readonly tolerance?: Readonly<Record<string, number | string>>;
  // deno-lint-ignore no-explicit-any
  readonly [key: string]: any;
}

/** A case as a check sees it. */
export interface GoldenCase {
  /** Name without `.json`. */
  readonly name: string;
  /** The folder. */
  readonly dir: string;
  readonly json: GoldenJson;
  /** Tensors of one of its files as f32, in PyTorch's layout. */
  tensors(file: string): Promise<Map<string, TensorData>>;
}

/** The worst error of a group of tensors. */
export interface GoldenResult {
  readonly group: string;
  /** Passes when at most `tolerance`. */
  readonly error: number;
  readonly tolerance: number;
  /** The tensor with that error. */
  readonly tensor?: string;
}

/** Computes a case; no results where what it is about is not built here. */
export type GoldenCheck = (c: GoldenCase, device: Device) => Promise<GoldenResult[]>;

/** Opens a case. */
export async function openCase(dir: string, name: string): Promise<GoldenCase> {
  return {
    name,
    dir,
    json: JSON.parse(await Deno.readTextFile(`${dir}/${name}.json`)),
    async tensors(file) {
      using opened = await readSafetensors(`${dir}/${file}`);
      const all = new Map<string, TensorData>();
      for (const tensor of opened.names) all.set(tensor, await opened.read(tensor));
      return all;
    },
  };
}

/** Tensors of all files of a case. */
export async function allTensors(c: GoldenCase): Promise<Map<string, TensorData>> {
  const files = await Promise.all((c.json.files ?? []).map((file) => c.tensors(file)));
  return new Map(files.flatMap((file) => [...file]));
}

const groupOf = (name: string) => name.slice(0, name.indexOf("/"));

/**
 * `max |got - want| / max(max |want|, floor * scale)`; infinite when lengths differ or a value is not a number.
 *
 * @param scale Largest absolute value in the group.
 * @param floor 0.01, or 0.0001 for single ops.
 */
export function goldenError(got: ArrayLike<number>, want: ArrayLike<number>, scale: number, floor = 0.01): number {
  if (got.length !== want.length) return Infinity;
  let [difference, size] = [0, floor * scale];
  for (let k = 0; k < want.length; k++) {
    const d = Math.abs(got[k]! - want[k]!);
    if (!(d <= difference)) difference = Number.isNaN(d) ? Infinity : d;
    size = Math.max(size, Math.abs(want[k]!));
  }
  return difference === 0 ? 0 : difference / size;
}

/**
 * Compares with every tensor of the groups that have a tolerance. A tensor that was not computed has infinite error.
 *
 * @param got Values by the case's own names, dense, in PyTorch's layout.
 */
export function compareGroups(
  { json }: GoldenCase,
  want: ReadonlyMap<string, TensorData>,
  got: ReadonlyMap<string, ArrayLike<number>>,
): GoldenResult[] {
  const results = new Map<string, GoldenResult>();
  for (const [name, { data }] of want) {
    const group = groupOf(name);
    const tolerance = json.tolerance?.[group];
    if (typeof tolerance !== "number") continue;
    const scale = json.group_scale?.[group] ?? data.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
    const values = got.get(name);
    const error = values ? goldenError(values, data, scale) : Infinity;
    const worst = results.get(group);
    if (!worst || error / tolerance > worst.error / worst.tolerance) {
      results.set(group, { group, error, tolerance, tensor: values ? name : `${name} (not computed)` });
    }
  }
  return [...results.values()];
}

/** A result of something that is right or wrong. */
export function exact(group: string, right: boolean): GoldenResult {
  return { group, error: right ? 0 : Infinity, tolerance: 0 };
}

/** `[N, C, H, W]` to `[N, H, W, C]`. */
export function channelsLast({ shape, data }: TensorData): TensorData {
  const [N, C, H, W] = shape as [number, number, number, number];
  return { shape: [N, H, W, C], data: swap(data, N, C, H * W) };
}

/** `[N, H, W, C]` to `[N, C, H, W]`. */
export function channelsFirst(data: Float32Array, shape: readonly number[]): Float32Array {
  const [N, H, W, C] = shape as [number, number, number, number];
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

/** The inputs of a network case: `input/NAME` as values of a graph, and what to run it with; maps are channels-last. */
export function inputsOf(
  graph: Graph,
  tensors: ReadonlyMap<string, TensorData>,
): { values: Record<string, Value>; data: Record<string, Float32Array> } {
  const values: Record<string, Value> = {};
  const data: Record<string, Float32Array> = {};
  for (const [full, tensor] of tensors) {
    if (!full.startsWith("input/")) continue;
    const name = full.slice("input/".length);
    const laid = tensor.shape.length === 4 ? channelsLast(tensor) : tensor;
    values[name] = graph.input(name, laid.shape);
    data[name] = laid.data;
  }
  return { values, data };
}

/**
 * The parameters of a network case, `param/NAME`, in the layout of the graph.
 *
 * @throws {TypeError} When names or shapes differ from the specs.
 */
export async function hostParametersOf(
  specs: Specs,
  tensors: ReadonlyMap<string, TensorData>,
  options: LoadOptions = { nameOf: (spec) => `param/${spec.name}` },
): Promise<HostTensors> {
  const file = {
    path: "the case",
    names: [...tensors.keys()].filter((name) => name.startsWith("param/")),
    info: (name: string) => tensors.get(name)!,
    read: (name: string) => Promise.resolve(tensors.get(name)!),
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
