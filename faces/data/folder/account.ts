/**
 * Account of the files of a folder: each is used, passed over by a rule, or named as bad.
 *
 * @module
 */
import { counted } from "../../../formats/numbers.ts";
import type { BadFile } from "../annotations/registry.ts";
import type { FaceFolder } from "../face_folder.ts";
import type { PassedOver } from "../folder_files.ts";

/** Files of a folder by their use; each is in one list. */
export interface Account {
  /** Images that are used, files with their landmarks, and those about the whole folder. */
  readonly used: readonly string[];
  /** Files that are passed over, with the rule. */
  readonly passed: readonly PassedOver[];
  /** Files and faces that cannot be used. */
  readonly bad: readonly BadFile[];
}

/**
 * Accounts for the files of a folder.
 *
 * @param folder The folder.
 * @param later Images that were found to be bad after the folder was opened.
 * @returns Each file in one list.
 */
export function accountOf(
  { records, bad, passed, beside, common }: FaceFolder,
  later: readonly BadFile[] = [],
): Account {
  const failed = new Set(later.map(({ file }) => file));
  const used = new Set(records.map(({ file_name }) => file_name).filter((image) => !failed.has(image)));
  for (const image of [...used]) {
    const file = beside.get(image);
    if (file !== undefined) used.add(file);
  }
  for (const file of common) used.add(file);
  const left = [...new Set(beside.values())].filter((file) => !used.has(file))
    .map((file) => ({ file, rule: "landmarks of an image that is left out" }));
  return { used: [...used], passed: [...passed, ...left], bad: [...bad, ...later] };
}

/** One line on the files of a folder: how many are used, passed over and named as bad. */
export function accountLine({ used, passed, bad }: Account): string {
  const rules = [...Map.groupBy(passed, ({ rule }) => rule)].map(([rule, files]) => `${files.length} ${rule}`);
  const named = bad.length ? `${bad.length} left out and named in bad.jsonl` : "none left out";
  return `${counted(used.length, "file")} used, ${passed.length} passed over${
    rules.length ? ` (${rules.join(", ")})` : ""
  }, ${named}`;
}
