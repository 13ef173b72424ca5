/**
 * Makers of small inputs for the tests of files as people have them, and the command line run in this process.
 *
 * @module
 */
import type { Dataset } from "../../faces/data/dataset.ts";
import { openDataset } from "../../faces/data/dataset.ts";
import { createImage, type Image, resizeArea } from "../../faces/data/image.ts";
import { encodeJpeg, encodePng } from "../../faces/data/image_file.ts";
import { type Landmarks, transformLandmarks } from "../../faces/landmarks.ts";
import { formatPts } from "../../faces/pts.ts";
import { stages } from "../../stages/mod.ts";
import { runCommand } from "../cli/run_command.ts";
import { neutralFace } from "../faces/neutral_face.ts";

export { inFolder } from "../stages/run_stages.ts";

/** A picture with one face. */
export interface DrawnFace {
  /** The picture. */
  readonly image: Image;
  /** 68 landmarks of ibug68, pixels. */
  readonly landmarks: Landmarks;
}

/** Options of {@linkcode drawFace}. */
export interface FaceOptions {
  /** Columns, by default 96. */
  readonly width?: number;
  /** Rows, by default 96. */
  readonly height?: number;
  /** Side of the square that the face fills, pixels; by default the shorter side of the picture. */
  readonly face_px?: number;
  /** Shift of that square from the picture's top left corner, pixels. */
  readonly at?: readonly [x: number, y: number];
  /** Colours and small shifts of the landmarks: each seed another person. */
  readonly seed?: number;
}

/** Landmarks of the outlines that are filled, in the order of painting, with their colours. */
const OUTLINES: readonly (readonly [first: number, end: number, colour: readonly [number, number, number]])[] = [
  [0, 17, [224, 182, 150]],
  [31, 36, [150, 100, 80]],
  [36, 42, [245, 245, 245]],
  [42, 48, [245, 245, 245]],
  [48, 60, [190, 70, 70]],
  [60, 68, [110, 30, 30]],
];

/** Draws a face that looks straight ahead: skin, eyes with pupils, nostrils and a mouth, on a plain background. */
export function drawFace(options: FaceOptions = {}): DrawnFace {
  const { width = 96, height = 96, face_px = Math.min(width, height), at: [dx, dy] = [0, 0], seed = 0 } = options;
  const random = generator(seed);
  const landmarks = transformLandmarks(neutralFace(face_px), [1, 0, dx, 0, 1, dy])
    .map((px) => px + (random() - 0.5) * face_px / 100);
  // Painted at twice the size, as edges of one pixel would make all faces alike.
  const SCALE = 2;
  const large = createImage(width * SCALE, height * SCALE, [60 + 160 * random(), 60 + 160 * random(), 120]);
  const scaled = landmarks.map((px) => (px + 0.5) * SCALE);
  const points = (first: number, end: number) =>
    Array.from({ length: end - first }, (_, k) => [scaled[2 * (first + k)]!, scaled[2 * (first + k) + 1]!] as const);
  for (const [first, end, colour] of OUTLINES) {
    const outline = points(first, end);
    // The jaw line is closed over the forehead.
    if (first === 0) {
      outline.push([outline[16]![0], outline[16]![1] - face_px * 0.5], [
        outline[0]![0],
        outline[16]![1] - face_px * 0.5,
      ]);
    }
    fillPolygon(large, outline, colour);
  }
  for (const [first, end] of [[36, 42], [42, 48]] as const) {
    const eye = points(first, end), x = mean(eye.map(([x]) => x)), y = mean(eye.map(([, y]) => y));
    const radius = face_px * SCALE * 0.016;
    fillPolygon(large, [[x - radius, y - radius], [x + radius, y - radius], [x + radius, y + radius], [
      x - radius,
      y + radius,
    ]], [
      40,
      60,
      70,
    ]);
  }
  return { image: resizeArea(large, width, height), landmarks };
}

