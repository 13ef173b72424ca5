/**
 * Decoder of TIFF files: grey, RGB and palette images, uncompressed or compressed by LZW or deflate.
 *
 * @module
 */
import { decode } from "tiff";
import type { Image } from "./image.ts";

const ORIENTATION = 274, PLANES = 284, EXIF = 34665, GPS = 34853;
const SHORT = 3;
/** Bytes of a value by its type, from BYTE to DOUBLE. */
const TYPE_BYTES = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8];

/**
 * Decodes the first image of a TIFF, as it is stored, without its orientation.
 *
 * @param bytes The file.
 * @returns The image as RGBA.
 * @throws {Error} If it is damaged, or of a kind that is not read.
 */
export function decodeTiff(bytes: Uint8Array): Image {
  const [page] = decode(imageAlone(bytes), { pages: [0] });
  if (!page) throw new Error("there is no image in it");
  const { width, height, data: samples, samplesPerPixel: stride, bitsPerSample: bits, palette } = page;
  if (!(width > 0 && height > 0 && stride > 0)) throw new Error("it has no size");
  if (!(samples instanceof Uint8Array || samples instanceof Uint16Array)) {
    throw new Error(`samples of ${bits} bits are not read`);
  }
  const colours = palette || stride < 3 ? 1 : 3, most = 2 ** bits - 1;
  if (samples.length < width * height * stride) throw new Error("it ends before its last pixel");
  const data = new Uint8Array(4 * width * height);
  for (let i = 0; i < width * height; i++) {
    const at = i * stride, entry = palette?.[samples[at]!];
    for (let c = 0; c < 3; c++) {
      data[4 * i + c] = entry ? entry[c]! >> 8 : Math.round(samples[at + (colours === 3 ? c : 0)]! / most * 255);
    }
    data[4 * i + 3] = page.alpha ? Math.round(samples[at + colours]! / most * 255) : 255;
  }
  return { width, height, data };
}

/**
 * A copy with the tags of the first image only: those that lead elsewhere, and those that claim more than the file holds,
 * would let a damaged file take any time. The orientation is applied by the caller.
 */
function imageAlone(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes), view = new DataView(copy.buffer);
  const little = view.getUint16(0) === 0x4949;
  const directory = view.getUint32(4, little), entries = view.getUint16(directory, little);
  for (let k = 0, at = directory + 2; k < entries; k++, at += 12) {
    const tag = view.getUint16(at, little), count = view.getUint32(at + 4, little);
    const size = count * (TYPE_BYTES[view.getUint16(at + 2, little)] ?? 0);
    if (tag === ORIENTATION) view.setUint16(at + 8, 1, little);
    if (tag === PLANES && view.getUint16(at + 8, little) === 2) throw new Error("colours in planes are not read");
    if (tag === EXIF || tag === GPS || size > bytes.length) view.setUint16(at + 2, 0, little); // a type that is skipped
    else if (tag === ORIENTATION) view.setUint16(at + 2, SHORT, little);
  }
  return copy;
}
