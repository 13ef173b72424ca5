import type { Value } from "../../../engine/graph.ts";
import type { Dispatch } from "../../../engine/plan/records.ts";

/** A dispatch of which only the tensors count. */
export function dispatch(reads: readonly Value[], writes: readonly Value[], more: Partial<Dispatch> = {}): Dispatch {
  const kernel = { source: "", label: "test", entry: "forward", reads: [], writes: [], threads: 1 };
  const program = { kernel, reads: reads.length, loads: [], stores: [] };
  return { program, reads, writes, flops: 1, bound: "memory", name: "test", cached: false, ...more };
}
