/**
 * Splits of datasets by groups.
 *
 * @module
 */
import { InputError } from "../../formats/input_error.ts";
import { counted } from "../../formats/numbers.ts";

/** Two sets of indices, each in ascending order. */
export interface Split {
  /** Indices of records to train on. */
  train: number[];
  /** Indices of records to measure on. */
  holdout: number[];
}

/**
 * Splits records so that no group is on both sides.
 *
 * Groups are put in an order that depends on their names and the seed alone. The first ones go to the holdout until the
 * fraction is reached, so that adding images moves few others.
 *
 * @param records Anything with a group.
 * @param fraction Share of the images in the holdout, above 0 and below 1.
 * @param seed Another seed is another split.
 * @returns Indices of both parts; neither is empty.
 * @throws {InputError} If the fraction is out of range or there is but one group.
 */
export function splitByGroup(records: readonly { group: string }[], fraction: number, seed: number): Split {
  if (!(fraction > 0 && fraction < 1)) {
    throw new InputError(`Cannot split by fraction: current value is ${fraction}`, { hint: "above 0 and below 1" });
  }
  const sizes = new Map<string, number>();
  for (const { group } of records) sizes.set(group, (sizes.get(group) ?? 0) + 1);
  if (sizes.size < 2) {
    throw new InputError(
      `Cannot split ${counted(records.length, "image")} of ${sizes.size} group: at least 2 groups are needed`,
    );
  }
  const order = [...sizes].map(([group, size]) => ({ group, size, key: hash(`${seed}/${group}`) }))
    .sort((a, b) => a.key - b.key || (a.group < b.group ? -1 : 1));
  order.pop(); // the last group is always for training: both sides have one
  const holdout = new Set<string>();
  let count = 0;
  for (const { group, size } of order) {
    if (count > 0 && count >= Math.round(fraction * records.length)) break;
    holdout.add(group);
    count += size;
  }
  const split: Split = { train: [], holdout: [] };
  records.forEach(({ group }, i) => (holdout.has(group) ? split.holdout : split.train).push(i));
  return split;
}

/** FNV-1a, finished as MurmurHash3 does: 32 well-mixed bits of a text. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) h = Math.imul(h ^ byte, 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
