/**
 * Records that the passes of the planner hand on: what to compute, dispatches, and the plan that results.
 *
 * @module
 */

import { type ErrorCode, InputError } from "../../formats/input_error.ts";
import type { AnyOp, Node, Target, Value } from "../graph.ts";
import type { Dtype } from "../tensor.ts";
import type { Program } from "../wgsl.ts";
import type { Precision } from "./precision.ts";

/** An assignment: a parameter and its new value. */
export type Update = readonly [parameter: Value, value: Value];

/** The computations of a run: values to read back by name, and new values of parameters. */
export interface Fetches {
  /** Values that can be read after a run. */
  readonly outputs: Readonly<Record<string, Value>>;
  /** Assignments of a run. Everything else that reads such a parameter in the same run sees its old value. */
  readonly updates?: readonly Update[];
  /** f32 when not given. */
  readonly precision?: Precision;
}

/** A graph that is ready to be planned: composite ops are decomposed, and values that nothing fetches are left out. */
export interface ComputeGraph {
  /** Nodes, inputs before users. */
  readonly nodes: readonly Node[];
  /** Values that can be read after a run. */
  readonly outputs: readonly Value[];
  /** Assignments of a run. */
  readonly updates: readonly Update[];
  /** The adapter, with {@linkcode Target.isFrozen}. */
  readonly target: Target;
  /** The value that replaces a value of the graph as written; see {@linkcode decompose}. */
  now(value: Value): Value;
}

/** A program with the tensors it reads and writes. */
export interface Dispatch {
  readonly program: Program;
  readonly reads: readonly Value[];
  readonly writes: readonly Value[];
  /** Floating point operations, fused ones included. */
  readonly flops: number;
  /** See {@linkcode AnyOp.bound}. */
  readonly bound: AnyOp["bound"];
  /** The op that gives the dispatch its name. */
  readonly name: string;
  /** True if it is carried out only when its inputs were written since its last execution. */
  readonly cached: boolean;
}

/** An update of a parameter by a copy, carried out between two dispatches. */
export interface Copy {
  readonly parameter: Value;
  readonly value: Value;
  /** Number of dispatches before it. */
  readonly after: number;
}

/** Slices of the staging buffer that a dispatch writes its results to, on devices that stage: {@linkcode Device.staged}. */
export interface Staging {
  /** True if the staging buffer is copied to the textures first: the dispatch touches a staged result, or the buffer is full. */
  readonly flushBefore: boolean;
  /** Slice of the staging buffer by result, in bytes; null for a result that is written to its texture. */
  readonly slices: readonly ({ readonly offset: number; readonly size: number } | null)[];
}

/** Memory that computed values have one after the other. */
export interface PoolSlot {
  /** Texels that fit. */
  readonly texels: number;
  /** Element type of all of them. */
  readonly dtype: Dtype;
}

/** A graph made ready to run. */
export interface Plan {
  readonly target: Target;
  readonly dispatches: readonly Dispatch[];
  /** Updates by copy, in the order in which they are carried out. */
  readonly copies: readonly Copy[];
  /**
   * Parameters by new values that are stored nowhere else: they are copied there from the staging buffer, or a kernel
   * writes them where it reads the old ones.
   */
  readonly inPlaceUpdates: ReadonlyMap<Value, Value>;
  /** Slices of the staging buffer, by dispatch. */
  readonly staging: readonly Staging[];
  /** Leaves that the dispatches or fetches use. */
  readonly leaves: readonly Value[];
  /** Pool slot of every computed value that is stored. */
  readonly slots: ReadonlyMap<Value, number>;
  /** The pool's slots. */
  readonly pool: readonly PoolSlot[];
  /** The stored value behind a value: itself, its replacement, or the value that it is a view of. */
  resolve(value: Value): Value;
  readonly fetches: Fetches;
  /** Floating point operations of a run. */
  readonly flops: number;
  /** Memory on the device. */
  readonly bytes: PlanBytes;
}

/** Bytes on a device of the storage class that a plan is for. */
export interface PlanBytes {
  /** Parameters, if they are f32. */
  readonly parameters: number;
  /** Inputs, constants, uniforms and the staging buffer. */
  readonly given: number;
  /** The staging buffer alone, which `given` includes. */
  readonly stagingBuffer: number;
  /** Pool slots. */
  readonly pool: number;
  /** The largest single tensor. */
  readonly largest: number;
}

/** Bytes of the uniforms of a dispatch, or a multiple: WebGPU's alignment. */
export const UNIFORM_BYTES = 256;

/** Raised when a plan does not fit a budget of memory; the message names the least memory found. */
export class MemoryError extends InputError {
  override readonly name = "MemoryError";
  /** See {@linkcode InputError}. */
  override readonly code: ErrorCode = "memory";
}

/** Available memory. */
export interface Budget {
  /** Bytes in all. */
  readonly bytes: number;
  /** Bytes of it that are taken: parameters, and everything else on the device. */
  readonly taken: number;
}

/** All values to compute, and the parameters that are to change. */
export function valuesOf({ outputs, updates = [] }: Fetches): readonly Value[] {
  return [...Object.values(outputs), ...updates.flat()];
}

/** Returns a function that is true for a value that is the same in every run, as weights that are not trained are. */
export function frozenIn({ updates = [] }: Fetches): (value: Value) => boolean {
  const trained = new Set(updates.map(([parameter]) => parameter));
  return (value) => {
    const { leaf } = value.node;
    return leaf !== null && leaf.kind !== "input" && !trained.has(value);
  };
}

/** Receives the plans of a stage's costs; tuning finds in them the computations of a run. */
export type PlanObserver = (fetches: Fetches, target: Target) => void;
