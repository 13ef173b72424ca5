/**
 * Tells whether a name is chosen by patterns, in which `*` stands for any letters and `?` for one.
 *
 * @param include At least one of these must fit; an empty list takes everything.
 * @param exclude None of these may fit.
 * @returns For `filter`.
 */
export function globFilter(include: readonly string[], exclude: readonly string[]): (name: string) => boolean {
  const expression = (pattern: string) =>
    new RegExp(`^${pattern.replace(/[\\^$.+()|{}[\]]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".")}$`, "s");
  const taken = include.map(expression), left = exclude.map(expression);
  return (name) => (taken.length === 0 || taken.some((p) => p.test(name))) && !left.some((p) => p.test(name));
}
