/**
 * Decoder of BMP files: 1, 4, 8, 16, 24 and 32 bits a pixel, without compression.
 *
 * Source: Microsoft, Bitmap Storage, BITMAPINFOHEADER and BITMAPV4HEADER.
 *
 * @module
 */
import type { Image } from "./image.ts";

const RGB = 0, BITFIELDS = 3;

/**
 * Decodes a BMP.
 *
 * @param bytes The file, from its "BM" on.
 * @param size Columns and rows.
 * @returns The image; transparency is not looked at, which BMP files rarely have on purpose.
 * @throws {Error} If it is compressed, or ends before its last pixel.
 */
export function decodeBmp(bytes: Uint8Array, { width, height }: { width: number; height: number }): Image {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = view.getUint32(10, true), header = view.getUint32(14, true), old = header === 12;
  const bits = view.getUint16(old ? 24 : 28, true), compression = old ? RGB : view.getUint32(30, true);
  const topDown = !old && view.getInt32(22, true) < 0;
  if (compression !== RGB && compression !== BITFIELDS) throw new Error(`compression ${compression} is not read`);
  const stride = Math.ceil(width * bits / 32) * 4;
  if (start + stride * height > bytes.length) throw new Error("it ends before its last pixel");
  const data = new Uint8Array(3 * width * height);
  /** Writes the colour of pixel x of a row to `data[to]` and the two behind. */
  function pixelReader(): (row: number, x: number, to: number) => void {
    if (bits === 1 || bits === 4 || bits === 8) {
      const palette = 14 + header, entry = old ? 3 : 4, mask = (1 << bits) - 1;
      return (row, x, to) => {
        const byte = view.getUint8(row + (x * bits >> 3));
        const index = byte >> (8 - bits - x * bits % 8) & mask;
        const at = palette + entry * index;
        for (let c = 0; c < 3; c++) data[to + c] = view.getUint8(at + 2 - c);
      };
    }
    if (bits === 24 || bits === 32 && compression === RGB) {
      return (row, x, to) => {
        for (let c = 0; c < 3; c++) data[to + c] = view.getUint8(row + x * bits / 8 + 2 - c);
      };
    }
    if (bits !== 16 && bits !== 32) throw new Error(`${bits} bits a pixel are not read`);
    const masks = compression === BITFIELDS ? [54, 58, 62].map((at) => view.getUint32(at, true)) : [31744, 992, 31];
    const channels = masks.map((mask) => {
      if (mask === 0) throw new Error("a colour has no bits");
      const shift = 31 - Math.clz32(mask & -mask);
      return { mask, shift, most: mask >>> shift };
    });
    return (row, x, to) => {
      const value = bits === 16 ? view.getUint16(row + 2 * x, true) : view.getUint32(row + 4 * x, true);
      channels.forEach(({ mask, shift, most }, c) => {
        data[to + c] = Math.round(((value & mask) >>> shift) / most * 255);
      });
    };
  }
  const read = pixelReader();
  for (let y = 0, to = 0; y < height; y++) {
    const row = start + stride * (topDown ? y : height - 1 - y);
    for (let x = 0; x < width; x++, to += 3) read(row, x, to);
  }
  return { width, height, data };
}
