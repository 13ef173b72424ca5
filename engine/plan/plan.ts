/**
 * The planner: turns a graph into dispatches and assigns their memory, without a GPU.
 *
 * Passes: {@linkcode decompose} replaces composite ops, {@linkcode fuse} chooses the values that are stored,
 * {@linkcode halfValues} those that are f16, {@linkcode lower} makes the dispatches, {@linkcode bundle} has fewer of them, {@linkcode liveness} finds life spans,
 * {@linkcode assignSlots} and {@linkcode assignStaging} assign memory, and {@linkcode Rematerializer} repeats dispatches
 * where memory is short.
 *
 * @module
 */

import { formatBytes } from "../../formats/numbers.ts";
import { type Target, texels, type Value } from "../graph.ts";
import { storageBytes } from "../tensor.ts";
import { assignSlots } from "./assign_slots.ts";
import { bundle } from "./bundle.ts";
import { decompose } from "./decompose.ts";
import { fuse } from "./fuse.ts";
import { liveness } from "./liveness.ts";
import { lower } from "./lower.ts";
import { halfValues } from "./precision.ts";
import {
  type Budget,
  type ComputeGraph,
  type Dispatch,
  type Fetches,
  MemoryError,
  type Plan,
  type PlanBytes,
  type PoolSlot,
  UNIFORM_BYTES,
} from "./records.ts";
import { Rematerializer } from "./rematerialize.ts";
import { assignStaging } from "./staging.ts";

/** Dispatches of a graph before memory is assigned. */
interface LoweredGraph {
  readonly target: Target;
  readonly graph: ComputeGraph;
  readonly dispatches: readonly Dispatch[];
  readonly leaves: readonly Value[];
  /** Values that are f16. */
  readonly halves: ReadonlySet<Value>;
  resolve(value: Value): Value;
}

/** Dispatches with their memory: the part of a plan that recomputation changes. */
type Allocation = Pick<Plan, "dispatches" | "copies" | "inPlaceUpdates" | "staging" | "slots" | "pool" | "bytes">;

/**
 * Plans the computation of `fetches` for a target.
 *
 * @param budget Where the plan would take more, composite ops are kept and values are recomputed instead of stored, with
 *   the same results.
 * @throws {MemoryError} If the budget cannot be met.
 */
export function plan(fetches: Fetches, target: Target, budget?: Budget): Plan {
  let lowered = lowerGraph(fetches, target);
  let allocation = allocate(lowered, lowered.dispatches);
  if (budget && excess(allocation, budget) > 0) {
    if (!target.keepComposite) {
      lowered = lowerGraph(fetches, { ...target, keepComposite: true });
      allocation = allocate(lowered, lowered.dispatches);
    }
    allocation = rematerialize(lowered, allocation, budget);
  }
  const { leaves, resolve } = lowered;
  const flops = allocation.dispatches.reduce((sum, dispatch) => sum + dispatch.flops, 0);
  return { ...allocation, target: lowered.target, leaves, resolve, fetches, flops };
}

function lowerGraph(fetches: Fetches, target: Target): LoweredGraph {
  const graph = decompose(fetches, target);
  const fusion = fuse(graph);
  const dispatches = bundle(lower(graph, fusion), target);
  const { resolve } = fusion;
  const read = [...dispatches.flatMap(({ reads }) => reads), ...fetchedValues(graph).map(resolve)];
  const leaves = [...new Set(read)].filter(({ node }) => !node.op);
  const halves = fetches.precision === "f16-mixed" ? halfValues(graph, fusion) : new Set<Value>();
  return { target, graph, dispatches, leaves, halves, resolve };
}

function fetchedValues({ outputs, updates }: ComputeGraph): Value[] {
  return [...outputs, ...updates.flat()];
}

/** Assigns memory to a sequence of dispatches. */
function allocate(lowered: LoweredGraph, dispatches: readonly Dispatch[]): Allocation {
  const { graph, resolve, target } = lowered;
  // A recomputed value is another one, of the same output of its node.
  const written = dispatches.flatMap(({ writes }) => writes);
  const halves = new Set(written.filter(({ node, index }) => {
    const value = node.outputs[index];
    return value !== undefined && lowered.halves.has(value);
  }));
  const lives = liveness(dispatches, graph, resolve);
  const { slots, pool } = assignSlots(lives, halves);
  const { copies, inPlaceUpdates } = lives;
  const { stagingBuffer, staging } = assignStaging(
    dispatches,
    { copies, inPlaceUpdates, slots },
    target.staged ?? false,
    halves,
  );
  const bytes = bytesOf(lowered, { dispatches, pool, stagingBuffer });
  return { dispatches, copies, inPlaceUpdates, staging, slots, pool, bytes };
}

function bytesOf(
  { leaves, target: { storage } }: LoweredGraph,
  { dispatches, pool, stagingBuffer }: {
    dispatches: readonly Dispatch[];
    pool: readonly PoolSlot[];
    stagingBuffer: number;
  },
): PlanBytes {
  const size = (count: number) => storageBytes(count, storage);
  const total = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);
  const isParameter = ({ node }: Value) => node.leaf?.kind === "parameter";
  const parameters = leaves.filter(isParameter).map(({ shape }) => size(texels(shape)));
  const given = leaves.filter((leaf) => !isParameter(leaf)).map(({ shape }) => size(texels(shape)));
  const pooled = pool.map((slot) => storageBytes(slot.texels, storage, slot.dtype));
  return {
    parameters: total(parameters),
    given: total(given) + total(dispatches.map(uniformBytes)) + stagingBuffer,
    stagingBuffer,
    pool: total(pooled),
    largest: Math.max(0, ...parameters, ...pooled),
  };
}

/** Bytes of the uniforms of a dispatch; those of its fused expressions fit into the rest of the last part. */
function uniformBytes({ program: { kernel: { ints = {}, inlined = [], floats = {} } } }: Dispatch): number {
  const fields = 2 + Object.keys(ints).length - inlined.length + Object.keys(floats).length;
  return UNIFORM_BYTES * Math.ceil(4 * fields / UNIFORM_BYTES);
}

/** Bytes by which an allocation exceeds a budget. */
function excess({ bytes }: Allocation, budget: Budget): number {
  return budget.taken + bytes.given + bytes.pool - budget.bytes;
}

/**
 * Repeats dispatches until the memory fits a budget.
 *
 * @throws {MemoryError} If it never does.
 */
function rematerialize(lowered: LoweredGraph, start: Allocation, budget: Budget): Allocation {
  let best = start;
  const kept = new Set(fetchedValues(lowered.graph).map(lowered.resolve));
  const search = new Rematerializer(lowered.dispatches, kept);
  while (excess(best, budget) > 0) {
    const dispatches = search.reduce();
    if (!dispatches) {
      throw new MemoryError(
        `Cannot run in ${formatBytes(budget.bytes)} of memory: the least found is ` +
          `${formatBytes(budget.bytes + excess(best, budget))}`,
        { hint: "a smaller batch takes less" },
      );
    }
    const next = allocate(lowered, dispatches);
    if (excess(next, budget) < excess(best, budget)) best = next;
  }
  return best;
}
