import assert from "node:assert/strict";
import { createImage, cropSquare, cropTransform, type Image, resizeArea } from "../../../faces/data/image.ts";
import { decodeImage, encodeJpeg, encodePng } from "../../../faces/data/image_file.ts";
import { readImageHeader } from "../../../faces/data/image_header.ts";
import { transformLandmarks } from "../../../faces/landmarks.ts";
import { withOrientation } from "./exif.ts";

function ramp(width: number, height: number): Image {
  const image = createImage(width, height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) image.data.set([4 * x, 4 * y, 2 * (x + y)], 3 * (y * width + x));
  }
  return image;
}

Deno.test("encodePng() and decodeImage() give the same image back", () => {
  const image = ramp(37, 21);
  const bytes = encodePng(image);
  assert.deepEqual(readImageHeader(bytes), { format: "png", width: 37, height: 21, orientation: 1 });
  assert.deepEqual(decodeImage(bytes), image);
});

Deno.test("encodeJpeg() and decodeImage() give nearly the same image back", () => {
  const image = ramp(40, 32);
  const bytes = encodeJpeg(image, 95);
  assert.deepEqual(readImageHeader(bytes), { format: "jpeg", width: 40, height: 32, orientation: 1 });
  const back = decodeImage(bytes);
  const error = Math.max(...image.data.map((value, i) => Math.abs(value - back.data[i]!)));
  assert.ok(error < 20, `largest error is ${error}`);
});

Deno.test("decodeImage() lays transparency over white and reads grey, palette and interlaced files", () => {
  const cases: [string, number[]][] = [
    // 1 x 1, (255, 0, 0) at alpha 128
    ["AAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP4z8DQAAAEgQGA8wvcoAAAAABJRU5ErkJggg==", [255, 127, 127]],
    // 2 x 1, one bit a pixel, palette (10, 20, 30), (40, 50, 60)
    [
      "AAAAIAAAABAQMAAADO7O3JAAAABlBMVEUKFB4oMjzVG7TpAAAACklEQVR42mNwAAAAQgBBhL+OYgAAAABJRU5ErkJggg==",
      [10, 20, 30, 40, 50, 60],
    ],
    // 2 x 1, 16-bit grey, 0x1234 and 0xabcd
    [
      "AAAAIAAAABEAAAAACB2fwVAAAADUlEQVR42mMQMll9FgADDAG/sefUTQAAAABJRU5ErkJggg==",
      [0x12, 0x12, 0x12, 0xab, 0xab, 0xab],
    ],
    // 2 x 2 grey, interlaced
    [
      "AAAAIAAAACCAAAAAEg2mJuAAAAD0lEQVR42mNgZGBiYGYBAAAfAAsqGXgTAAAAAElFTkSuQmCC",
      [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4],
    ],
  ];
  for (const [base64, pixels] of cases) {
    assert.deepEqual([...decodeImage(Uint8Array.fromBase64("iVBORw0KGgoAAAANSUhEUg" + base64)).data], pixels);
  }
});

Deno.test("decodeImage() names what is wrong with a file", () => {
  const png = encodePng(ramp(8, 8));
  const jpeg = encodeJpeg(ramp(64, 64));
  const cases: [Uint8Array, RegExp][] = [
    [new Uint8Array(), /Cannot read face\.png as an image: it starts with nothing/],
    [new TextEncoder().encode("GIF89a"), /Cannot read face\.png as a GIF: there is no size in its header/],
    [new TextEncoder().encode("some text"), /Cannot read face\.png as an image: it starts with bytes 73 6f 6d 65/],
    [png.slice(0, 50), /Cannot decode face\.png as PNG: .*damaged/],
    [jpeg.slice(0, 20), /Cannot read face\.png as a JPEG: no frame header in 20 bytes/],
  ];
  for (const [bytes, message] of cases) assert.throws(() => decodeImage(bytes, { name: "face.png" }), message);
});

Deno.test("decodeImage() refuses an image over the limit before it is decoded", () => {
  const bytes = encodePng(ramp(8, 8));
  new DataView(bytes.buffer).setUint32(16, 100_000);
  new DataView(bytes.buffer).setUint32(20, 100_000);
  assert.throws(() => decodeImage(bytes), /Cannot decode image as its size is 100000 x 100000: .* 67108864 pixels/);
});

Deno.test("resizeArea() averages what a pixel covers", () => {
  const image = createImage(4, 2);
  image.data.set([0, 100, 50, 10, 20, 100, 150, 30].flatMap((value) => [value, value, value]));
  assert.deepEqual([...resizeArea(image, 2, 1).data].filter((_, i) => i % 3 === 0), [55, 60]);
  assert.deepEqual(resizeArea(image, 4, 2), image);
});

Deno.test("cropSquare() of the whole image is the image", () => {
  const image = ramp(16, 16);
  assert.deepEqual(cropSquare(image, { x: -0.5, y: -0.5, side: 16 }, 16), image);
});

Deno.test("cropSquare() and cropTransform() agree about where a point goes", () => {
  const image = ramp(60, 60);
  const box = { x: 10.3, y: 4.1, side: 40 };
  for (const size_px of [20, 40, 64]) {
    const crop = cropSquare(image, box, size_px);
    // the colour at a point of the ramp tells where in the picture it is
    const [x, y] = transformLandmarks(Float32Array.of(30, 20), cropTransform(box, size_px));
    const at = 3 * (Math.round(y!) * size_px + Math.round(x!));
    const step = 40 / size_px;
    assert.ok(Math.abs(crop.data[at]! / 4 - 30) <= step / 2 + 0.2, `x at ${size_px} px: ${crop.data[at]! / 4}`);
    assert.ok(Math.abs(crop.data[at + 1]! / 4 - 20) <= step / 2 + 0.2, `y at ${size_px} px: ${crop.data[at + 1]! / 4}`);
  }
});

