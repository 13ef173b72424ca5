/**
 * Headers of image files: format, size, orientation and colour profile, without decoding.
 *
 * The format is found by the first bytes and not by the file's name.
 *
 * @module
 */
import { inflateSync } from "node:zlib";
import { InputError } from "../../formats/input_error.ts";

/** Image formats that are read, with the names that messages give them. */
export const IMAGE_FORMATS = {
  png: "PNG",
  jpeg: "JPEG",
  webp: "WebP",
  gif: "GIF",
  bmp: "BMP",
  tiff: "TIFF",
} as const;

/** An image format that is read. */
export type ImageFormatName = keyof typeof IMAGE_FORMATS;

/** The formats that are read, for messages: "PNG, JPEG, WebP, GIF, BMP and TIFF". */
export const READABLE = Object.values(IMAGE_FORMATS).join(", ").replace(/, (?=[^,]*$)/, " and ");

/** Header of an image file. */
export interface ImageHeader {
  /** The format. */
  readonly format: ImageFormatName;
  /** Columns of the upright image. */
  readonly width: number;
  /** Rows of the upright image. */
  readonly height: number;
  /** Orientation of the stored pixels as in EXIF: 1 is upright. */
  readonly orientation: Orientation;
  /** Name of the colour profile where it is another than sRGB; such colours are not converted. */
  readonly profile?: string;
  /** Meaning of the values of a JPEG of four colours: shares of ink, or inverted, as in files that Adobe's marker is in. */
  readonly cmyk?: "ink" | "inverted";
}

/**
 * Turns and mirrors of EXIF: where the stored first row and first column are seen. 1 top, left; 2 top, right; 3 bottom,
 * right; 4 bottom, left; 5 left, top; 6 right, top; 7 right, bottom; 8 left, bottom.
 *
 * Source: JEITA CP-3451 (EXIF 2.3), tag 274.
 */
export type Orientation = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

/** First bytes of formats that are not read, as Latin-1. */
const UNREAD: readonly (readonly [name: string, start: RegExp])[] = [
  ["AVIF", /^.{4}ftypavi[fs]/s],
  ["HEIC", /^.{4}ftyp(hei|hev|mif1|msf1)/s],
  ["a video", /^.{4}ftyp|^RIFF.{4}AVI /s],
  ["JPEG XL", /^\xff\n|^\0{3}.JXL /s],
  ["JPEG 2000", /^\0{3}.jP {2}|^\xffO\xffQ/s],
  ["a Photoshop file", /^8BPS/],
  ["Radiance HDR", /^#\?RADIANCE/],
  ["QOI", /^qoif/],
  ["a PNM image", /^P[1-7]\s/],
  ["BigTIFF", /^II\x2b\0|^MM\0\x2b/],
  ["a PDF file", /^%PDF/],
  ["a Git LFS pointer to an image that was not downloaded", /^version https:\/\/git-lfs/],
  ["a web page or another XML file", /^(\xef\xbb\xbf)?\s*<(!doctype|html|\?xml|svg)/i],
];

/**
 * Reads format, size, orientation and colour profile from the header, decoding nothing.
 *
 * @param bytes An image file.
 * @param name Says in errors which image it is.
 * @returns The header.
 * @throws {InputError} If the bytes are of no format that is read, or end within the header.
 */
export function readImageHeader(bytes: Uint8Array, name = "image"): ImageHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = latin1(bytes.subarray(0, 64));
  const found = start.startsWith("\x89PNG\r\n\x1a\n") && bytes.length >= 24
    ? pngHeader(bytes, view, name)
    : start.startsWith("\xff\xd8") && bytes.length >= 4
    ? jpegHeader(bytes, view, name)
    : /^RIFF.{4}WEBP/s.test(start)
    ? webpHeader(bytes, view, name)
    : /^GIF8[79]a/.test(start)
    ? gifHeader(view, name)
    : start.startsWith("BM") && bytes.length >= 26
    ? bmpHeader(view)
    : /^(II\x2a\0|MM\0\x2a)/.test(start)
    ? tiffHeader(view, name)
    : undefined;
  if (found) return found;
  const unread = UNREAD.find(([, pattern]) => pattern.test(start));
  if (unread) {
    throw new InputError(`Cannot read ${name} as an image: it is ${unread[0]}, which is not read`, {
      code: "format",
      hint: `${READABLE} are read: make a copy in one of these`,
    });
  }
  const first = [...bytes.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  throw new InputError(
    `Cannot read ${name} as an image: it starts with ${first ? `bytes ${first}` : "nothing (it is empty)"}`,
    { code: "format", hint: `${READABLE} are read` },
  );
}

/** The chunks of a PNG: length, type, content, checksum. */
function pngHeader(bytes: Uint8Array, view: DataView, name: string): ImageHeader {
  if (latin1(bytes.subarray(12, 16)) !== "IHDR" || view.getUint32(8) !== 13) {
    throw new InputError(`Cannot read ${name} as a PNG: it does not start with a header`, {
      code: "format",
      hint: "the file is damaged",
    });
  }
  let orientation: Orientation | undefined, profile: string | undefined;
  for (let at = 8; at + 12 <= bytes.length;) {
    const end = at + 8 + view.getUint32(at), type = latin1(bytes.subarray(at + 4, at + 8));
    const content = bytes.subarray(at + 8, end);
    if (type === "eXIf") orientation ??= exifOrientation(content);
    if (type === "iCCP") profile = oddProfile(() => inflated(content.subarray(content.indexOf(0) + 2)));
    at = end + 4;
  }
  return headerOf("png", view.getUint32(16), view.getUint32(20), orientation, profile);
}

/** The segments of a JPEG up to the one with its size. */
function jpegHeader(bytes: Uint8Array, view: DataView, name: string): ImageHeader {
  let orientation: Orientation | undefined, profile: string | undefined, adobe = false;
  for (let at = 2; at + 9 <= bytes.length;) {
    if (bytes[at] !== 0xff) break;
    const marker = view.getUint8(at + 1);
    if (marker === 0xff) at++; // padding
    else if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) at += 2; // no length follows
    else if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      const header = headerOf("jpeg", view.getUint16(at + 7), view.getUint16(at + 5), orientation, profile);
      return bytes[at + 9] === 4 ? { ...header, cmyk: adobe ? "inverted" : "ink" } : header;
    } else {
      const end = at + 2 + view.getUint16(at + 2), content = bytes.subarray(at + 4, end);
      const is = (label: string) => latin1(content.subarray(0, label.length)) === label;
      if (marker === 0xe1 && is("Exif\0\0")) orientation ??= exifOrientation(content);
      // A profile may go over several segments; its name is in the first.
      if (marker === 0xe2 && is("ICC_PROFILE\0\x01")) profile = oddProfile(() => content.subarray(14));
      if (marker === 0xee && is("Adobe")) adobe = true;
      at = end;
    }
  }
  throw new InputError(`Cannot read ${name} as a JPEG: no frame header in ${bytes.length} bytes`, {
    code: "format",
    hint: "is it cut short?",
  });
}

