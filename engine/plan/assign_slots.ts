/**
 * Assignment of memory: values whose lives do not overlap share a slot of the pool.
 *
 * @module
 */

import { texels, type Value } from "../graph.ts";
import { lookUp } from "../lookup.ts";
import type { Liveness } from "./liveness.ts";
import type { PoolSlot } from "./records.ts";

/** Slots of a pool by value, and the slots. */
export interface SlotAssignment {
  readonly slots: ReadonlyMap<Value, number>;
  readonly pool: readonly PoolSlot[];
}

/** A slot under construction, with the spans of dispatches during which it is taken. */
interface Slot extends PoolSlot {
  readonly spans: (readonly [from: number, to: number])[];
}

/**
 * Assigns a slot to every value of `made`, the largest first, so that a slot has the size of its first value.
 *
 * @param halves Values that are f16.
 */
export function assignSlots(
  { made, last }: Pick<Liveness, "made" | "last">,
  halves: ReadonlySet<Value> = new Set(),
): SlotAssignment {
  const slots = new Map<Value, number>();
  const pool: Slot[] = [];
  for (const [value, from] of [...made].sort(([a], [b]) => texels(b.shape) - texels(a.shape))) {
    const to = lookUp(last, value, "last reads");
    const dtype = halves.has(value) ? "f16" : "f32";
    // The last slot that is free is the smallest.
    let index = pool.findLastIndex((slot) =>
      slot.dtype === dtype && slot.spans.every(([first, end]) => to < first || end < from)
    );
    if (index < 0) index = pool.push({ texels: texels(value.shape), dtype, spans: [] }) - 1;
    pool[index]?.spans.push([from, to]);
    slots.set(value, index);
  }
  return { slots, pool: pool.map(({ texels, dtype }) => ({ texels, dtype })) };
}
