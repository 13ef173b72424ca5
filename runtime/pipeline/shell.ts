/**
 * Words of command lines in hints.
 *
 * @module
 */

/** A text as one word of a shell. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** The values that a user set, as flags for a shell, a blank before each. */
export function setFlags(set: readonly string[] = []): string {
  return set.map((text) => ` --set ${shellWord(text)}`).join("");
}
