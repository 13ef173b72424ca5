/**
 * Brings faces from a folder of images with landmarks into a dataset.
 *
 * @module
 */
import { z } from "zod";
import { type ImageFormat, type ListFormat, stem } from "../../faces/data/annotations/format.ts";
import { type BadFile, DATASET_FORMATS, FORMAT_NAMES, formatsDoc } from "../../faces/data/annotations/registry.ts";
import { badFilesError, type FaceFolder, openFolder } from "../../faces/data/face_folder.ts";
import { type Account, accountLine, accountOf } from "../../faces/data/folder/account.ts";
import { DatasetWriter } from "../../faces/data/dataset_writer.ts";
import { contactSheet, overlayLandmarks } from "../../faces/draw.ts";
import type { Image } from "../../faces/data/image.ts";
import { READABLE } from "../../faces/data/image_header.ts";
import { writePng } from "../../faces/data/image_file.ts";
import { readText } from "../../formats/files.ts";
import { type Note, noteLine } from "../../faces/data/index_file.ts";
import { InputError } from "../../formats/input_error.ts";
import { counted } from "../../formats/numbers.ts";
import { inOrder, PicturePool } from "../../faces/data/pool.ts";
import { CROP_SCALE } from "../../faces/landmarks.ts";
import { DEFAULT_SCHEMA, schemaName, SCHEMAS } from "../../faces/schema.ts";
import { file, fileOrFolder, folder, stage } from "../../runtime/stage.ts";
import { writeBadFiles } from "./_bad_files.ts";
import { fitsPath, globFilter } from "../lib/glob.ts";
import { itemAt } from "../../engine/lookup.ts";

/** Images on the contact sheet, at most. */
const SHEET = 60;

/** About as many pixels as a photograph has at least. */
const PHOTO_PIXELS = 1 << 18;

const options = z.object({
  path: folder(z.string()).describe(
    `Folder of the images, ${READABLE}, and of folders of them; an index.csv in it may give style and group by name`,
  ),
  size_px: z.int().min(8).max(2048).describe("Side of the images that are written, pixels"),
  format: z.enum(FORMAT_NAMES).optional().describe(`Format of the landmarks; by default pts. ${formatsDoc()}`),
  schema: schemaName.default(DEFAULT_SCHEMA).describe(
    "Schema of the landmarks that are written, and of formats that have none of their own",
  ),
  annotations: fileOrFolder(z.string()).optional().describe(
    "The one file of those formats, or a folder of such files; their images are named relative to path",
  ),
  origin: z.union([z.literal(0), z.literal(0.5), z.literal(1)]).optional().describe(
    "Coordinate of the centre of the first pixel: 0, 1 in 300-W's own files, 0.5 where the image's corner is 0; by " +
      "default that of the format",
  ),
  style: z.string().min(1).default("photo").describe("Style of images that index.csv gives none"),
  crop: z.enum(["landmarks", "none"]).default("landmarks")
    .describe("landmarks: a square around the landmarks; none: the whole image, which must be square"),
  crop_scale: z.number().min(1).max(5).default(CROP_SCALE)
    .describe("Side of that square as a multiple of the longer side of the landmarks' box"),
  include: z.array(z.string()).default([]).describe(
    "Names to include, without endings, with * and ?; all when empty",
  ),
  exclude: z.array(z.string()).default([]).describe("Names to exclude, without endings, with * and ?"),
  list: file(z.string()).optional().describe(
    "A text file with the names of the images to take, one a line, such as test_list.txt of CariFace; by default all",
  ),
  on_bad: z.enum(["stop", "skip"]).default("stop")
    .describe("stop: a bad file stops the import; skip: it is named in bad.jsonl and left out"),
});

/** Options by which images are selected and read. */
type Selection = Omit<z.output<typeof options>, "size_px" | "crop" | "crop_scale">;

