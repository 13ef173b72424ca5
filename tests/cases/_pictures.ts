/**
 * Encoders of the image formats that people have and the product does not write. They are plain, not small.
 *
 * @module
 */
import { crc32, deflateSync } from "node:zlib";
import type { Image } from "../../faces/data/image.ts";

/** Joins bytes, numbers and texts of Latin-1. */
export function bytesOf(...parts: readonly (number | string | ArrayLike<number>)[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(parts.flatMap((part) => {
    if (typeof part === "number") return [part];
    return typeof part === "string" ? Array.from(part, (letter) => letter.charCodeAt(0)) : Array.from(part);
  }));
}

/** A whole number in `count` bytes. */
export function integer(value: number, count: 2 | 4, little = true): number[] {
  const bytes = Array.from({ length: count }, (_, k) => value >>> (8 * k) & 255);
  return little ? bytes : bytes.reverse();
}

/** A chunk of a RIFF file. */
function riffChunk(type: string, content: ArrayLike<number>): Uint8Array<ArrayBuffer> {
  return bytesOf(type, integer(content.length, 4), content, content.length % 2 ? [0] : []);
}

/** Bits, the lowest of a byte first. */
class BitWriter {
  readonly #bytes: number[] = [];
  #filled = 0;

  write(value: number, count: number): void {
    for (let k = 0; k < count; k++, this.#filled++) {
      if (this.#filled % 8 === 0) this.#bytes.push(0);
      this.#bytes[this.#bytes.length - 1]! |= (value >>> k & 1) << (this.#filled % 8);
    }
  }

  get bytes(): number[] {
    return this.#bytes;
  }
}

/**
 * A lossless WebP, each value in 8 bits.
 *
 * @param chunks Further chunks, such as `EXIF` and `ICCP`, for which the file gets the extended header.
 *
 * Source: developers.google.com/speed/webp/docs/webp_lossless_bitstream_specification.
 */
export function encodeWebp(
  { width, height, data }: Image,
  chunks: Readonly<Record<string, ArrayLike<number>>> = {},
): Uint8Array<ArrayBuffer> {
  const bits = new BitWriter();
  bits.write(0x2f, 8);
  bits.write(width - 1, 14);
  bits.write(height - 1, 14);
  bits.write(0, 4 + 3); // no alpha, version 0; no transform, no colour cache, one group of codes
  for (const symbols of [280, 256, 256]) {
    bits.write(0, 1); // not a simple code
    bits.write(12 - 4, 4);
    // Lengths of the codes of lengths, for 17, 18, 0, 1 ... 5, 16, 6, 7, 8: one bit for "0" and for "8".
    for (let k = 0; k < 12; k++) bits.write(k === 2 || k === 11 ? 1 : 0, 3);
    bits.write(0, 1); // lengths of all symbols follow
    for (let symbol = 0; symbol < symbols; symbol++) bits.write(symbol < 256 ? 1 : 0, 1);
  }
  bits.write(0b101, 3); // alpha: a simple code of one symbol of 8 bits
  bits.write(255, 8);
  bits.write(0b0001, 4); // distance: one symbol of one bit, 0
  const reversed = (value: number) =>
    Array.from({ length: 8 }, (_, k) => (value >>> k & 1) << (7 - k)).reduce((a, b) => a | b);
  for (let at = 0; at < data.length; at += 3) {
    for (const c of [1, 0, 2]) bits.write(reversed(data[at + c]!), 8);
  }
  const pixels = riffChunk("VP8L", bits.bytes), more = Object.entries(chunks);
  const EXIF = 8, ICC = 32;
  const flags = (chunks["EXIF"] ? EXIF : 0) | (chunks["ICCP"] ? ICC : 0);
  const uint24 = (value: number) => integer(value, 4).slice(0, 3);
  const extended = more.length ? riffChunk("VP8X", [flags, 0, 0, 0, ...uint24(width - 1), ...uint24(height - 1)]) : [];
  const content = bytesOf(
    "WEBP",
    extended,
    ...more.filter(([type]) => type === "ICCP").map(([type, bytes]) => riffChunk(type, bytes)),
    pixels,
    ...more.filter(([type]) => type !== "ICCP").map(([type, bytes]) => riffChunk(type, bytes)),
  );
  return riffChunk("RIFF", content);
}

/** A GIF of 128 shades of grey. */
export function encodeGif({ width, height, data }: Image, images = 1): Uint8Array<ArrayBuffer> {
  const palette = Array.from({ length: 128 }, (_, k) => [2 * k, 2 * k, 2 * k]).flat();
  const CLEAR = 128, END = 129;
  const bits = new BitWriter();
  for (let i = 0; i < width * height; i++) {
    if (i % 100 === 0) bits.write(CLEAR, 8); // before codes of 9 bits begin
    bits.write(data[3 * i]! >> 1, 8);
  }
  bits.write(END, 8);
  const blocks: number[] = [];
  for (let at = 0; at < bits.bytes.length; at += 255) {
    const block = bits.bytes.slice(at, at + 255);
    blocks.push(block.length, ...block);
  }
  const size = [...integer(width, 2), ...integer(height, 2)];
  const one = bytesOf(",", [0, 0, 0, 0], size, 0, 7, blocks, 0);
  return bytesOf("GIF89a", size, [0xf6, 0, 0], palette, ...Array(images).fill(one), ";");
}

/** A BMP of 24 bits a pixel. */
export function encodeBmp({ width, height, data }: Image): Uint8Array<ArrayBuffer> {
  const stride = Math.ceil(width * 3 / 4) * 4;
  const pixels = new Uint8Array(stride * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++) {
        pixels[(height - 1 - y) * stride + 3 * x + c] = data[3 * (y * width + x) + 2 - c]!;
      }
    }
  }
  const info = [40, width, height].flatMap((value) => integer(value, 4));
  return bytesOf(
    "BM",
    integer(54 + pixels.length, 4),
    integer(0, 4),
    integer(54, 4),
    info,
    integer(1, 2),
    integer(24, 2),
    new Uint8Array(24),
    pixels,
  );
}

