/**
 * Reading, writing and resampling of RGB images.
 *
 * The codecs are imagescript's WebAssembly modules, imported as bytes: no native addon, and no permission beyond
 * those of the files that are read. Coordinates are 0-based pixel centres: pixel (0, 0) covers [-0.5, 0.5] x [-0.5, 0.5].
 *
 * @module
 */
import jpegWasm from "imagescript/wasm/any/jpeg.wasm" with { type: "bytes" };
import pngWasm from "imagescript/wasm/any/png.wasm" with { type: "bytes" };
import { crc32, deflateSync } from "node:zlib";
import { InputError } from "../../formats/input_error.ts";
import type { Affine } from "../landmarks.ts";

/** An RGB image: rows from the top, three bytes a pixel. */
export interface Image {
  /** Columns. */
  width: number;
  /** Rows. */
  height: number;
  /** `[height, width, 3]`, 0 to 255. */
  data: Uint8Array;
}

/** What fills the places of a crop that lie outside the image: the nearest border pixel, or one colour. */
export type Fill = "edge" | readonly [red: number, green: number, blue: number];

/** A square of a picture, in pixel-centre coordinates: the whole of a 64 x 64 image is `{ x: -0.5, y: -0.5, side: 64 }`. */
export interface Box {
  /** Left edge. */
  x: number;
  /** Top edge. */
  y: number;
  /** Length of a side, pixels. */
  side: number;
}

/** What an image file says about itself in its header. */
export interface ImageHeader {
  /** The format, by the first bytes and not by the file's name. */
  format: "png" | "jpeg";
  /** Columns. */
  width: number;
  /** Rows. */
  height: number;
}

/** Most pixels an image may have unless the caller says otherwise: 64 megapixels, 192 MiB as RGB. */
export const MAX_PIXELS = 1 << 26;

/** Longest file that is read, bytes: more than an image of {@linkcode MAX_PIXELS} takes without compression. */
const MAX_BYTES = 4 * MAX_PIXELS;

/**
 * Most pixels that a byte can stand for. PNG: 8 of one bit each, which deflate shortens to 1/1032 at best. JPEG: a bit is
 * the least that a block of 8 x 8 takes, so 512; twice that, to be safe.
 */
const PIXELS_PER_BYTE = { png: 8 * 1032, jpeg: 1024 } as const;

interface JpegExports {
  memory: WebAssembly.Memory;
  walloc(bytes: number): number;
  wfree(pointer: number, bytes: number): void;
  wlen(): number;
  decode(pointer: number, bytes: number, width: number, height: number): number;
  decode_width(decoded: number): number;
  decode_height(decoded: number): number;
  decode_format(decoded: number): number;
  decode_buffer(decoded: number): number;
  decode_free(decoded: number): void;
  encode(pointer: number, width: number, height: number, quality: number): number;
}

interface PngExports {
  memory: WebAssembly.Memory;
  walloc(bytes: number): number;
  wfree(pointer: number): void;
  decode(pointer: number, bytes: number): number;
  width(): number;
  height(): number;
}

/** One instance is kept for the next image, but not after a trap, and not when a large image has grown its memory. */
function codec<T extends { memory: WebAssembly.Memory }>(
  bytes: Uint8Array<ArrayBuffer>,
): <R>(use: (wasm: T) => R) => R {
  const KEEP_BYTES = 32 << 20;
  let module: WebAssembly.Module | undefined;
  let instance: T | undefined;
  return (use) => {
    module ??= new WebAssembly.Module(bytes);
    const wasm = instance ??
      new WebAssembly.Instance(module, { env: { emscripten_notify_memory_growth() {} } }).exports as unknown as T;
    instance = undefined;
    const result = use(wasm);
    if (wasm.memory.buffer.byteLength <= KEEP_BYTES) instance = wasm;
    return result;
  };
}

const withJpeg = codec<JpegExports>(jpegWasm);
const withPng = codec<PngExports>(pngWasm);

/**
 * An image of one colour.
 *
 * @param width Columns.
 * @param height Rows.
 * @param colour 0 to 255 each; black unless given.
 * @returns A new image.
 */
export function createImage(
  width: number,
  height: number,
  colour: readonly [number, number, number] = [0, 0, 0],
): Image {
  const data = new Uint8Array(width * height * 3);
  if (colour.some((value) => value !== 0)) { for (let i = 0; i < data.length; i += 3) data.set(colour, i); }
  return { width, height, data };
}

