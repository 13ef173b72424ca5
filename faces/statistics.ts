/**
 * Means, medians and rounding.
 *
 * @module
 */

/** Mean of some numbers; not a number if there are none. */
export function mean(values: ArrayLike<number>): number {
  return Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;
}

/** Middle of some numbers, or the mean of the two in the middle; not a number if there are none. */
export function median(values: ArrayLike<number>): number {
  const sorted = Array.from(values).sort((a, b) => a - b);
  const half = (sorted.length - 1) / 2;
  return mean(sorted.slice(Math.max(0, Math.floor(half)), Math.ceil(half) + 1));
}

/** A number to so many decimals. */
export function roundTo(value: number, decimals: number): number {
  const unit = 10 ** decimals;
  return Math.round(value * unit) / unit;
}