/** A TIFF of 8 bits a channel in one strip; `tags` are added to the directory, or replace one. */
export function encodeTiff(
  { width, height, data }: Image,
  tags: Readonly<Record<number, number>> = {},
): Uint8Array<ArrayBuffer> {
  const SHORT = 3, LONG = 4, BITS = 258;
  const values: Record<number, number> = {
    256: width,
    257: height,
    [BITS]: 0, // three values, which lie behind the directory
    259: 1,
    262: 2,
    273: 0,
    277: 3,
    278: height,
    279: data.length,
    ...tags,
  };
  const entries = Object.entries(values);
  const behind = 8 + 2 + 12 * entries.length + 4;
  values[BITS] = behind;
  values[273] = behind + 6;
  const directory = Object.entries(values).map(([tag, value]) =>
    Number(tag) === BITS
      ? [integer(BITS, 2), integer(SHORT, 2), integer(3, 4), integer(value, 4)].flat()
      : [integer(Number(tag), 2), integer(LONG, 2), integer(1, 4), integer(value, 4)].flat()
  );
  return bytesOf(
    "II",
    integer(42, 2),
    integer(8, 4),
    integer(entries.length, 2),
    directory.flat(),
    integer(0, 4),
    [8, 0, 8, 0, 8, 0],
    data,
  );
}

/**
 * A JPEG of four colours, a block of 8 x 8 pixels for each.
 *
 * @param blocks Rows of blocks, four stored values each.
 * @param transform Of Adobe's marker: 0 for CMYK, 2 for YCCK; undefined for a file without it.
 *
 * Source: ITU-T T.81, annexes B and F; Adobe technical note 5116, section 18.
 */
