/**
 * Text for terminals.
 *
 * @module
 */

/**
 * Control characters but line feed and tab, and those that turn the direction of the text after them. A terminal obeys
 * them: a name or a file of somebody else's could set its title, hide lines or show other names.
 */
// deno-lint-ignore no-control-regex
const CONTROLS = /[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g;

/**
 * A text with control characters as `\u001b`, which is also how JSON has them.
 *
 * @param text Text of any origin.
 */
export function printable(text: string): string {
  return text.replace(CONTROLS, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
