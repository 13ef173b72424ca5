/** Pictures as cameras, scanners and layout programs write them: orientation, CMYK, 16 bits, alpha, other formats. */
import assert from "node:assert/strict";
import { createImage, type Image } from "../../faces/data/image.ts";
import { decodeImage, encodeJpeg, encodePng } from "../../faces/data/image_file.ts";
import { readImageHeader } from "../../faces/data/image_header.ts";
import { withOrientation } from "../faces/data/exif.ts";
import { drawFace } from "./_lib.ts";
import {
  bytesOf,
  encodeBmp,
  encodeGif,
  encodeJpeg4,
  encodePngOf,
  encodeTiff,
  encodeWebp,
  exifOf,
  integer,
  pngProfile,
  profileOf,
} from "./_pictures.ts";

const face = drawFace({ width: 40, height: 32 }).image;

const pixel = ({ width, data }: Image, x: number, y: number) => [...data.subarray(3 * (y * width + x)).subarray(0, 3)];

const rowsOf = ({ width, height, data }: Image) =>
  Array.from({ length: height }, (_, y) => [...data.subarray(3 * y * width, 3 * (y + 1) * width)]);

Deno.test("WebP, BMP and TIFF give the pixels that were stored, GIF their shades", () => {
  for (const encode of [encodeWebp, encodeBmp, encodeTiff]) assert.deepEqual(decodeImage(encode(face)), face);
  const grey = createImage(40, 32);
  face.data.forEach((_, i) => grey.data[i] = face.data[3 * Math.floor(i / 3)]! & 254);
  assert.deepEqual(decodeImage(encodeGif(face)), grey);
});

Deno.test("a lossy WebP is decoded", () => {
  // 16 x 16 of one colour, (200, 40, 90), by libwebp 1.5.
  const file = Uint8Array.fromBase64(LOSSY_WEBP);
  assert.deepEqual(readImageHeader(file), { format: "webp", width: 16, height: 16, orientation: 1 });
  const [r, g, b] = pixel(decodeImage(file), 8, 8);
  assert.ok(Math.abs(r! - 200) < 4 && Math.abs(g! - 40) < 4 && Math.abs(b! - 90) < 4, `${[r, g, b]}`);
});

const LOSSY_WEBP = "UklGRjYAAABXRUJQVlA4ICoAAABwAQCdASoQABAAAIAIJaACdAF1AAD++nkuIP/+uif//Wjn//rRz/1xAAA=";

Deno.test("an image is turned upright by its EXIF data, whatever its format", () => {
  const stored = drawFace({ width: 32, height: 40 }).image;
  const files = {
    "PNG, eXIf": encodePngOf(rowsOf(stored), stored.width, 8, 2, { eXIf: exifOf(6) }),
    "WebP, EXIF": encodeWebp(stored, { EXIF: exifOf(6) }),
    "WebP, EXIF with its name": encodeWebp(stored, { EXIF: bytesOf("Exif\0\0", exifOf(6)) }),
    "TIFF, tag 274": encodeTiff(stored, { 274: 6 }),
  };
  const expected = upright6(stored);
  for (const [name, file] of Object.entries(files)) {
    const { width, height, orientation } = readImageHeader(file, name);
    assert.deepEqual([width, height, orientation], [face.width, face.height, 6], name);
    assert.deepEqual(decodeImage(file), expected, name);
  }
  const jpeg = decodeImage(withOrientation(encodeJpeg(stored, 100), 6));
  assert.ok(jpeg.data.every((value, i) => Math.abs(value - expected.data[i]!) < 40) && jpeg.width === face.width);
});

/** By the definition of orientation 6: the stored first row is on the right, the stored first column on top. */
function upright6(stored: Image): Image {
  const image = createImage(stored.height, stored.width);
  for (let row = 0; row < stored.height; row++) {
    for (let column = 0; column < stored.width; column++) {
      image.data.set(pixel(stored, column, row), 3 * (column * image.width + image.width - 1 - row));
    }
  }
  return image;
}

Deno.test("CMYK and YCCK JPEG have their colours, with Adobe's marker and without", () => {
  // Shares of ink, of 255, and the colour: (255 - ink) * (255 - black) / 255.
  const inks = [[0, 200, 255, 0], [255, 0, 100, 51], [0, 0, 0, 204], [30, 60, 90, 0]];
  const expected = inks.map(([c, m, y, k]) => [c!, m!, y!].map((ink) => Math.round((255 - ink) * (255 - k!) / 255)));
  const inverted = inks.map((ink) => ink.map((share) => 255 - share));
  // Red, green and blue of YCCK are inks; black is inverted.
  const ycck = inks.map(([r = 0, g = 0, b = 0, k = 0]) =>
    [
      0.299 * r + 0.587 * g + 0.114 * b,
      128 - 0.168736 * r - 0.331264 * g + 0.5 * b,
      128 + 0.5 * r - 0.418688 * g - 0.081312 * b,
      255 - k,
    ].map((value) => Math.min(255, Math.round(value)))
  );
  const files = {
    "CMYK of Adobe, inverted": encodeJpeg4([inverted], 0),
    "YCCK of Adobe": encodeJpeg4([ycck], 2),
    "CMYK without Adobe's marker": encodeJpeg4([inks]),
  };
  for (const [name, file] of Object.entries(files)) {
    const image = decodeImage(file);
    for (const [k, colour] of expected.entries()) {
      const found = pixel(image, 8 * k + 4, 4);
      const error = Math.max(...colour.map((value, c) => Math.abs(value - found[c]!)));
      assert.ok(error <= 4, `${name}, block ${k}: ${found} instead of ${colour}`);
    }
  }
});