/**
 * Reads format and size from the header, decoding nothing.
 *
 * @param bytes A PNG or JPEG file.
 * @param name Says in errors which image it is.
 * @returns Format and size.
 * @throws {InputError} If the bytes are neither PNG nor JPEG, or end within the header.
 */
export function readImageHeader(bytes: Uint8Array, name = "image"): ImageHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length >= 24 && view.getUint32(0) === 0x89504e47 && view.getUint32(4) === 0x0d0a1a0a) {
    const type = new TextDecoder().decode(bytes.subarray(12, 16));
    if (type !== "IHDR" || view.getUint32(8) !== 13) {
      throw new InputError(`Cannot read ${name} as a PNG: it does not start with a header`, {
        hint: "the file is damaged",
      });
    }
    return { format: "png", width: view.getUint32(16), height: view.getUint32(20) };
  }
  if (bytes.length >= 4 && view.getUint16(0) === 0xffd8) {
    for (let at = 2; at + 9 <= bytes.length;) {
      if (bytes[at] !== 0xff) break;
      const marker = bytes[at + 1]!;
      if (marker === 0xff) at++; // padding
      else if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) at += 2; // no length follows
      else if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
        return { format: "jpeg", height: view.getUint16(at + 5), width: view.getUint16(at + 7) };
      } else at += 2 + view.getUint16(at + 2);
    }
    throw new InputError(`Cannot read ${name} as a JPEG: no frame header in ${bytes.length} bytes`, {
      hint: "is it cut short?",
    });
  }
  const start = [...bytes.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  throw new InputError(
    `Cannot read ${name} as an image: it starts with ${start ? `bytes ${start}` : "nothing (it is empty)"}`,
    { hint: "PNG and JPEG are understood" },
  );
}

/**
 * Decodes a PNG or a JPEG. Transparency is laid over white; grey and palette images become RGB.
 *
 * @param bytes The file.
 * @param options `name` says in errors which image it is; `maxPixels` is the limit on width x height.
 * @returns The image.
 * @throws {InputError} If the bytes are not such an image or are damaged.
 * @throws {InputError} If the image is empty or over the limit; nothing is allocated for it then.
 */
export function decodeImage(bytes: Uint8Array, options: { name?: string; maxPixels?: number } = {}): Image {
  const { name = "image", maxPixels = MAX_PIXELS } = options;
  const { format, width, height } = readImageHeader(bytes, name);
  if (width === 0 || height === 0 || width * height > maxPixels) {
    throw new InputError(
      `Cannot decode ${name} as its size is ${width} x ${height}: at least 1 and at most ${maxPixels} pixels are allowed`,
      { hint: "make a smaller copy" },
    );
  }
  // What no encoder makes so small is a damaged file, or one that is made to fill the memory.
  if (width * height > bytes.length * PIXELS_PER_BYTE[format]) {
    throw new InputError(
      `Cannot decode ${name} as ${format.toUpperCase()}: its header claims ${width} x ${height} pixels and the file has ${bytes.length} ` +
        "bytes",
      { hint: "the file is damaged or cut short" },
    );
  }
  try {
    return format === "png" ? withPng((wasm) => decodePng(wasm, bytes)) : withJpeg((wasm) => decodeJpeg(wasm, bytes));
  } catch (error) {
    throw new InputError(`Cannot decode ${name} as ${format.toUpperCase()}: ${(error as Error).message}`, {
      hint: "the file is damaged or cut short",
    });
  }
}

function decodePng(wasm: PngExports, bytes: Uint8Array): Image {
  const input = wasm.walloc(bytes.length);
  new Uint8Array(wasm.memory.buffer).set(bytes, input);
  const pixels = wasm.decode(input, bytes.length);
  wasm.wfree(input);
  if (pixels <= 0) throw new Error(`decoder status ${pixels}`);
  const width = wasm.width(), height = wasm.height();
  const rgba = new Uint8Array(wasm.memory.buffer, pixels, 4 * width * height);
  const data = new Uint8Array(3 * width * height);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    const alpha = rgba[from + 3]!;
    for (let c = 0; c < 3; c++) {
      data[to + c] = alpha === 255 ? rgba[from + c]! : Math.round(255 + (rgba[from + c]! - 255) * alpha / 255);
    }
  }
  wasm.wfree(pixels);
  return { width, height, data };
}