Deno.test("cropSquare() fills what lies outside", () => {
  const image = createImage(4, 4, [200, 200, 200]);
  const box = { x: -4.5, y: -0.5, side: 8 };
  assert.deepEqual([...cropSquare(image, box, 8, [1, 2, 3]).data.subarray(0, 3)], [1, 2, 3]);
  assert.deepEqual([...cropSquare(image, box, 8).data.subarray(0, 3)], [200, 200, 200]);
});

Deno.test("decodeImage() refuses a header that claims more than the file can hold, before it allocates", () => {
  const png = encodePng(createImage(64, 64)), jpeg = encodeJpeg(createImage(64, 64));
  const claim = (bytes: Uint8Array, at: number, ...sides: number[]) => {
    const copy = bytes.slice(), view = new DataView(copy.buffer);
    sides.forEach((side, i) => at === 16 ? view.setUint32(at + 4 * i, side) : view.setUint16(at + 2 * i, side));
    return copy;
  };
  const frame = jpeg.findIndex((byte, i) => byte === 0xff && jpeg[i + 1] === 0xc0) + 5;
  for (const bytes of [claim(png, 16, 8000, 8000), claim(jpeg, frame, 8000, 8000)]) {
    assert.throws(
      () => decodeImage(bytes, { name: "bomb" }),
      /Cannot decode bomb as .*: its header claims 8000 x 8000 pixels/,
    );
  }
  assert.throws(() => decodeImage(claim(png, 16, 2 ** 31, 2 ** 31)), /at most 67108864 pixels/);
  assert.throws(() => readImageHeader(claim(png, 12, 0)), /does not start with a header/);
  // The plainest images are no bombs.
  for (const encode of [encodePng, encodeJpeg]) decodeImage(encode(createImage(1500, 1000, [255, 255, 255])));
});

Deno.test("decodeImage() turns a JPEG upright, whatever the orientation in its EXIF data", () => {
  const COLOURS: Record<string, [number, number, number]> = {
    red: [230, 30, 30],
    green: [30, 200, 30],
    blue: [30, 30, 230],
    white: [240, 240, 240],
  };
  // Quarters, from the left top one: red, green; blue, white.
  const stored = createImage(48, 32);
  for (let y = 0; y < 32; y++) {
    for (let x = 0; x < 48; x++) {
      const quarter = Object.values(COLOURS)[Number(x >= 24) + 2 * Number(y >= 16)]!;
      stored.data.set(quarter, 3 * (48 * y + x));
    }
  }
  const jpeg = encodeJpeg(stored, 95);
  // What is seen, by the definition of the tag: the corners left top, right top, left bottom, right bottom.
  const seen = [
    "red green blue white",
    "green red white blue",
    "white blue green red",
    "blue white red green",
    "red blue green white",
    "blue red white green",
    "white green blue red",
    "green white red blue",
  ];
  for (const [k, corners] of seen.entries()) {
    for (const little of [true, false]) {
      const bytes = withOrientation(jpeg, k + 1, little);
      const size = k < 4 ? { width: 48, height: 32 } : { width: 32, height: 48 };
      assert.deepEqual(readImageHeader(bytes), { format: "jpeg", ...size, orientation: k + 1 });
      const { width, height, data } = decodeImage(bytes);
      assert.deepEqual({ width, height }, size);
      const nameOf = (x: number, y: number) => {
        const pixel = data.subarray(3 * (y * width + x), 3 * (y * width + x) + 3);
        const distance = (name: string) => COLOURS[name]!.reduce((sum, c, i) => sum + Math.abs(c - pixel[i]!), 0);
        const nearest = Object.keys(COLOURS).sort((a, b) => distance(a) - distance(b))[0]!;
        assert.ok(distance(nearest) < 30, `${pixel}`);
        return nearest;
      };
      const [right, bottom] = [width - 4, height - 4];
      assert.equal([nameOf(3, 3), nameOf(right, 3), nameOf(3, bottom), nameOf(right, bottom)].join(" "), corners);
    }
  }
});

Deno.test("decodeImage() takes a JPEG whose EXIF data are damaged as upright", () => {
  const jpeg = encodeJpeg(ramp(24, 16));
  const good = withOrientation(jpeg, 6);
  assert.equal(readImageHeader(withOrientation(jpeg, 9)).orientation, 1);
  assert.equal(readImageHeader(withOrientation(jpeg, 0)).orientation, 1);
  // The segment starts at 2, its content at 6; each byte of it is set to 255, which no part of it may be.
  const length = good[4]! * 256 + good[5]! - 2;
  for (let at = 6; at < 6 + length; at++) {
    const bytes = good.slice();
    bytes[at] = 255;
    const { orientation, width } = readImageHeader(bytes);
    assert.ok(orientation === 1 || orientation === 6, `byte ${at}`);
    assert.equal(decodeImage(bytes).width, width);
  }
  // A segment without its end.
  for (let cut = 0; cut < length; cut++) {
    const bytes = Uint8Array.from([...good.subarray(0, 6 + cut), ...jpeg.subarray(2)]);
    bytes.set([(cut + 2) >> 8, (cut + 2) & 255], 4);
    assert.equal(decodeImage(bytes).width, readImageHeader(bytes).width);
  }
});
