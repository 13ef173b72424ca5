/**
 * Number of runs that a timing spans.
 *
 * @module
 */

/** Part of the least duration that is long enough, so that a count is not raised for a few percent. */
const ENOUGH = 0.8;
/** Largest factor from one count to the next: the time of few short runs is mostly the wait. */
const LARGEST_FACTOR = 8;

/**
 * Counts the runs that take about `least_ms` together, by timing more and more of them.
 *
 * @param time Milliseconds that a number of runs and the wait for them take.
 */
export async function repetitionsFor(least_ms: number, time: (count: number) => Promise<number>): Promise<number> {
  let count = 1;
  let elapsed = await time(count);
  while (elapsed < ENOUGH * least_ms) {
    count = Math.ceil(count * Math.min(LARGEST_FACTOR, 1.1 * least_ms / elapsed));
    elapsed = await time(count);
  }
  return count;
}
