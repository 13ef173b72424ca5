/**
 * Image files: PNG, JPEG, WebP, GIF, BMP and TIFF are read, PNG and JPEG are written.
 *
 * The codecs are WebAssembly modules of imagescript and libwebp, and JavaScript: no native addon, and no permission beyond
 * those of the files that are read. Images are turned upright by their EXIF data, in whatever format.
 *
 * @module
 */
import { crc32, deflateSync } from "node:zlib";
import { fileSize, readBytes, writeFile } from "../../formats/files.ts";
import { InputError } from "../../formats/input_error.ts";
import { decodeBmp } from "./_bmp.ts";
import { decodeTiff } from "./_tiff.ts";
import { gif, instantiateWebp, jpeg, png, type WebpDecoder } from "./_codecs.js";
import type { Image } from "./image.ts";
import {
  animation,
  IMAGE_FORMATS,
  type ImageFormatName,
  type ImageHeader,
  type Orientation,
  readImageHeader,
} from "./image_header.ts";

/** Most pixels of an image by default: 64 megapixels, 192 MiB as RGB. */
export const MAX_PIXELS = 1 << 26;

/** Longest file that is read, bytes: more than an image of {@linkcode MAX_PIXELS} takes without compression. */
const MAX_BYTES = 4 * MAX_PIXELS;

/**
 * Most pixels that a byte can stand for. PNG: 8 of one bit each, which deflate shortens to 1/1032 at best. JPEG: a bit is
 * the least that a block of 8 x 8 takes, so 512; twice that, to be safe. GIF: 4096 in the 12 bits of the longest code.
 * BMP: 8. WebP and TIFF have no such limit.
 */
const PIXELS_PER_BYTE: Readonly<Record<ImageFormatName, number>> = {
  png: 8 * 1032,
  jpeg: 1024,
  gif: 4096,
  bmp: 8,
  webp: Infinity,
  tiff: Infinity,
};

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

interface GifExports {
  memory: WebAssembly.Memory;
  walloc(bytes: number): number;
  wlen(): number;
  decoder_new(pointer: number, bytes: number, limit: number): number;
  decoder_frame(decoder: number): number;
  decoder_frame_x(frame: number): number;
  decoder_frame_y(frame: number): number;
  decoder_frame_width(frame: number): number;
  decoder_frame_height(frame: number): number;
  decoder_frame_buffer(frame: number): number;
  decoder_frame_free(frame: number): void;
  decoder_free(decoder: number): void;
}

/** One instance is kept for the next image, but not after a trap, and not when a large image has grown its memory. */
function kept<T>(make: () => T, bytesOf: (instance: T) => number): <R>(use: (instance: T) => R) => R {
  const KEEP_BYTES = 32 << 20;
  let instance: T | undefined;
  return (use) => {
    const wasm = instance ?? make();
    instance = undefined;
    const result = use(wasm);
    if (bytesOf(wasm) <= KEEP_BYTES) instance = wasm;
    return result;
  };
}

function codec<T extends { memory: WebAssembly.Memory }>(module: WebAssembly.Module): <R>(use: (wasm: T) => R) => R {
  const env = { emscripten_notify_memory_growth() {}, push_to_stream() {} };
  return kept(
    () => new WebAssembly.Instance(module, { env }).exports as unknown as T,
    ({ memory }) => memory.buffer.byteLength,
  );
}

const withJpeg = codec<JpegExports>(jpeg);
const withPng = codec<PngExports>(png);
const withGif = codec<GifExports>(gif);
const withWebp = kept<WebpDecoder>(instantiateWebp, ({ HEAPU8 }) => HEAPU8.length);

/**
 * Decodes an image file. The image is turned upright by the orientation in its EXIF data. Transparency is laid over white;
 * grey, palette and CMYK images become RGB, and 16 bits a channel 8.
 *
 * @param bytes The file.
 * @param options `name` names the image in errors; `maxPixels` is the limit on width x height.
 * @returns The image.
 * @throws {InputError} If the bytes are not such an image or are damaged.
 * @throws {InputError} If the image is empty or over the limit; nothing is allocated for it then.
 */
