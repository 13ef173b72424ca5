/**
 * Faces of a report, with landmarks over them while they are pointed at or tapped.
 *
 * @module
 */
import { basename, extname, join } from "node:path";
import { type Dataset, type DatasetRecord, openDataset } from "../../faces/data/dataset.ts";
import { resizeArea } from "../../faces/data/image.ts";
import { decodeImage, encodeJpeg } from "../../faces/data/image_file.ts";
import { readImageHeader } from "../../faces/data/image_header.ts";
import { lookUp } from "../../engine/lookup.ts";
import { contourPath } from "../../faces/draw.ts";
import type { LandmarkSchema } from "../../faces/schema.ts";
import { type Html, markup, type Part } from "../../formats/html.ts";
import { counted } from "../../formats/numbers.ts";
import type { Artifact } from "../../runtime/stage.ts";

/** Files of more bytes, or of other types than PNG and JPEG, are made smaller and written as JPEG. */
const MOST_BYTES = 32_000;
/** Longest side of what is made smaller, pixels. */
const MOST_PX = 256;
/** Faces of a dataset that are shown, more if it has more styles. */
const MOST_FACES = 36;

const mimeTypes = new Map([[".png", "image/png"], [".jpg", "image/jpeg"]]);

/** Parts of a face on the page. */
interface FaceText {
  readonly alt: string;
  /** Text below the image. */
  readonly caption?: Part;
  /** Text over the foot of the image, shown with the landmarks. */
  readonly note?: string;
}

/** An image with its landmarks, which show while it is pointed at; `found` always show, in another colour. */
function face(
  { dir, schema }: Pick<Dataset, "dir" | "schema">,
  record: DatasetRecord,
  { alt, caption, note }: FaceText,
  found?: ArrayLike<number>,
): Html {
  const path = join(dir, record.file_name);
  const bytes = Deno.readFileSync(path);
  const { width, height } = readImageHeader(bytes, path);
  // Landmarks count from the centre of the first pixel, SVG from its corner.
  return markup`
    <figure class="face" tabindex="0">
      <img src="${small(bytes, path)}" alt="${alt}" width="${width}" height="${height}">
      <svg viewBox="-0.5 -0.5 ${width} ${height}">${found ? outline(found, schema, "found") : undefined}${
    outline(record.landmarks, schema, "truth")
  }</svg>
      ${note ? markup`<p>${note}</p>` : undefined}${caption ? markup`<figcaption>${caption}</figcaption>` : undefined}
    </figure>
  `;
}

function outline(landmarks: ArrayLike<number>, schema: LandmarkSchema, kind: string): Html {
  return markup`<path class="${kind}" d="${contourPath(landmarks, schema)}"/>`;
}

function small(bytes: Uint8Array<ArrayBuffer>, path: string): string {
  const type = mimeTypes.get(extname(path));
  if (type && bytes.length <= MOST_BYTES) return dataUrl(bytes, type);
  const image = decodeImage(bytes, { name: path });
  const share = Math.min(1, MOST_PX / Math.max(image.width, image.height));
  const scaled = (side: number) => Math.max(1, Math.round(side * share));
  const reduced = share < 1 ? resizeArea(image, scaled(image.width), scaled(image.height)) : image;
  return dataUrl(encodeJpeg(reduced), "image/jpeg");
}

function dataUrl(bytes: Uint8Array, type: string): string {
  return `data:${type};base64,${bytes.toBase64()}`;
}

