/**
 * The list of files that a dataset was made without.
 *
 * @module
 */
import type { BadFile } from "../../faces/data/annotations/registry.ts";

/** Writes `bad.jsonl`, a line for each file with the reason that it was left out; nothing where there is none. */
export async function writeBadFiles(dir: string, bad: readonly BadFile[]): Promise<void> {
  if (!bad.length) return;
  await Deno.writeTextFile(`${dir}/bad.jsonl`, bad.map((file) => JSON.stringify(file) + "\n").join(""));
}