/**
 * The chunks of a WebP.
 *
 * Source: developers.google.com/speed/webp/docs/riff_container; RFC 6386, section 9.1 (VP8).
 */
function webpHeader(bytes: Uint8Array, view: DataView, name: string): ImageHeader {
  let size: [width: number, height: number] | undefined;
  let orientation: Orientation | undefined, profile: string | undefined;
  const uint24 = (at: number) => view.getUint16(at, true) | view.getUint8(at + 2) << 16;
  for (let at = 12; at + 18 <= bytes.length;) {
    const type = latin1(bytes.subarray(at, at + 4)), length = view.getUint32(at + 4, true);
    const content = bytes.subarray(at + 8, at + 8 + length);
    if (type === "VP8X") {
      size ??= [1 + uint24(at + 12), 1 + uint24(at + 15)];
      if (view.getUint8(at + 8) & 2) throw animation(name, "WebP");
    } else if (type === "VP8 ") {
      size ??= [view.getUint16(at + 14, true) & 0x3fff, view.getUint16(at + 16, true) & 0x3fff];
    } else if (type === "VP8L") {
      const bits = view.getUint32(at + 9, true);
      size ??= [1 + (bits & 0x3fff), 1 + (bits >> 14 & 0x3fff)];
    } else if (type === "EXIF") orientation ??= exifOrientation(content);
    else if (type === "ICCP") profile = oddProfile(() => content);
    at += 8 + length + length % 2;
  }
  if (!size) throw cutShort(name, "WebP");
  return headerOf("webp", ...size, orientation, profile);
}

/** Size of a GIF's canvas; its images are counted when it is decoded. */
function gifHeader(view: DataView, name: string): ImageHeader {
  if (view.byteLength < 13) throw cutShort(name, "GIF");
  return headerOf("gif", view.getUint16(6, true), view.getUint16(8, true));
}

/** Size in the information header of Windows, or in the shorter one of OS/2. */
function bmpHeader(view: DataView): ImageHeader {
  const [width, height] = view.getUint32(14, true) === 12
    ? [view.getUint16(18, true), view.getUint16(20, true)]
    : [view.getInt32(18, true), Math.abs(view.getInt32(22, true))];
  return headerOf("bmp", Math.max(0, width), height);
}

/**
 * The first directory of a TIFF; a file with further images, other than smaller copies, is refused.
 *
 * Source: TIFF 6.0, section 2; tags 254, 256, 257, 274, and 34675 of ICC.1:2010, appendix B.
 */
