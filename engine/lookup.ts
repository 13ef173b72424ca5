/**
 * Look-ups that must succeed: a miss is a bug, and the error names the record that lacks an entry.
 *
 * @module
 */

/**
 * The entry of a map for a key that is known to be there.
 *
 * @param what Names the map in the error.
 * @throws {Error} If the key is missing.
 */
export function lookUp<K, V>(map: ReadonlyMap<K, V>, key: K, what: string): V {
  const value = map.get(key);
  if (value === undefined) throw new Error(`Cannot find an entry of ${what}: the key is missing`);
  return value;
}

/**
 * The item of a list at an index that is known to be there.
 *
 * @param what Names the list in the error.
 * @throws {Error} If the list is shorter.
 */
export function itemAt<T>(list: readonly T[], index: number, what: string): T {
  const value = list[index];
  if (value === undefined) throw new Error(`Cannot find item ${index} of ${what}: there are ${list.length}`);
  return value;
}
