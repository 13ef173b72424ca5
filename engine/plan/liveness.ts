/**
 * Liveness: when each stored value is written and read, and when parameters take their new values.
 *
 * @module
 */

import { type Target, texels, type Value } from "../graph.ts";
import { itemAt, lookUp } from "../lookup.ts";
import { stagedBytes, type Step } from "../wgsl.ts";
import type { ComputeGraph, Copy, Dispatch, Update } from "./records.ts";

/** Least bytes of new values that are copied together, because the compute pass ends for each group of copies. */
const MIN_COPY_BYTES = 2 ** 22;

/** Life spans of stored values, as numbers of dispatches, and the updates of parameters between them. */
export interface Liveness {
  /** The dispatch that writes a value which needs memory of its own. */
  readonly made: ReadonlyMap<Value, number>;
  /** The last dispatch that reads or writes a value; the number of dispatches where it outlives the run. */
  readonly last: ReadonlyMap<Value, number>;
  /** See {@linkcode Plan.copies}. */
  readonly copies: readonly Copy[];
  /** See {@linkcode Plan.inPlaceUpdates}. */
  readonly inPlaceUpdates: ReadonlyMap<Value, Value>;
}

/** The part of a graph that liveness needs. */
export type FetchedValues = Pick<ComputeGraph, "outputs" | "updates" | "target">;

/**
 * Life spans of the values of a sequence of dispatches.
 *
 * @param resolve See {@linkcode Fusion.resolve}.
 */
export function liveness(
  dispatches: readonly Dispatch[],
  { outputs, updates, target }: FetchedValues,
  resolve: (value: Value) => Value,
): Liveness {
  const { made, last } = lifeSpans(dispatches);
  const resolved = updates.map(([parameter, value]): Update => [parameter, resolve(value)]);
  const fetched = { outputs: outputs.map(resolve), updates: resolved, target };
  const inPlaceUpdates = findInPlaceUpdates(dispatches, fetched, made, last);
  const others = updates.filter(([, value]) => !inPlaceUpdates.has(resolve(value)));
  const copies = scheduleCopies(others, dispatches.length, made, last, resolve);
  // A new value of a parameter is free once it is copied; outputs stay.
  for (const { value, after } of copies) last.set(resolve(value), Math.max(last.get(resolve(value)) ?? 0, after - 1));
  for (const value of outputs) last.set(resolve(value), dispatches.length);
  // Cached results are there before a run and after it.
  for (const { cached, writes } of dispatches) {
    if (!cached) continue;
    for (const value of writes) made.set(value, 0), last.set(value, dispatches.length);
  }
  for (const value of inPlaceUpdates.keys()) made.delete(value);
  return { made, last, copies, inPlaceUpdates };
}

/** By value, the dispatch that writes it and the last one that reads or writes it. */
export function lifeSpans(
  dispatches: readonly Pick<Dispatch, "reads" | "writes">[],
): { made: Map<Value, number>; last: Map<Value, number> } {
  const [made, last] = [new Map<Value, number>(), new Map<Value, number>()];
  dispatches.forEach(({ reads, writes }, k) => {
    for (const value of writes) made.set(value, k);
    for (const value of [...reads, ...writes]) last.set(value, k);
  });
  return { made, last };
}

/**
 * New values that are written to their parameters, from the staging buffer or by a kernel that replaces what it reads:
 * nothing else reads the new value, and nothing reads the old one once the new one is there.
 *
 * @param fetched Outputs and updates, resolved.
 */
function findInPlaceUpdates(
  dispatches: readonly Dispatch[],
  { outputs, updates, target }: FetchedValues,
  made: ReadonlyMap<Value, number>,
  last: ReadonlyMap<Value, number>,
): Map<Value, Value> {
  const fetchedOnce = new Map<Value, boolean>();
  for (const value of [...outputs, ...updates.map(([, value]) => value)]) {
    fetchedOnce.set(value, !fetchedOnce.has(value));
  }
  const inPlace = new Map<Value, Value>();
  for (const [parameter, value] of updates) {
    const at = made.get(value);
    if (at === undefined) continue;
    const dispatch = itemAt(dispatches, at, "dispatches");
    const writable = target.staged ? stagedBytes(value.shape, true) > 0 : replaces(dispatch, value, parameter, target);
    if (dispatch.cached || !writable) continue;
    const { leaf } = parameter.node;
    if (leaf?.kind === "parameter" && target.isF16?.(leaf.name)) continue;
    const read = Math.max(lookUp(last, value, "last reads"), last.get(parameter) ?? 0) > at;
    if (read || !fetchedOnce.get(value) || fetchedOnce.has(parameter)) continue;
    if (texels(parameter.shape) === texels(value.shape)) inPlace.set(value, parameter);
  }
  return inPlace;
}

/** True if a dispatch can write a result where it reads a parameter: a texture of floats is never written and read at once. */
function replaces({ program, reads, writes }: Dispatch, value: Value, parameter: Value, { storage }: Target): boolean {
  const { kernel, loads, stores } = program;
  if (storage !== "buffer" || !kernel.inPlace) return false;
  const input = kernel.inPlace[itemAt(kernel.writes, writes.indexOf(value), "results")];
  const own = input === undefined ? undefined : loads[kernel.reads.indexOf(input)];
  const slot = reads.indexOf(parameter);
  if (!own || !("slot" in own) || own.slot !== slot) return false;
  const readElsewhere = (steps: readonly Step[]) => steps.some((step) => "slot" in step && step.slot === slot);
  return [...loads, ...stores].every((part) =>
    part === own || !("steps" in part ? readElsewhere(part.steps) : part.slot === slot)
  );
}

/**
 * Schedules updates by copy: each as soon as the new value is there and the old one is no longer read, so that the memory
 * of the new value is free for the next; several together, because the compute pass ends for them.
 *
 * @param end Number of dispatches.
 * @param made See {@linkcode lifeSpans}.
 * @param last See {@linkcode lifeSpans}.
 */
function scheduleCopies(
  updates: readonly Update[],
  end: number,
  made: ReadonlyMap<Value, number>,
  last: ReadonlyMap<Value, number>,
  resolve: (value: Value) => Value,
): Copy[] {
  // The value of a leaf is copied at the end, before that leaf changes.
  const isLeaf = ([, value]: Update) => !made.has(resolve(value));
  const kept = new Set(updates.filter(isLeaf).map(([, value]) => resolve(value)));
  const sorted = [...updates].sort((a, b) => Number(isLeaf(b)) - Number(isLeaf(a)));
  const ready = Map.groupBy(sorted, ([parameter, value]) => {
    const at = made.get(resolve(value));
    return at === undefined || kept.has(parameter) ? end : 1 + Math.max(at, last.get(parameter) ?? 0);
  });
  const size = ([parameter]: Update) => 16 * texels(parameter.shape);
  const least = Math.max(MIN_COPY_BYTES, updates.reduce((sum, update) => sum + size(update), 0) / 64);
  const copies: Copy[] = [];
  let group: Update[] = [];
  let bytes = 0;
  for (let after = 0; after <= end; after++) {
    for (const update of ready.get(after) ?? []) {
      group.push(update);
      bytes += size(update);
    }
    if (bytes < least && after < end) continue;
    for (const [parameter, value] of group) copies.push({ parameter, value, after });
    [group, bytes] = [[], 0];
  }
  return copies;
}