Deno.test("16 bits a channel become 8, transparency is laid over white", () => {
  const deep = encodePngOf([[0, 257 * 100, 65535, 300, 257 * 7, 128]], 2, 16, 2);
  assert.deepEqual([...decodeImage(deep).data], [0, 100, 255, 1, 7, 0]);
  assert.deepEqual([...decodeImage(encodePngOf([[100, 0, 100, 255]], 2, 8, 4)).data], [255, 255, 255, 100, 100, 100]);
  assert.deepEqual([...decodeImage(encodePngOf([[0, 0, 0, 0x8000]], 1, 16, 6)).data], [127, 127, 127]);
});

Deno.test("a colour profile other than sRGB is named in the header, of PNG, JPEG and WebP", () => {
  const files = (name: string) => {
    const profile = profileOf(name);
    const jpeg = encodeJpeg(face), app2 = bytesOf("ICC_PROFILE\0", 1, 1, profile);
    return [
      encodePngOf(rowsOf(face), face.width, 8, 2, { iCCP: pngProfile(profile) }),
      bytesOf(jpeg.subarray(0, 2), [0xff, 0xe2], integer(app2.length + 2, 2, false), app2, jpeg.subarray(2)),
      encodeWebp(face, { ICCP: profile }),
    ];
  };
  for (const file of files("Adobe RGB (1998)")) assert.equal(readImageHeader(file).profile, "Adobe RGB (1998)");
  for (const name of ["sRGB IEC61966-2.1", "c2"]) {
    for (const file of files(name)) assert.equal(readImageHeader(file).profile, undefined);
  }
  const damaged = encodeWebp(face, { ICCP: [1, 2, 3] });
  assert.equal(readImageHeader(damaged).profile, "a colour profile that cannot be read");
});

Deno.test("animations and formats that are not read are named", () => {
  const cases: [ArrayLike<number> | string, RegExp][] = [
    [encodeGif(face, 2), /Cannot read a\.png as an image: this GIF is an animation, hint: make an image of one frame/],
    [
      bytesOf([0, 0, 0, 32], "ftypavif", new Uint8Array(20)),
      /it is AVIF, which is not read, hint: PNG, JPEG, WebP, GIF/,
    ],
    [bytesOf([0, 0, 0, 32], "ftypheic", new Uint8Array(20)), /it is HEIC, which is not read/],
    [[0xff, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], /it is JPEG XL, which is not read/],
    ["8BPS\0\x01", /it is a Photoshop file, which is not read/],
    ["P6\n1 1\n255\nabc", /it is a PNM image, which is not read/],
    ["version https://git-lfs.github.com/spec/v1\noid", /it is a Git LFS pointer to an image that was not downloaded/],
    ["<!DOCTYPE html><html>", /it is a web page or another XML file/],
    ["nothing of an image", /it starts with bytes 6e 6f 74 68, hint: PNG, JPEG, WebP, GIF, BMP and TIFF are read/],
    [encodeTiff(face, { 259: 7 }), /Cannot decode a\.png as TIFF: .*Compression.* make a copy as PNG/],
    [encodeWebp(face).slice(0, 200), /Cannot decode a\.png as WebP: .*damaged or cut short/],
    [encodeBmp(face).slice(0, 200), /Cannot decode a\.png as BMP: its header claims|ends before its last pixel/],
  ];
  for (const [content, message] of cases) {
    assert.throws(() => decodeImage(bytesOf(content), { name: "a.png" }), { name: "InputError", message });
  }
});

Deno.test("a damaged image of any format gives an InputError, in less than a second", () => {
  const files = [
    encodePng(face),
    encodeJpeg(face),
    encodeWebp(face, { EXIF: exifOf(6) }),
    encodeGif(face),
    encodeBmp(face),
    encodeTiff(face),
  ];
  let state = 1;
  const random = (below: number) => (state = state * 1103515245 + 12345 >>> 0) % below;
  for (const file of files) {
    for (let k = 0; k < 150; k++) {
      const copy = file.slice(0, k % 3 ? file.length : random(file.length));
      for (let n = 0; n < 1 + k % 4; n++) copy[random(k % 2 ? copy.length : Math.min(copy.length, 150))] = random(256);
      try {
        decodeImage(copy, { maxPixels: 1 << 20 });
      } catch (error) {
        assert.equal((error as Error).name, "InputError", String(error));
      }
    }
  }
});
