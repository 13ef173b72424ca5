/**
 * Comparison of computed tensors with those of a golden case.
 *
 * @module
 */
import { InputError } from "../../formats/input_error.ts";
import type { TensorData } from "../../formats/safetensors.ts";
import type { GoldenCase, GoldenResult } from "./case.ts";

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
