/**
 * Staging: on devices that stage, large results are written to a buffer one after the other, and several are copied to
 * their textures between two compute passes.
 *
 * @module
 */

import type { Value } from "../graph.ts";
import { stagedBytes } from "../wgsl.ts";
import type { SlotAssignment } from "./assign_slots.ts";
import type { Liveness } from "./liveness.ts";
import type { Dispatch, Staging } from "./records.ts";

/** Most bytes in the staging buffer, unless the results of one dispatch are more. */
const MAX_STAGED_BYTES = 2 ** 22;

/** Slices of the staging buffer by dispatch, and the bytes of the buffer. */
export interface StagingAssignment {
  readonly stagingBuffer: number;
  readonly staging: readonly Staging[];
}

/**
 * Assigns slices of the staging buffer to the results of dispatches.
 *
 * @param memory Where values are stored: values of the same slot or parameter touch each other.
 * @param staged False for devices that do not stage: then no result has a slice.
 * @param halves Values that are f16, which are written to their textures: half the bytes take half the time.
 */
export function assignStaging(
  dispatches: readonly Pick<Dispatch, "reads" | "writes">[],
  { copies, inPlaceUpdates, slots }: Pick<Liveness, "copies" | "inPlaceUpdates"> & Pick<SlotAssignment, "slots">,
  staged: boolean,
  halves: ReadonlySet<Value> = new Set(),
): StagingAssignment {
  const memoryOf = (value: Value) => inPlaceUpdates.get(value) ?? slots.get(value) ?? value;
  const sizeOf = (value: Value) =>
    staged && !halves.has(value) ? stagedBytes(value.shape, inPlaceUpdates.has(value)) : 0;
  // Updates by copy read staged results.
  const copied = new Set(copies.map(({ after }) => after));
  const occupied = new Set<unknown>();
  let [end, stagingBuffer] = [0, 0];
  const staging = dispatches.map(({ reads, writes }, k): Staging => {
    const touched = [...reads, ...writes].some((value) => occupied.has(memoryOf(value)));
    const needed = writes.reduce((sum, value) => sum + sizeOf(value), 0);
    const flushBefore = touched || copied.has(k) || end > 0 && end + needed > MAX_STAGED_BYTES;
    if (flushBefore) {
      occupied.clear();
      end = 0;
    }
    const slices = writes.map((value) => {
      const size = sizeOf(value);
      if (!size) return null;
      occupied.add(memoryOf(value));
      end += size;
      return { offset: end - size, size };
    });
    stagingBuffer = Math.max(stagingBuffer, end);
    return { flushBefore, slices };
  });
  return { stagingBuffer, staging };
}
