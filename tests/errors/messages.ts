/**
 * Compares messages of commands with those in this folder.
 *
 * @module
 */
import assert from "node:assert/strict";

/**
 * Compares messages with `tests/errors/NAME.txt`, which `-- --update` writes anew; read them then.
 *
 * @param messages Text by the case that it is of.
 * @param dir A folder of the test that the messages name, which becomes `DIR`.
 */
export function checkMessages(name: string, messages: Readonly<Record<string, string>>, dir: string): void {
  const text = Object.entries(messages).map(([key, message]) => `${key}:\n  ${message.replaceAll("\n", "\n  ")}\n`)
    .join("\n").replaceAll(dir, "DIR");
  const path = new URL(`${name}.txt`, import.meta.url);
  if (Deno.args.includes("--update")) Deno.writeTextFileSync(path, text);
  assert.equal(text, Deno.readTextFileSync(path));
}