function tiffHeader(view: DataView, name: string): ImageHeader {
  const little = view.getUint16(0) === 0x4949;
  let directory = view.byteLength < 8 ? 0 : view.getUint32(4, little);
  const tags = tiffTags(view, directory, little);
  const width = tags?.get(256), height = tags?.get(257);
  if (width === undefined || height === undefined) throw cutShort(name, "TIFF");
  for (let pages = 1; pages < 100; pages++) {
    const next = directory + 2 + 12 * view.getUint16(directory, little);
    directory = next + 4 <= view.byteLength ? view.getUint32(next, little) : 0;
    const page = directory === 0 ? undefined : tiffTags(view, directory, little);
    if (!page) break;
    const SMALLER_OR_MASK = 0b101;
    if (!((page.get(254) ?? 0) & SMALLER_OR_MASK)) {
      throw new InputError(`Cannot read ${name} as an image: this TIFF has several pages`, {
        code: "format",
        hint: "make an image of each",
      });
    }
  }
  const at = tags?.get(34675), bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  const profile = at === undefined ? undefined : oddProfile(() => bytes.subarray(at));
  return headerOf("tiff", width, height, orientationOf(tags?.get(274)), profile);
}

/** Values, or places of longer values, of a directory's tags; undefined where it lies outside of the file. */
function tiffTags(view: DataView, directory: number, little: boolean): Map<number, number> | undefined {
  const SHORT = 3;
  if (directory < 8 || directory + 2 > view.byteLength) return undefined;
  const tags = new Map<number, number>();
  const entries = view.getUint16(directory, little);
  for (let at = directory + 2, k = 0; k < entries && at + 12 <= view.byteLength; k++, at += 12) {
    const short = view.getUint16(at + 2, little) === SHORT && view.getUint32(at + 4, little) === 1;
    tags.set(view.getUint16(at, little), short ? view.getUint16(at + 8, little) : view.getUint32(at + 8, little));
  }
  return tags;
}

/** The orientation in EXIF data; undefined if they are damaged or have none. */
function exifOrientation(content: Uint8Array): Orientation | undefined {
  const start = latin1(content.subarray(0, 6)) === "Exif\0\0" ? 6 : 0;
  const tiff = new DataView(content.buffer, content.byteOffset + start, content.byteLength - start);
  if (tiff.byteLength < 8) return undefined;
  const order = tiff.getUint16(0);
  if (order !== 0x4949 && order !== 0x4d4d) return undefined;
  const little = order === 0x4949;
  return orientationOf(tiffTags(tiff, tiff.getUint32(4, little), little)?.get(274));
}

function orientationOf(value: number | undefined): Orientation | undefined {
  return value !== undefined && value >= 1 && value <= 8 ? value as Orientation : undefined;
}

/**
 * Name of an ICC profile, undefined for sRGB and its namesakes.
 *
 * Source: ICC.1:2010, sections 7.2 (header), 10.13 (multiLocalizedUnicodeType); ICC.1:2001, 6.5.17 (textDescriptionType).
 */
function oddProfile(read: () => Uint8Array): string | undefined {
  const unknown = "a colour profile that cannot be read";
  try {
    const bytes = read();
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const count = view.getUint32(128);
    for (let k = 0, at = 132; k < count; k++, at += 12) {
      if (latin1(bytes.subarray(at, at + 4)) !== "desc") continue;
      const start = view.getUint32(at + 4), type = latin1(bytes.subarray(start, start + 4));
      const text = type === "mluc"
        ? utf16(bytes.subarray(start + view.getUint32(start + 24)).subarray(0, view.getUint32(start + 20)))
        : latin1(bytes.subarray(start + 12).subarray(0, view.getUint32(start + 8)));
      const name = text.replace(/\p{Cc}/gu, "").trim();
      // "c2" and "uRGB" are the short versions of sRGB that web services embed.
      if (/srgb/i.test(name) || name === "c2" || name === "uRGB") return undefined;
      return name.slice(0, 60) || unknown;
    }
    return unknown;
  } catch (error) {
    // Damaged profiles end in RangeErrors of views and in errors of zlib, which have a code.
    if (error instanceof RangeError || error instanceof Error && "code" in error) return unknown;
    throw error;
  }
}

function inflated(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(inflateSync(bytes, { maxOutputLength: 1 << 24 }));
}

/** A header; sizes are those of the upright image. */
function headerOf(
  format: ImageFormatName,
  width: number,
  height: number,
  orientation: Orientation = 1,
  profile?: string,
): ImageHeader {
  return {
    format,
    ...orientation > 4 ? { width: height, height: width } : { width, height },
    orientation,
    ...(profile !== undefined && { profile }),
  };
}

/** Error of an image that moves. */
export function animation(name: string, format: string): InputError {
  return new InputError(`Cannot read ${name} as an image: this ${format} is an animation`, {
    code: "format",
    hint: "make an image of one frame",
  });
}

function cutShort(name: string, format: string): InputError {
  return new InputError(`Cannot read ${name} as a ${format}: there is no size in its header`, {
    code: "format",
    hint: "is it cut short?",
  });
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

function utf16(bytes: Uint8Array): string {
  return new TextDecoder("utf-16be").decode(bytes);
}
