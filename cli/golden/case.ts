/**
 * A golden case and its error metric, as the folder's README defines them.
 *
 * @module
 */

import { z } from "zod";
import { createParameters, type HostTensors, type ParameterSpec, Scope, type Specs } from "../../models/io/params.ts";
import { fileShape, type LoadOptions, readParameters, toFileLayout } from "../../models/io/parameter_files.ts";
import { gradients } from "../../ops/autodiff.ts";
import type { Device } from "../../engine/device.ts";
import { dims, elements, Graph, type Value } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import type { Tensor } from "../../engine/tensor.ts";
import { parseJson, readText } from "../../formats/files.ts";
import { InputError } from "../../formats/input_error.ts";
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
  /** L2 norm of every gradient, also of those without a tensor. */
  readonly grad_l2_norms?: Readonly<Record<string, number>>;
  // deno-lint-ignore no-explicit-any
  readonly [key: string]: any;
}

/** Keys that describe a case to its reader; no check needs them. */
export const DOCUMENTATION: readonly string[] = [
  "case",
  "kind",
  "peer",
  "procedure",
  "notes",
  "compute",
  "tensors",
  "parameters",
  "inputs",
  "storage_note",
  "peer_float32_deviation",
  "cross_peer_max_abs_difference",
  "seed",
  "peer_options",
];

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

/** Computes a case. */
export type GoldenCheck = (c: GoldenCase, device: Device) => Promise<GoldenResult[]>;