function decodeJpeg(wasm: JpegExports, bytes: Uint8Array): Image {
  const input = wasm.walloc(bytes.length);
  new Uint8Array(wasm.memory.buffer).set(bytes, input);
  const decoded = wasm.decode(input, bytes.length, 0, 0); // takes the input over; 0 x 0: do not scale
  if (decoded < 2) throw new Error(`decoder status ${decoded}`);
  const width = wasm.decode_width(decoded), height = wasm.decode_height(decoded), format = wasm.decode_format(decoded);
  const source = wasm.decode_buffer(decoded);
  const pixels = new Uint8Array(wasm.memory.buffer, source, wasm.wlen());
  const data = new Uint8Array(3 * width * height);
  if (format === 1) data.set(pixels.subarray(0, data.length));
  else if (format === 0) { for (let i = 0; i < width * height; i++) data.fill(pixels[i]!, 3 * i, 3 * i + 3); }
  else {
    // CMYK, stored inverted as Adobe does it
    for (let i = 0; i < width * height; i++) {
      for (let c = 0; c < 3; c++) data[3 * i + c] = pixels[4 * i + c]! * pixels[4 * i + 3]! / 255;
    }
  }
  wasm.decode_free(decoded);
  return { width, height, data };
}

/**
 * Reads an image file.
 *
 * @param path A PNG or JPEG file.
 * @param options As of {@linkcode decodeImage}.
 * @returns The image.
 * @throws As {@linkcode decodeImage}, and what reading a file throws.
 */
export async function readImage(path: string, options: { maxPixels?: number } = {}): Promise<Image> {
  const { size } = await Deno.stat(path);
  if (size > MAX_BYTES) {
    throw new InputError(`Cannot read ${path} as an image: it has ${size} bytes and ${MAX_BYTES} are allowed`);
  }
  return decodeImage(await Deno.readFile(path), { name: path, ...options });
}

/**
 * Encodes as PNG, 8 bits RGB.
 *
 * @param image The image.
 * @returns The file.
 */
export function encodePng(image: Image): Uint8Array<ArrayBuffer> {
  const { width, height, data } = image;
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, 8); // bits a channel
  header.setUint8(9, 2); // RGB
  // Each row starts with the number of its filter: 1, the difference to the pixel on the left, suits smooth pictures.
  const row = width * 3;
  const filtered = new Uint8Array((row + 1) * height);
  for (let y = 0; y < height; y++) {
    const to = y * (row + 1) + 1;
    filtered[to - 1] = 1;
    for (let x = 0; x < row; x++) filtered[to + x] = data[y * row + x]! - (x < 3 ? 0 : data[y * row + x - 3]!);
  }
  const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
  const parts = [signature, pngChunk("IHDR", header), pngChunk("IDAT", deflateSync(filtered)), pngChunk("IEND")];
  const file = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    file.set(part, at);
    at += part.length;
  }
  return file;
}

/** Length, type, content and checksum. */
function pngChunk(type: string, content: ArrayBufferView = new Uint8Array()): Uint8Array {
  const chunk = new Uint8Array(12 + content.byteLength);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, content.byteLength);
  chunk.set(new TextEncoder().encode(type), 4);
  chunk.set(new Uint8Array(content.buffer, content.byteOffset, content.byteLength), 8);
  view.setUint32(8 + content.byteLength, crc32(chunk.subarray(4, 8 + content.byteLength)));
  return chunk;
}

/**
 * Encodes as baseline JPEG.
 *
 * @param image The image.
 * @param quality 1 to 100.
 * @returns The file.
 */
export function encodeJpeg(image: Image, quality = 90): Uint8Array<ArrayBuffer> {
  const { width, height, data } = image;
  return withJpeg((wasm) => {
    const input = wasm.walloc(4 * width * height);
    const rgba = new Uint8Array(wasm.memory.buffer, input, 4 * width * height).fill(255);
    for (let from = 0, to = 0; from < data.length; from += 3, to += 4) rgba.set(data.subarray(from, from + 3), to);
    const output = wasm.encode(input, width, height, quality); // takes the input over
    const length = wasm.wlen();
    const bytes = new Uint8Array(wasm.memory.buffer, output, length).slice();
    wasm.wfree(output, length);
    return bytes;
  });
}

/**
 * Writes a PNG file.
 *
 * @param path The file; its folder exists.
 * @param image The image.
 */
export async function writePng(path: string, image: Image): Promise<void> {
  await Deno.writeFile(path, encodePng(image));
}

/** The taps of one output coordinate: source coordinates from `start`, with weights that add up to one. */
interface Taps {
  start: number;
  weights: Float64Array;
}

