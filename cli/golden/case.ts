/**
 * A golden case, as the folder's README defines them.
 *
 * @module
 */
import { z } from "zod";
import type { Device } from "../../engine/device.ts";
import { readJson } from "../../formats/files.ts";
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
    json: await readJson(`${dir}/${name}.json`),
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
