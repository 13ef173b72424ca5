/**
 * Choice of names by patterns, in which `*` stands for any letters and `?` for one.
 *
 * @module
 */

/**
 * Makes a filter of names.
 *
 * @param include At least one of these must fit; an empty list takes everything.
 * @param exclude None of these may fit.
 * @param fits True if a pattern fits a name; by default if it fits the whole name.
 * @returns True for the names to take.
 */
export function globFilter(
  include: readonly string[],
  exclude: readonly string[],
  fits: (pattern: string) => (name: string) => boolean = fitsName,
): (name: string) => boolean {
  const taken = include.map(fits), left = exclude.map(fits);
  return (name) => (taken.length === 0 || taken.some((fits) => fits(name))) && !left.some((fits) => fits(name));
}

function fitsName(pattern: string): (name: string) => boolean {
  const text = pattern.replace(/[\\^$.+()|{}[\]]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".");
  const expression = new RegExp(`^${text}$`, "s");
  return (name) => expression.test(name);
}

/** As {@linkcode globFilter} has it for paths: a pattern fits the whole path or the last part of it. */
export function fitsPath(pattern: string): (path: string) => boolean {
  const fits = fitsName(pattern);
  return (path) => fits(path) || fits(path.slice(path.lastIndexOf("/") + 1));
}