/** Output cell j covers `[from + j * scale, from + (j + 1) * scale]` of the source. */
function taps(kind: "area" | "triangle" | "linear", from: number, scale: number, count: number): Taps[] {
  return Array.from({ length: count }, (_, j) => {
    const centre = from + (j + 0.5) * scale;
    const radius = kind === "area" ? scale / 2 : kind === "linear" ? 1 : Math.max(1, scale);
    const start = Math.ceil(centre - radius - 0.5), end = Math.floor(centre + radius + 0.5);
    const weights = new Float64Array(end - start + 1);
    let sum = 0;
    for (let i = 0; i < weights.length; i++) {
      const distance = start + i - centre;
      weights[i] = kind === "area"
        ? Math.max(0, Math.min(distance + 0.5, radius) - Math.max(distance - 0.5, -radius))
        : Math.max(0, 1 - Math.abs(distance) / radius);
      sum += weights[i]!;
    }
    return { start, weights: weights.map((weight) => weight / sum) };
  });
}

function resample(image: Image, columns: Taps[], rows: Taps[], fill: Fill): Image {
  const { width, height, data } = image;
  const outWidth = columns.length, outHeight = rows.length;
  const colour = fill === "edge" ? [0, 0, 0] : fill;
  const clamp = (i: number, n: number) => i < 0 ? 0 : i >= n ? n - 1 : i;
  // Only the rows that some output row reads are resampled along x.
  const first = clamp(rows[0]!.start, height);
  const lastTaps = rows[outHeight - 1]!;
  const last = clamp(lastTaps.start + lastTaps.weights.length - 1, height);
  const wide = new Float32Array((last - first + 1) * outWidth * 3);
  for (let y = first, to = 0; y <= last; y++) {
    for (const { start, weights } of columns) {
      for (let i = 0; i < weights.length; i++) {
        const x = start + i, weight = weights[i]!;
        const outside = fill !== "edge" && (x < 0 || x >= width);
        const from = (y * width + clamp(x, width)) * 3;
        for (let c = 0; c < 3; c++) wide[to + c]! += weight * (outside ? colour[c]! : data[from + c]!);
      }
      to += 3;
    }
  }
  const result = createImage(outWidth, outHeight);
  const line = new Float64Array(outWidth * 3);
  for (let j = 0; j < outHeight; j++) {
    const { start, weights } = rows[j]!;
    line.fill(0);
    for (let i = 0; i < weights.length; i++) {
      const y = start + i, weight = weights[i]!;
      const outside = fill !== "edge" && (y < 0 || y >= height);
      const from = (clamp(y, height) - first) * outWidth * 3;
      for (let k = 0; k < line.length; k++) line[k]! += weight * (outside ? colour[k % 3]! : wide[from + k]!);
    }
    for (let k = 0; k < line.length; k++) result.data[j * line.length + k] = Math.round(line[k]!);
  }
  return result;
}

/**
 * Resizes by exact area averages: every output pixel is the mean of what it covers.
 *
 * @param image The image.
 * @param width Columns of the result.
 * @param height Rows of the result.
 * @returns A new image.
 */
export function resizeArea(image: Image, width: number, height: number): Image {
  return resample(
    image,
    taps("area", -0.5, image.width / width, width),
    taps("area", -0.5, image.height / height, height),
    "edge",
  );
}

/**
 * Cuts a square out and resamples it: bilinear where it grows, with a triangle filter (antialiased) where it shrinks.
 *
 * @param image The image.
 * @param box The square, which may leave the image.
 * @param size_px Side of the result.
 * @param fill What stands where the square leaves the image.
 * @param antialias False for plain bilinear sampling also where it shrinks, as OpenCV's `warpPerspective` does.
 * @returns A new image of `size_px` x `size_px`; {@linkcode cropTransform} takes landmarks along.
 */
export function cropSquare(image: Image, box: Box, size_px: number, fill: Fill = "edge", antialias = true): Image {
  const scale = box.side / size_px;
  const kind = antialias ? "triangle" : "linear";
  return resample(image, taps(kind, box.x, scale, size_px), taps(kind, box.y, scale, size_px), fill);
}

/**
 * The affine map that takes points of an image to points of its crop.
 *
 * `x' = (x - box.x) size_px / side - 0.5`
 *
 * @param box The square that was cut out.
 * @param size_px Side of the crop.
 * @returns For `transformLandmarks`.
 */
export function cropTransform(box: Box, size_px: number): Affine {
  const scale = size_px / box.side;
  return [scale, 0, -box.x * scale - 0.5, 0, scale, -box.y * scale - 0.5];
}