export function decodeImage(bytes: Uint8Array, options: { name?: string; maxPixels?: number } = {}): Image {
  const { name = "image", maxPixels = MAX_PIXELS } = options;
  const { format, width, height, orientation, cmyk } = readImageHeader(bytes, name);
  if (width === 0 || height === 0 || width * height > maxPixels) {
    throw new InputError(
      `Cannot decode ${name} as its size is ${width} x ${height}: at least 1 and at most ${maxPixels} pixels are allowed`,
      { hint: "make a smaller copy" },
    );
  }
  // No encoder makes a file so small: it is damaged, or made to exhaust the memory.
  if (width * height > bytes.length * PIXELS_PER_BYTE[format]) {
    throw new InputError(
      `Cannot decode ${name} as ${
        IMAGE_FORMATS[format]
      }: its header claims ${width} x ${height} pixels and the file has ${bytes.length} ` +
        "bytes",
      { code: "format", hint: "the file is damaged or cut short" },
    );
  }
  const stored = orientation > 4 ? { width: height, height: width } : { width, height };
  const decoders: Readonly<Record<ImageFormatName, () => Image>> = {
    png: () => withPng((wasm) => decodePng(wasm, bytes)),
    jpeg: () => withJpeg((wasm) => decodeJpeg(wasm, bytes, cmyk)),
    webp: () => withWebp((wasm) => decodeWebp(wasm, bytes)),
    gif: () => withGif((wasm) => decodeGif(wasm, bytes, stored, name)),
    bmp: () => decodeBmp(bytes, stored),
    tiff: () => overWhite(decodeTiff(bytes)),
  };
  try {
    return upright(decoders[format](), orientation);
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(`Cannot decode ${name} as ${IMAGE_FORMATS[format]}: ${(error as Error).message}`, {
      code: "format",
      hint: format === "tiff" || format === "bmp"
        ? "the file is damaged, or of a kind that is not read: make a copy as PNG"
        : "the file is damaged or cut short",
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
  const image = overWhite({ width, height, data: new Uint8Array(wasm.memory.buffer, pixels, 4 * width * height) });
  wasm.wfree(pixels);
  return image;
}

/** RGB of an RGBA image that lies on white. */
function overWhite(
  { width, height, data: rgba }: Pick<Image, "width" | "height"> & { data: ArrayLike<number> },
): Image {
  const data = new Uint8Array(3 * width * height);
  for (let from = 0, to = 0; to < data.length; from += 4, to += 3) {
    const alpha = rgba[from + 3]!;
    for (let c = 0; c < 3; c++) {
      const value = rgba[from + c]!;
      data[to + c] = alpha === 255 ? value : Math.round(255 + (value - 255) * alpha / 255);
    }
  }
  return { width, height, data };
}

function decodeWebp(wasm: WebpDecoder, bytes: Uint8Array): Image {
  const decoded = wasm.decode(bytes);
  if (!decoded) throw new Error("the decoder refuses it");
  return overWhite(decoded);
}

/** The one image of a GIF, which may cover a part of the canvas. */
function decodeGif(wasm: GifExports, bytes: Uint8Array, size: Pick<Image, "width" | "height">, name: string): Image {
  const END = 1;
  const input = wasm.walloc(bytes.length);
  new Uint8Array(wasm.memory.buffer).set(bytes, input);
  const decoder = wasm.decoder_new(input, bytes.length, 0); // takes the input over; 0: no limit on memory
  if (decoder === 0) throw new Error("the decoder refuses its header");
  const frame = wasm.decoder_frame(decoder);
  if (frame <= END) throw new Error("the decoder refuses its first image");
  const width = wasm.decoder_frame_width(frame), height = wasm.decoder_frame_height(frame);
  const left = wasm.decoder_frame_x(frame), top = wasm.decoder_frame_y(frame);
  const pixels = new Uint8Array(wasm.memory.buffer, wasm.decoder_frame_buffer(frame), 4 * width * height);
  const image = overWhite({ width, height, data: pixels });
  wasm.decoder_frame_free(frame);
  if (wasm.decoder_frame(decoder) !== END) throw animation(name, "GIF");
  wasm.decoder_free(decoder);
  if (left + width > size.width || top + height > size.height) throw new Error("its image is outside of its canvas");
  if (width === size.width && height === size.height) return image;
  const data = new Uint8Array(3 * size.width * size.height).fill(255);
  for (let y = 0; y < height; y++) {
    data.set(image.data.subarray(3 * y * width, 3 * (y + 1) * width), 3 * ((top + y) * size.width + left));
  }
  return { ...size, data };
}

/** Adobe's marker as in a JPEG whose colours are stored as they are: 14 bytes with its length, the last of them 0. */
const ADOBE = [0xff, 0xee, 0, 14, 0x41, 0x64, 0x6f, 0x62, 0x65, 0, 100, 0, 0, 0, 0, 0];

/**
 * Decodes a JPEG. The decoder takes four colours for inverted ones and gives shares of ink; it refuses them without
 * Adobe's marker. Of files that store shares of ink it therefore gives, with the marker put in, shares of light.
 *
 * Source: image-rs/jpeg-decoder, decoder.rs (color_convert_line_cmyk); Adobe technical note 5116, section 18.
 */
function decodeJpeg(wasm: JpegExports, file: Uint8Array, cmyk: ImageHeader["cmyk"]): Image {
  const bytes = cmyk === "ink" ? Uint8Array.from([0xff, 0xd8, ...ADOBE, ...file.subarray(2)]) : file;
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
    const light = (at: number) => cmyk === "inverted" ? 255 - pixels[at]! : pixels[at]!;
    for (let i = 0; i < width * height; i++) {
      for (let c = 0; c < 3; c++) data[3 * i + c] = Math.round(light(4 * i + c) * light(4 * i + 3) / 255);
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
 * @param path The file.
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
 * Reads format, size, orientation and colour profile of an image file.
 *
 * @param path The file.
 * @returns Its header. A JPEG's size may come after metadata of any length, so the whole file is read.
 * @throws As {@linkcode readImageHeader}, and what reading a file throws.
 */
export async function readImageSize(path: string): Promise<ImageHeader> {
  return readImageHeader(await readBytes(path), path);
}

/**
 * Reads the header of an image file, and a sum by which copies of a file are found.
 *
 * @param path The file.
 * @returns Header, and length and CRC-32 of the file.
 * @throws As {@linkcode readImageSize}.
 */
export async function readImageSum(path: string): Promise<ImageHeader & { readonly sum: string }> {
  const bytes = await readBytes(path);
  return { ...readImageHeader(bytes, path), sum: `${bytes.length}:${crc32(bytes)}` };
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
