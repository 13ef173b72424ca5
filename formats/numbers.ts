/**
 * Numbers as people read them.
 *
 * @module
 */

/** A number with its power of a thousand, such as `1.67 G`. */
function scaled(value: number): string {
  const power = Math.min(5, Math.max(0, Math.floor(Math.log10(Math.abs(value) || 1) / 3)));
  return `${power ? (value / 1000 ** power).toPrecision(3) : value} ${["", "k", "M", "G", "T", "P"][power]}`;
}

/** A size in memory or on disk, such as `1.67 GB`. */
export function formatBytes(bytes: number): string {
  return `${scaled(bytes)}B`;
}

/** A number of parameters or operations by its power of a thousand, such as `944 k`. */
export function formatScaled(count: number): string {
  return scaled(count).trimEnd();
}

/** A number of things, such as `1 face` or `2 faces`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