/** Generated pairs of a dataset by style and by edit; nothing if it holds none. */
export async function pairs({ dir, stage }: Artifact, each: number): Promise<Part> {
  const dataset = await openDataset(dir);
  const { records } = dataset;
  const generated = records.flatMap(({ edits, ...record }) => edits ? [{ ...record, edits }] : []);
  if (!generated.length || each === 0) return undefined;
  type Pair = (typeof generated)[number];
  const names = ({ edits }: Pair) => edits.map(({ edit }) => words(edit)).join(", ") || "no edit";
  const row = (name: string, list: readonly Pair[], note: (pair: Pair) => string) => {
    const faces = spread(list, each).map((record) =>
      face(dataset, record, { alt: record.prompt ?? record.style, note: note(record) })
    );
    return markup`
      <div class="row">
        <h4>${name} <small>${counted(list.length, "pair")}</small></h4>
        <div class="faces">${faces}</div>
      </div>
    `;
  };
  const styles = [...Map.groupBy(generated, ({ style }) => style)];
  const edits = [...new Set(generated.flatMap(({ edits }) => edits.map(({ edit }) => edit)))].sort();
  const withEdit = (name: string) => generated.filter(({ edits }) => edits.some(({ edit }) => edit === name));
  return markup`
    <p>${stage}: ${
    counted(generated.length, "pair")
  }. Point at or tap a face for the landmarks that it was made from.</p>
    <h3>By style</h3>
    <div class="rows">${styles.map(([style, list]) => row(style, list, names))}</div>
    ${edits.length ? markup`<h3>By edit</h3>` : undefined}
    <div class="rows">${edits.map((edit) => row(words(edit), withEdit(edit), ({ style }) => style))}</div>
  `;
}

/** Some faces of a dataset, every style in turn. */
export async function gallery({ dir, stage }: Artifact, note: string): Promise<Html> {
  const dataset = await openDataset(dir);
  const { records } = dataset;
  const styles = [...Map.groupBy(records, ({ style }) => style)];
  const each = Math.max(1, Math.floor(MOST_FACES / styles.length));
  const faces = styles.flatMap(([style, list]) =>
    spread(list, each).map((record) =>
      face(dataset, record, { alt: `${stage}: ${style}`, ...(styles.length > 1 && { caption: style }) })
    )
  );
  return markup`
    <h3>${stage} <small>${note}</small></h3>
    <div class="faces">${faces}</div>
  `;
}

/** A face with what a detector found in it. */
export interface Example {
  readonly file_name: string;
  /** Percent. */
  readonly nme: number;
  /** `[P, 2]`, pixels. */
  readonly landmarks: readonly (readonly number[])[];
}

/** Faces of a dataset with what was found in them, best and worst first. */
export async function examples(title: Part, dir: string, list: readonly Example[]): Promise<Html> {
  const dataset = await openDataset(dir);
  const { records } = dataset;
  const faces = list.map(({ file_name, nme, landmarks }) => {
    const record = records.find((one) => one.file_name === file_name);
    const text = { alt: `${record?.style}, error ${nme.toFixed(1)} %`, caption: markup`${nme.toFixed(1)} %` };
    return record && face(dataset, record, text, landmarks.flat());
  });
  return markup`
    <div class="row">
      <h4>${title}</h4>
      <div class="faces five">${faces}</div>
    </div>
  `;
}

/** An image file that a stage wrote, unchanged. */
export function imageFigure(stage: string, path: string): Html {
  const name = basename(path);
  const url = dataUrl(Deno.readFileSync(path), lookUp(mimeTypes, extname(path), "image types"));
  return markup`
    <figure class="sheet">
      <figcaption>${stage} <small>${words(basename(name, extname(name)))}</small></figcaption>
      <img src="${url}" alt="${stage}: ${name}">
    </figure>
  `;
}

/** Names of the images at the top of a folder. */
export function imageNames(dir: string): string[] {
  return [...Deno.readDirSync(dir)].map(({ name }) => name).filter((name) => mimeTypes.has(extname(name))).sort();
}

/** At most `count` items, evenly spread over the list. */
function spread<T>(list: readonly T[], count: number): T[] {
  if (list.length <= count) return [...list];
  const chosen = new Set(Array.from({ length: count }, (_, i) => Math.floor(i * list.length / count)));
  return list.filter((_, index) => chosen.has(index));
}

const words = (name: string) => name.replaceAll("_", " ");
