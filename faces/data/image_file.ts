/**
 * PNG and JPEG files.
 *
 * The codecs are imagescript's WebAssembly modules: no native addon, and no permission beyond those of the files that
 * are read.
 *
 * @module
 */
import { crc32, deflateSync } from "node:zlib";
import { fileSize, readBytes, writeFile } from "../../formats/files.ts";
import { InputError } from "../../formats/input_error.ts";
import { jpeg, png } from "./_codecs.js";
import type { Image } from "./image.ts";

/** Header of an image file. */
export interface ImageHeader {
  /** The format, by the first bytes and not by the file's name. */
  format: "png" | "jpeg";
  /** Columns of the upright image. */
  width: number;
  /** Rows of the upright image. */
  height: number;
  /** Orientation of the stored pixels as in EXIF: 1 is upright. A PNG is always upright. */
  orientation: Orientation;
}

/**
 * Turns and mirrors of EXIF: where the stored first row and first column are seen. 1 top, left; 2 top, right; 3 bottom,
 * right; 4 bottom, left; 5 left, top; 6 right, top; 7 right, bottom; 8 left, bottom.
 *
 * Source: JEITA CP-3451 (EXIF 2.3), tag 274.
 */
export type Orientation = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

/** Most pixels of an image by default: 64 megapixels, 192 MiB as RGB. */
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
function codec<T extends { memory: WebAssembly.Memory }>(module: WebAssembly.Module): <R>(use: (wasm: T) => R) => R {
  const KEEP_BYTES = 32 << 20;
  let instance: T | undefined;
  return (use) => {
    const wasm = instance ??
      new WebAssembly.Instance(module, { env: { emscripten_notify_memory_growth() {} } }).exports as unknown as T;
    instance = undefined;
    const result = use(wasm);
    if (wasm.memory.buffer.byteLength <= KEEP_BYTES) instance = wasm;
    return result;
  };
}

const withJpeg = codec<JpegExports>(jpeg);
const withPng = codec<PngExports>(png);

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
    return { format: "png", width: view.getUint32(16), height: view.getUint32(20), orientation: 1 };
  }
  if (bytes.length >= 4 && view.getUint16(0) === 0xffd8) {
    let orientation: Orientation = 1;
    for (let at = 2; at + 9 <= bytes.length;) {
      if (bytes[at] !== 0xff) break;
      const marker = view.getUint8(at + 1);
      if (marker === 0xff) at++; // padding
      else if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) at += 2; // no length follows
      else if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
        const [height, width] = [view.getUint16(at + 5), view.getUint16(at + 7)];
        return {
          format: "jpeg",
          ...orientation > 4 ? { width: height, height: width } : { width, height },
          orientation,
        };
      } else {
        const end = at + 2 + view.getUint16(at + 2);
        if (marker === 0xe1) orientation = exifOrientation(bytes.subarray(at + 4, end)) ?? orientation;
        at = end;
      }
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

/** The orientation in an APP1 segment; undefined if the segment is not EXIF, is damaged or has none. */
function exifOrientation(segment: Uint8Array): Orientation | undefined {
  const TAG = 274, SHORT = 3;
  if (new TextDecoder().decode(segment.subarray(0, 6)) !== "Exif\0\0") return undefined;
  const tiff = new DataView(segment.buffer, segment.byteOffset + 6, segment.byteLength - 6);
  if (tiff.byteLength < 8) return undefined;
  const order = tiff.getUint16(0);
  if (order !== 0x4949 && order !== 0x4d4d) return undefined;
  const little = order === 0x4949;
  const directory = tiff.getUint32(4, little);
  if (directory + 2 > tiff.byteLength) return undefined;
  const entries = tiff.getUint16(directory, little);
  for (let at = directory + 2, k = 0; k < entries && at + 12 <= tiff.byteLength; k++, at += 12) {
    if (tiff.getUint16(at, little) !== TAG || tiff.getUint16(at + 2, little) !== SHORT) continue;
    const value = tiff.getUint16(at + 8, little);
    return value >= 1 && value <= 8 ? value as Orientation : undefined;
  }
  return undefined;
}