export function encodeJpeg4(
  blocks: readonly (readonly (readonly number[])[])[],
  transform?: 0 | 2,
): Uint8Array<ArrayBuffer> {
  const width = 8 * blocks[0]!.length, height = 8 * blocks.length;
  const segment = (marker: number, content: ArrayLike<number>) =>
    bytesOf(0xff, marker, integer(content.length + 2, 2, false), content);
  const each = [1, 2, 3, 4];
  let bits = "";
  const before = [128, 128, 128, 128];
  for (const block of blocks.flat()) {
    for (let c = 0; c < 4; c++) {
      const difference = block[c]! - before[c]!;
      before[c] = block[c]!;
      const length = Math.abs(difference).toString(2).length * (difference === 0 ? 0 : 1);
      bits += length.toString(2).padStart(4, "0"); // the code of the length
      if (length) {
        bits += (difference > 0 ? difference : difference + 2 ** length - 1).toString(2).padStart(length, "0");
      }
      bits += "0"; // the code of the end of the block
    }
  }
  bits = bits.padEnd(Math.ceil(bits.length / 8) * 8, "1");
  const scan = bits.match(/.{8}/g)!.flatMap((byte) => byte === "11111111" ? [255, 0] : [parseInt(byte, 2)]);
  return bytesOf(
    [0xff, 0xd8],
    transform === undefined ? [] : segment(0xee, bytesOf("Adobe", [0, 100, 0, 0, 0, 0, transform])),
    segment(0xdb, [0, ...Array(64).fill(8)]),
    segment(
      0xc0,
      bytesOf(8, integer(height, 2, false), integer(width, 2, false), 4, each.flatMap((c) => [c, 0x11, 0])),
    ),
    segment(0xc4, [0x00, 0, 0, 0, 9, ...Array(12).fill(0), 0, 1, 2, 3, 4, 5, 6, 7, 8]),
    segment(0xc4, [0x10, 1, ...Array(15).fill(0), 0]),
    segment(0xda, [4, ...each.flatMap((c) => [c, 0]), 0, 63, 0]),
    scan,
    [0xff, 0xd9],
  );
}

/** A PNG from its parts: 8 or 16 bits a channel, `colour` 0 grey, 2 RGB, 4 grey and alpha, 6 RGB and alpha. */
export function encodePngOf(
  rows: readonly (readonly number[])[],
  width: number,
  bits: 8 | 16,
  colour: 0 | 2 | 4 | 6,
  chunks: Readonly<Record<string, ArrayLike<number>>> = {},
): Uint8Array<ArrayBuffer> {
  const chunk = (type: string, content: ArrayLike<number>) => {
    const named = bytesOf(type, content);
    return bytesOf(integer(content.length, 4, false), named, integer(crc32(named), 4, false));
  };
  const raw = rows.flatMap((row) => [0, ...bits === 8 ? row : row.flatMap((value) => integer(value, 2, false))]);
  const size = [...integer(width, 4, false), ...integer(rows.length, 4, false)];
  return bytesOf(
    "\x89PNG\r\n\x1a\n",
    chunk("IHDR", [...size, bits, colour, 0, 0, 0]),
    ...Object.entries(chunks).map(([type, content]) => chunk(type, content)),
    chunk("IDAT", deflateSync(Uint8Array.from(raw))),
    chunk("IEND", []),
  );
}

/** EXIF data with an orientation, without the "Exif" in front. */
export function exifOf(orientation: number): Uint8Array<ArrayBuffer> {
  const entry = [integer(274, 2), integer(3, 2), integer(1, 4), integer(orientation, 4)].flat();
  return bytesOf("II", integer(42, 2), integer(8, 4), integer(1, 2), entry, integer(0, 4));
}

/** An ICC profile with nothing but its name. */
export function profileOf(name: string): Uint8Array<ArrayBuffer> {
  const text = bytesOf("desc", integer(0, 4), integer(name.length + 1, 4, false), name, 0);
  return bytesOf(
    new Uint8Array(128),
    integer(1, 4, false),
    "desc",
    integer(144, 4, false),
    integer(text.length, 4, false),
    text,
  );
}

/** The `iCCP` chunk of a PNG. */
export function pngProfile(profile: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytesOf("icc", [0, 0], deflateSync(profile));
}
