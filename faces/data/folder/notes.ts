/**
 * Notes on a folder of faces: facts that are no faults, for a person to know.
 *
 * @module
 */
import { counted } from "../../../formats/numbers.ts";
import type { Origin } from "../../pts.ts";
import type { FormatName } from "../annotations/registry.ts";
import type { DatasetRecord } from "../dataset.ts";
import { someOf } from "../folder_files.ts";
import type { ImageHeader } from "../image_header.ts";
import type { FolderIndex, Note } from "../index_file.ts";

/** A note on files that are named as those of 300-W, which count from 1, and are read as if they counted from 0. */
export function originNotes(
  records: readonly DatasetRecord[],
  { format = "pts", origin }: { readonly format?: FormatName; readonly origin?: Origin },
): Note[] {
  if (format !== "pts" || origin === 1) return [];
  const of300w =
    /(^|\/)(0[12]_(Indoor|Outdoor)|(helen|lfpw)\/(train|test)set|afw|ibug)\/|(^|\/)(in|out)door_\d{3}\.[a-z]+$/i;
  const files = records.map(({ file_name }) => file_name).filter((name) => of300w.test(name));
  return files.length === 0 ? [] : [{
    code: "landmarks_origin",
    message:
      `the names of ${
        counted(files.length, "image")
      } are as in 300-W, whose files count from 1: if these do too, set format: 300w; ` +
      `they were read as counted from 0: ${someOf(files)}`,
    files,
  }];
}

/** Notes on groups that were not given by any file: they decide on which side of a split a person is. */
export function groupNotes(
  { files, rows }: FolderIndex,
  records: readonly DatasetRecord[],
  { ungrouped, unlisted }: { readonly ungrouped: readonly string[]; readonly unlisted: readonly string[] },
): Note[] {
  const notes: Note[] = [];
  const alone = new Set(ungrouped);
  const missing = files.length && rows.size ? unlisted.filter((file) => alone.has(file)) : [];
  const known = new Set(missing);
  if (missing.length) {
    notes.push({
      code: "index_missing",
      message: `${known.size} of ${new Set(records.map(({ file_name }) => file_name)).size} images have no row in ` +
        `index.csv and are groups of their own: ${someOf(missing)}`,
      files: missing,
    });
  }
  const others = ungrouped.filter((file) => !known.has(file));
  if (others.length === 0) return notes;
  const all = others.length === records.length;
  notes.push({
    code: "groups",
    message:
      `no group is given for ${
        all ? "any image" : `${others.length} of ${counted(records.length, "face")}`
      }: each image is ` +
      `a group of its own, and images of one person may come to both sides of a split${
        all ? "" : `, as in ${someOf(others)}`
      }`,
    files: all ? [] : others,
  });
  return notes;
}

/** Notes on images that are the same to the byte, in different groups. */
export function copyNotes(
  records: readonly DatasetRecord[],
  sums: ReadonlyMap<string, { readonly sum: string }>,
): Note[] {
  const first = new Map<string, DatasetRecord>(), copies: string[] = [];
  for (const record of records) {
    const sum = sums.get(record.file_name)?.sum ?? "", other = first.get(sum);
    if (!other) first.set(sum, record);
    else if (other.group !== record.group) copies.push(`${record.file_name} of ${other.file_name}`);
  }
  return copies.length === 0 ? [] : [{
    code: "copies",
    message:
      `other groups have copies of ${counted(copies.length, "image")}, which may come to both sides of a split: ` +
      someOf(copies),
    files: copies,
  }];
}

/** Notes on colour profiles, which are not applied. */
export function profileNotes(headers: ReadonlyMap<string, ImageHeader>): Note[] {
  const odd = [...headers].flatMap(([file, { profile }]) => profile === undefined ? [] : [{ file, profile }]);
  return [...Map.groupBy(odd, ({ profile }) => profile)].map(([profile, images]) => ({
    code: "colours",
    message: `${images.length} ${images.length === 1 ? "image has" : "images have"} the colour profile "${profile}"; ` +
      `colours are taken as sRGB: ${someOf(images.map(({ file }) => file))}`,
    files: images.map(({ file }) => file),
  }));
}