/** Opens a case. */
export async function openCase(dir: string, name: string): Promise<GoldenCase> {
  return {
    name,
    dir,
    json: parseJson(await readText(`${dir}/${name}.json`), `${dir}/${name}.json`),
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

/**
 * A tensor of a case.
 *
 * @throws {InputError} If the case lacks it.
 */
export function tensorOf(tensors: ReadonlyMap<string, TensorData>, name: string): TensorData {
  const tensor = tensors.get(name);
  if (!tensor) throw new InputError(`Cannot find tensor "${name}": the case has ${[...tensors.keys()].join(", ")}`);
  return tensor;
}

/**
 * A part of a case's JSON, checked against a schema; unknown keys are errors in strict schemas.
 *
 * @param what Key in the JSON, for messages.
 */
export function parsePart<T>(c: GoldenCase, schema: z.ZodType<T>, what = "config", value: unknown = c.json[what]): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new InputError(`Cannot read "${what}" of ${c.name}: ${z.prettifyError(result.error).replaceAll("\n", " ")}`);
}

/** Finds numbers in a text of the case by a pattern with named groups. */
export function numbersIn(text: unknown, pattern: RegExp, what: string): Record<string, number> {
  const found = pattern.exec(String(text))?.groups;
  if (!found) throw new InputError(`Cannot read ${what} from ${JSON.stringify(text)}: ${pattern} is expected`);
  return Object.fromEntries(Object.entries(found).map(([name, value]) => [name, Number(value)]));
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

/** Groups of tensors that are given to a computation. */
const GIVEN = ["input", "param"];

/** Options of {@linkcode compareGroups}. */
export interface CompareOptions {
  /** Groups that the check itself uses or compares; they need no tolerance. */
  readonly other?: readonly string[];
  /** L2 norms of values by name, whose groups need no tensors. */
  readonly norms?: Readonly<Record<string, number>>;
}

/**
 * Compares with every tensor that is not given. A tensor that was not computed has infinite error, and so has a group of
 * tensors without a tolerance, and a tolerance without tensors.
 *
 * @param got Values by the case's own names, dense, in PyTorch's layout.
 */
export function compareGroups(
  { json }: GoldenCase,
  want: ReadonlyMap<string, TensorData>,
  got: ReadonlyMap<string, ArrayLike<number>>,
  { other = [], norms = {} }: CompareOptions = {},
): GoldenResult[] {
  const results = new Map<string, GoldenResult>();
  const put = (group: string, name: string, error: number, tolerance: number) => {
    const worst = results.get(group);
    if (!worst || error / tolerance > worst.error / worst.tolerance) {
      results.set(group, { group, error, tolerance, tensor: error === Infinity ? `${name} (not computed)` : name });
    }
  };
  const toleranceOf = (group: string) => {
    const tolerance = json.tolerance?.[group];
    if (typeof tolerance === "number") return tolerance;
    throw new InputError(`Cannot check the group "${group}" as "tolerance" has no number of that name`);
  };
  for (const [name, { data }] of want) {
    const group = groupOf(name);
    if (GIVEN.includes(group) || other.includes(group)) continue;
    const scale = json.group_scale?.[group] ?? largest(data);
    const values = got.get(name);
    put(group, name, values ? goldenError(values, data, scale) : Infinity, toleranceOf(group));
  }
  const floors = new Map<string, number>();
  for (const [name, norm] of Object.entries(norms)) {
    floors.set(groupOf(name), Math.max(floors.get(groupOf(name)) ?? 0, norm));
  }
  for (const [name, norm] of Object.entries(norms)) {
    const values = got.get(name);
    const group = groupOf(name);
    const error = values ? goldenError([Math.hypot(...chunks(values))], [norm], floors.get(group) ?? 0) : Infinity;
    put(`${group} norms`, name, error, toleranceOf(group));
  }
  for (const [group, tolerance] of Object.entries(json.tolerance ?? {})) {
    if (typeof tolerance !== "number" || results.has(group) || results.has(`${group} norms`) || other.includes(group)) {
      continue;
    }
    throw new InputError(`Cannot check "${group}", of which there is a tolerance and no tensor`);
  }
  return [...results.values()];
}

const largest = (data: ArrayLike<number>) =>
  Array.prototype.reduce.call(data, (m, x) => Math.max(m as number, Math.abs(x)), 0) as number;

/** Norms of a few thousand values each, as a call takes no more arguments. */
function chunks(values: ArrayLike<number>): number[] {
  const out: number[] = [];
  for (let k = 0; k < values.length; k += 4096) {
    out.push(Math.hypot(...Array.from({ length: Math.min(4096, values.length - k) }, (_, j) => values[k + j] ?? NaN)));
  }
  return out;
}

/** A result of something that is right or wrong. */
export function exact(group: string, right: boolean): GoldenResult {
  return { group, error: right ? 0 : Infinity, tolerance: 0 };
}

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

/** Inputs of a network's check. */
export interface NetworkInputs {
  readonly c: GoldenCase;
  /** Every tensor of the case. */
  readonly want: Map<string, TensorData>;
  readonly graph: Graph;
  readonly specs: Specs;
  /** The parameters below a prefix. */
  scope(prefix?: string): Scope;
  /** `input/NAME`; maps are channels-last. */
  input(name: string): Value;
}

/** Outputs of a network's check. */
export interface NetworkOutputs {
  /** By the case's names of tensors. */
  readonly outputs: Record<string, Value>;
  /** Assignments of a run. */
  readonly updates?: readonly (readonly [Value, Value])[];
  /** The value that `grad/PARAMETER` are gradients of. */
  readonly loss?: Value;
  /** The value that `gradin/INPUT` are gradients of; by default that of `grad/`. */
  readonly input_loss?: Value;
  /** In front of a parameter's name in a gradient's name. */
  readonly grad_prefix?: string;
  /** Mapping between the names of `param/` and the network's. */
  readonly load?: LoadOptions;
  /** Starting values, where they are not the case's tensors. */
  readonly start?: () => Promise<HostTensors>;
  /** Norms to compare with, in addition to those of gradients. */
  readonly norms?: Readonly<Record<string, number>>;
  /** Groups of tensors that the check compares itself. */
  readonly other?: readonly string[];
  /** Computes more once the network ran, and more results. */
  readonly after?: (
    run: {
      got: Map<string, ArrayLike<number>>;
      parameters: ReadonlyMap<string, Tensor>;
      data: Record<string, Float32Array>;
    },
  ) => Promise<GoldenResult[] | void> | GoldenResult[] | void;
}

/** A check of a network: outputs, losses, and the gradients that the case has tensors or norms of. */
export function networkCheck(build: (inputs: NetworkInputs) => NetworkOutputs | Promise<NetworkOutputs>): GoldenCheck {
  return async (c, device) => {
    const want = await allTensors(c);
    const specs = new Map<string, ParameterSpec>();
    const graph = new Graph();
    const { values, data } = inputsOf(graph, want);
    const input = (name: string) => {
      const value = values[name];
      if (!value) tensorOf(want, `input/${name}`);
      return value as Value;
    };
    const scope = (prefix?: string) => new Scope(graph, specs, prefix);
    const built = await build({ c, want, graph, specs, input, scope });
    const { grad_prefix = "", loss, input_loss = loss } = built;
    const outputs = { ...built.outputs };

    const differentiate = (
      group: string,
      of: Value | undefined,
      names: Iterable<string>,
      find: (name: string) => Value | undefined,
    ) => {
      const all = [...new Set(names)];
      if (!all.length) return;
      if (!of) throw new InputError(`Cannot check ${group}/${all[0]} of ${c.name}: its kind has no gradients`);
      const wrt = all.map((name) => {
        const value = find(name);
        if (!value) {
          throw new InputError(`Cannot check ${group}/${name} of ${c.name}: the network has nothing of that name`);
        }
        return value;
      });
      gradients(of, wrt).forEach((dx, k) => outputs[`${group}/${all[k]}`] = dx);
    };
    const namesIn = (group: string) =>
      [...want.keys()].filter((name) => name.startsWith(`${group}/`)).map((name) => name.slice(group.length + 1));
    const norms = c.json.grad_l2_norms ?? {};
    differentiate(
      "grad",
      loss,
      [...namesIn("grad"), ...Object.keys(norms)],
      (name) => graph.parameters.get(grad_prefix + name),
    );
    differentiate("gradin", input_loss, namesIn("gradin"), input);

    const host = await (built.start?.() ?? hostParametersOf(c, specs, want, built.load));
    const parameters = createParameters(device, specs, host);
    const exe = new Executable(device, { outputs, updates: built.updates ?? [] }, parameters);
    try {
      exe.run(data);
      const specOf = (name: string) => name.startsWith("grad/") ? specs.get(grad_prefix + name.slice(5)) : undefined;
      const got: Map<string, ArrayLike<number>> = await readOutputs(exe, outputs, specOf);
      const more = await built.after?.({ got, parameters, data }) ?? [];
      const all = { ...built.norms, ...Object.fromEntries(Object.entries(norms).map(([n, x]) => [`grad/${n}`, x])) };
      return [...compareGroups(c, want, got, { norms: all, other: built.other ?? [] }), ...more];
    } finally {
      exe.destroy();
      for (const tensor of parameters.values()) tensor.destroy();
    }
  };
}