/** `dataset/import`: crops, resizes, and draws `contact.png` with the landmarks on the images. */
export const importFaces = stage({
  id: "dataset/import",
  doc: "Imports a folder of images with a 300-W .pts file beside each, or with landmarks in other formats.",
  version: 3,
  inputs: {},
  output: "dataset",
  options,
  check({ format = "pts", crop, schema }, _inputs, given) {
    const reader: ImageFormat | ListFormat = DATASET_FORMATS[format];
    const own = reader.schema;
    return [
      !reader.perImage && !given.has("annotations") && {
        option: "format",
        reason: `"annotations", the file with the landmarks, is missing`,
      },
      reader.perImage && given.has("annotations") && {
        option: "annotations",
        reason: `format ${format} has a file beside each image`,
      },
      crop === "none" && given.has("crop_scale") && { option: "crop_scale", reason: `crop is "none"` },
      own !== undefined && own !== schema && SCHEMAS[own].maps[schema] === undefined && {
        option: "schema",
        reason: `landmarks of ${own}, which ${format} has, do not contain ${schema}, hint: schema: ${own}`,
      },
    ];
  },
  describeOutput: ({ size_px, schema }) => ({ size_px, schema }),
  async run(ctx, _inputs, options) {
    const { path, size_px, crop, crop_scale, on_bad } = options;
    const { source, absent, notes } = await openSelected(options), { records } = source;
    using pool = new PicturePool(records.length * PHOTO_PIXELS);
    const writer = await DatasetWriter.create(ctx.dir, source.schema, { encoder: pool });
    const bad: BadFile[] = [...source.bad, ...absent];
    const every = Math.ceil(records.length / SHEET);
    const shown: Image[] = [], labels: string[] = [];
    const how = { crop, scale: crop_scale, size_px };
    const cut = async (i: number) => {
      try {
        const { file_name, landmarks } = itemAt(records, i, "records");
        return await pool.face(`${path}/${file_name}`, landmarks, source.schema, how);
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        return error;
      }
    };
    let done = 0;
    for await (const face of inOrder(records.length, pool.width, cut)) {
      ctx.signal.throwIfAborted();
      const { file_name, style, group, occluded, source: name = file_name } = itemAt(records, done, "records");
      if (face instanceof InputError) bad.push({ file: file_name, reason: face.message });
      else {
        const { landmarks } = face;
        await writer.add(face, { style, group, landmarks, source: name, ...(occluded && { occluded }) });
        if (done % every === 0) {
          shown.push(overlayLandmarks(face, landmarks, source.schema));
          labels.push(`${name} ${style}`);
        }
      }
      ctx.progress(++done, records.length);
    }
    const account = accountOf(source, bad.slice(source.bad.length));
    if (bad.length > 0 && (on_bad === "stop" || writer.count === 0)) {
      throw badFilesError(path, bad, source.records.length);
    }
    await writeBadFiles(ctx.dir, bad);
    await writer.close();
    await writePng(`${ctx.dir}/contact.png`, contactSheet(shown, 10, { labels }));
    for (const note of notes) ctx.log(noteLine(note));
    await writeAccount(ctx.dir, writer.count, account, notes);
    const cropped = crop === "none" ? "whole" : `cropped to ${crop_scale} x the landmarks' box`;
    ctx.log(`${counted(writer.count, "image")} of ${path}, ${cropped}, ${size_px} x ${size_px} pixels`);
    ctx.log(`${path}: ${accountLine(account)}`);
  },
});

/** Opens the folder with the images that `include`, `exclude` and `list` select; `absent` are those of the list that it lacks. */
async function openSelected(
  { path, format, schema, annotations, origin, style, include, exclude, list, on_bad }: Selection,
): Promise<{ source: FaceFolder; absent: BadFile[]; notes: Note[] }> {
  const isSelected = globFilter(include, exclude, fitsPath), names: string[] = [];
  const listed = list === undefined ? undefined : nameList(await readText(list));
  const source = await openFolder(path, {
    schema: SCHEMAS[schema],
    ...(format && { format }),
    ...(annotations !== undefined && { annotations }),
    ...(origin !== undefined && { origin }),
    style,
    filter: (name) => {
      names.push(name);
      return isSelected(name) && (listed?.has(name) ?? true);
    },
    on_bad,
  });
  const absent = (listed?.unused() ?? []).map((name) => ({
    file: `${list}: ${name}`,
    reason: "there is no such image",
  }));
  if (absent.length > 0 && on_bad === "stop") throw badFilesError(path, absent, source.records.length + absent.length);
  return { source, absent, notes: [...patternNotes([...include, ...exclude], names), ...source.notes] };
}

/** Writes `import.json`: how many images and files, which files were passed over by which rule, and notes. */
async function writeAccount(
  dir: string,
  images: number,
  { used, bad, passed }: Account,
  notes: readonly Note[],
): Promise<void> {
  const rules = Map.groupBy(passed, ({ rule }) => rule);
  const passed_over = Array.from(rules, ([rule, files]) => ({ rule, files: files.map(({ file }) => file) }));
  const counts = { images, files_used: used.length, left_out: bad.length };
  await Deno.writeTextFile(`${dir}/import.json`, JSON.stringify({ ...counts, passed_over, notes }, null, 1) + "\n");
}

/** Names of a list, one a line, with or without endings and the folders above. */
function nameList(text: string): { has(name: string): boolean; unused(): string[] } {
  const names = text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  const byStem = new Map(names.flatMap((name) => [[name, name], [stem(name), name]]));
  const unused = new Set(names);
  return {
    has(name) {
      const parts = name.split("/");
      for (const first of parts.keys()) {
        const found = byStem.get(parts.slice(first).join("/"));
        if (found === undefined) continue;
        unused.delete(found);
        return true;
      }
      return false;
    },
    unused: () => [...unused],
  };
}

/** A note on patterns that fit no name, which may be misspelt. */
function patternNotes(patterns: readonly string[], names: readonly string[]): Note[] {
  const files = patterns.filter((pattern) => !names.some(fitsPath(pattern)));
  if (files.length === 0) return [];
  const message = `include and exclude have patterns that fit no name: ${files.join(", ")}; names are without endings`;
  return [{ code: "patterns", message, files }];
}