/** Numbers from 0 to 1 (mulberry32). */
function generator(seed: number): () => number {
  let state = seed + 1;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Fills a polygon by the even-odd rule. */
function fillPolygon(
  image: Image,
  outline: readonly (readonly [number, number])[],
  colour: readonly [number, number, number],
): void {
  for (let y = 0; y < image.height; y++) {
    const crossings = outline.flatMap(([x0, y0], k) => {
      const [x1, y1] = outline[(k + 1) % outline.length]!;
      const middle = y + 0.5;
      return y0 <= middle === y1 <= middle ? [] : [x0 + (middle - y0) / (y1 - y0) * (x1 - x0)];
    }).sort((a, b) => a - b);
    for (let k = 0; k + 1 < crossings.length; k += 2) {
      const from = Math.max(0, Math.round(crossings[k]!)), to = Math.min(image.width, Math.round(crossings[k + 1]!));
      for (let x = from; x < to; x++) image.data.set(colour, (y * image.width + x) * 3);
    }
  }
}

/** Encodings of text files that editors and shells write. */
export type TextEncoding = "utf-8" | "utf-8-bom" | "utf-16le" | "utf-16be" | "latin1";

/** The bytes of a text; UTF-16 with its byte order mark. */
export function encodeText(text: string, encoding: TextEncoding = "utf-8"): Uint8Array<ArrayBuffer> {
  if (encoding === "utf-8") return new TextEncoder().encode(text);
  if (encoding === "utf-8-bom") return new TextEncoder().encode(`\uFEFF${text}`);
  if (encoding === "latin1") return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  const bytes = new DataView(new ArrayBuffer(2 * (text.length + 1)));
  [...`\uFEFF`, ...text.split("")].forEach((letter, k) =>
    bytes.setUint16(2 * k, letter.charCodeAt(0), encoding === "utf-16le")
  );
  return new Uint8Array(bytes.buffer);
}

/** Options of {@linkcode writeFace}. */
export interface WriteOptions extends FaceOptions {
  /** Ending of the picture: `.png`, `.jpg` or `.jpeg` in any case. By default `.png`. */
  readonly ending?: string;
  /** The picture's bytes, where another encoder is wanted. */
  readonly encode?: (image: Image) => Uint8Array;
  /** Text of the `.pts` file; `null` for none. By default that of the face. */
  readonly pts?: ((landmarks: Landmarks) => string) | null;
  /** Encoding of the `.pts` file. */
  readonly encoding?: TextEncoding;
}

/**
 * Writes a picture and a `.pts` file beside it.
 *
 * @param path Without an ending; its folder is made.
 * @returns The face that was drawn.
 */
export async function writeFace(path: string, options: WriteOptions = {}): Promise<DrawnFace> {
  const { ending = ".png", pts = formatPts, encoding } = options;
  const encode = options.encode ?? (/\.jpe?g$/i.test(ending) ? encodeJpeg : encodePng);
  const face = drawFace(options);
  await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  await Deno.writeFile(`${path}${ending}`, encode(face.image));
  if (pts) await Deno.writeFile(`${path}.pts`, encodeText(pts(face.landmarks), encoding));
  return face;
}

/** A command that ended. */
export interface Ended {
  /** Exit code. */
  readonly code: number;
  /** Lines of the standard output. */
  readonly lines: readonly string[];
  /** Text of errors and notes. */
  readonly notes: string;
  /** Both, as a terminal shows them. */
  readonly all: string;
}

/**
 * Runs a command line in this process, as `deno task` does.
 *
 * @param args Such as `["detect", "a.png"]`.
 * @param dir Folder in which it runs; relative paths and `runs/` are those of this folder.
 * @param from Folder in which the user is, if it is another one.
 */
export async function run(args: readonly string[], dir: string, from?: string): Promise<Ended> {
  const before = Deno.cwd();
  Deno.chdir(dir);
  try {
    const { code, lines, notes } = await runCommand(args, stages, from);
    return { code, lines, notes, all: [...lines, notes].join("\n") };
  } finally {
    Deno.chdir(before);
  }
}

/** An import that ended. */
export interface Imported extends Ended {
  /** The dataset; undefined where the import failed. */
  readonly dataset: Dataset | undefined;
  /** Lines of `bad.jsonl`: files that were set aside. */
  readonly bad: readonly { readonly file: string; readonly reason: string }[];
  /** Folder of the stage. */
  readonly out: string;
}

/**
 * Runs `dataset/import` by the command line.
 *
 * @param dir An empty folder for the pipeline and the run, the same for several imports; files are named from here.
 * @param path The folder to import, from `dir`.
 * @param options More options of the stage.
 */
export async function importFolder(
  dir: string,
  path: string,
  options: Readonly<Record<string, unknown>> = {},
): Promise<Imported> {
  const stage = { uses: "dataset/import", with: { path, size_px: 32, ...options } };
  await Deno.writeTextFile(`${dir}/imports.yaml`, JSON.stringify({ stages: { faces: stage } }));
  const out = `${dir}/runs/imports/faces`;
  await Deno.remove(`${dir}/runs`, { recursive: true }).catch(() => {});
  const ended = await run(["run", "imports.yaml"], dir);
  const bad = await Deno.readTextFile(`${out}/bad.jsonl`).catch(() => "");
  return {
    ...ended,
    dataset: ended.code === 0 ? await openDataset(out) : undefined,
    bad: bad.split("\n").filter(Boolean).map((line) => JSON.parse(line)),
    out,
  };
}

/** Copies a folder with all in it. */
export async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) await copyFolder(`${from}/${name}`, `${to}/${name}`);
    else await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}

/** Makes links, `[target, path]` each, in another process: Deno allows links to those only who may write anywhere. */
export async function makeLinks(links: readonly (readonly [target: string, path: string])[]): Promise<void> {
  const code = `for (const [target, path] of ${JSON.stringify(links)}) Deno.symlinkSync(target, path);`;
  const { success, stderr } = await new Deno.Command("deno", { args: ["eval", code], stderr: "piped" }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}