/**
 * Decodes a PNG or a JPEG. A JPEG is turned upright by the orientation in its EXIF data. Transparency is laid over white; grey and palette images become RGB.
 *
 * @param bytes The file.
 * @param options `name` names the image in errors; `maxPixels` is the limit on width x height.
 * @returns The image.
 * @throws {InputError} If the bytes are not such an image or are damaged.
 * @throws {InputError} If the image is empty or over the limit; nothing is allocated for it then.
 */
export function decodeImage(bytes: Uint8Array, options: { name?: string; maxPixels?: number } = {}): Image {
  const { name = "image", maxPixels = MAX_PIXELS } = options;
  const { format, width, height, orientation } = readImageHeader(bytes, name);
  if (width === 0 || height === 0 || width * height > maxPixels) {
    throw new InputError(
      `Cannot decode ${name} as its size is ${width} x ${height}: at least 1 and at most ${maxPixels} pixels are allowed`,
      { hint: "make a smaller copy" },
    );
  }
  // No encoder makes a file so small: it is damaged, or made to exhaust the memory.
  if (width * height > bytes.length * PIXELS_PER_BYTE[format]) {
    throw new InputError(
      `Cannot decode ${name} as ${format.toUpperCase()}: its header claims ${width} x ${height} pixels and the file has ${bytes.length} ` +
        "bytes",
      { hint: "the file is damaged or cut short" },
    );
  }
  try {
    if (format === "png") return withPng((wasm) => decodePng(wasm, bytes));
    return upright(withJpeg((wasm) => decodeJpeg(wasm, bytes)), orientation);
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
      const value = rgba[from + c]!;
      data[to + c] = alpha === 255 ? value : Math.round(255 + (value - 255) * alpha / 255);
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
  else if (format === 0) pixels.forEach((grey, i) => data.fill(grey, 3 * i, 3 * i + 3));
  else {
    // CMYK, stored inverted as Adobe does it
    for (let i = 0; i < width * height; i++) {
      for (let c = 0; c < 3; c++) data[3 * i + c] = pixels[4 * i + c]! * pixels[4 * i + 3]! / 255;
    }
  }
  wasm.decode_free(decoded);
  return { width, height, data };
}

/** The image as it is meant to be seen. */
function upright(image: Image, orientation: Orientation): Image {
  if (orientation === 1) return image;
  const { width, height, data } = image;
  // Orientations over 4 swap the axes.
  const swapped = orientation > 4;
  const mirroredX = [2, 3, 7, 8].includes(orientation), mirroredY = [3, 4, 6, 7].includes(orientation);
  const [columns, rows] = swapped ? [height, width] : [width, height];
  const result = new Uint8Array(data.length);
  for (let y = 0, to = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++, to += 3) {
      const [u, v] = swapped ? [y, x] : [x, y];
      const fromX = mirroredX ? width - 1 - u : u, fromY = mirroredY ? height - 1 - v : v;
      const from = 3 * (fromY * width + fromX);
      for (let c = 0; c < 3; c++) result[to + c] = data[from + c]!;
    }
  }
  return { width: columns, height: rows, data: result };
}

/**
 * Reads an image file.
 *
 * @param path A PNG or JPEG file.
 * @param options See {@linkcode decodeImage}.
 * @returns The image.
 * @throws {InputError} See {@linkcode decodeImage}.
 */
export async function readImage(path: string, options: { maxPixels?: number } = {}): Promise<Image> {
  const size = await fileSize(path);
  if (size > MAX_BYTES) {
    throw new InputError(`Cannot read ${path} as an image: it has ${size} bytes and ${MAX_BYTES} are allowed`);
  }
  return decodeImage(await readBytes(path), { name: path, ...options });
}

/**
 * Reads format and size of an image file.
 *
 * @param path A PNG or JPEG file.
 * @returns Its header. A JPEG's size may come after metadata of any length, so the whole file is read.
 * @throws As {@linkcode readImageHeader}, and what reading a file throws.
 */
export async function readImageSize(path: string): Promise<ImageHeader> {
  return readImageHeader(await readBytes(path), path);
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
  // Each row starts with the number of its filter: 1, the difference to the pixel on the left, suits smooth images.
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
  await writeFile(path, encodePng(image));
}
