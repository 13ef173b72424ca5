/**
 * Drawing of landmarks: the condition image of the ControlNet, overlays on images, and contact sheets.
 *
 * @module
 */
import { type Colour, createImage, type Image, resizeArea } from "./data/image.ts";
import { pointAt } from "./geometry.ts";
import { boundingBox, type Landmarks, rescale } from "./landmarks.ts";
import { roundTo } from "./statistics.ts";
import type { LandmarkSchema } from "./schema.ts";

/** Lays a colour over a pixel. */
function blend(data: Uint8Array, at: number, colour: Colour, opacity: number): void {
  for (let c = 0; c < 3; c++) data[at + c] = Math.round(data[at + c]! + (colour[c]! - data[at + c]!) * opacity);
}

/**
 * Draws a line with round ends, anti-aliased: the opacity of a pixel falls from 1 to 0 within half a pixel of the edge.
 * A line thinner than a pixel is a fainter one.
 *
 * @param image The image to draw on.
 * @param x0 Start, pixels; what lies outside is not drawn.
 * @param y0 Start.
 * @param x1 End.
 * @param y1 End.
 * @param width_px Thickness.
 * @param colour Its colour.
 */
export function drawLine(
  image: Image,
  x0: number,
  y0: number,
  x1: number,
  y1: number,
  width_px: number,
  colour: Colour,
): void {
  const { width, height, data } = image;
  const strength = Math.min(1, width_px), radius = Math.max(1, width_px) / 2, reach = radius + 0.5;
  const dx = x1 - x0, dy = y1 - y0, length2 = dx * dx + dy * dy;
  const top = Math.max(0, Math.ceil(Math.min(y0, y1) - reach));
  const bottom = Math.min(height - 1, Math.floor(Math.max(y0, y1) + reach));
  const left = Math.max(0, Math.ceil(Math.min(x0, x1) - reach));
  const right = Math.min(width - 1, Math.floor(Math.max(x0, x1) + reach));
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) {
      const along = length2 === 0 ? 0 : Math.min(1, Math.max(0, ((x - x0) * dx + (y - y0) * dy) / length2));
      const distance = Math.hypot(x - x0 - along * dx, y - y0 - along * dy);
      const cover = Math.min(1, reach - distance);
      if (cover > 0) blend(data, (y * width + x) * 3, colour, cover * strength);
    }
  }
}

function drawFace(
  image: Image,
  landmarks: Landmarks,
  { contours, dots }: LandmarkSchema,
  line_px: number,
  point_px: number,
): void {
  const at = (point: number) => pointAt(landmarks, point);
  for (const { points, closed, colour } of contours) {
    points.forEach((point, i) => {
      const next = points[i + 1] ?? (closed ? points[0] : undefined);
      if (next !== undefined) drawLine(image, ...at(point), ...at(next), line_px, colour);
    });
  }
  const marks = [...contours.map(({ points, point_colour }) => ({ points, colour: point_colour })), ...dots];
  for (const { points, colour } of marks) {
    for (const point of points) drawLine(image, ...at(point), ...at(point), point_px, colour);
  }
}

/**
 * Draws the landmarks as the condition image: coloured contours and their points on black.
 *
 * Lines are `size_px / 128` and points `size_px / 64` pixels wide, at least one pixel, so that the drawing looks the same
 * at every size. Every contour has a colour of its own, so that a network can distinguish them by colour alone. Left and
 * right differ too: the mirrored drawing is not the drawing of the mirrored face.
 *
 * @param landmarks `[P, 2]`, pixels of an image of `from_px`.
 * @param schema Their schema.
 * @param size_px Side of the drawing.
 * @param from_px Side of the image that the landmarks belong to; by default `size_px`.
 * @returns `[size_px, size_px, 3]`.
 */
export function drawLandmarks(
  landmarks: Landmarks,
  schema: LandmarkSchema,
  size_px: number,
  from_px: number = size_px,
): Image {
  const image = createImage(size_px, size_px);
  const scale = size_px / from_px;
  const placed = landmarks.map((px) => rescale(px, scale));
  drawFace(image, placed, schema, Math.max(1, size_px / 128), Math.max(1, size_px / 64));
  return image;
}

/**
 * The condition image as numbers, as the ControlNet takes it.
 *
 * @param landmarks `[P, 2]`, pixels of an image of `from_px`.
 * @param schema Their schema.
 * @param size_px Side of the drawing.
 * @param from_px Side of the image that the landmarks belong to; by default `size_px`.
 * @param into Where to write; by default a new array.
 * @returns `[size_px, size_px, 3]`, 0 to 1.
 */
export function drawCondition(
  landmarks: Landmarks,
  schema: LandmarkSchema,
  size_px: number,
  from_px: number = size_px,
  into: Float32Array = new Float32Array(size_px * size_px * 3),
): Float32Array {
  const { data } = drawLandmarks(landmarks, schema, size_px, from_px);
  data.forEach((value, i) => into[i] = value / 255);
  return into;
}

/**
 * Draws landmarks over an image.
 *
 * @param image The image; it is not changed.
 * @param landmarks `[P, 2]`, pixels of the image.
 * @param schema Their schema.
 * @param scale Enlargement before drawing, so that fine lines stay fine on a small image.
 * @returns A new image.
 */
export function overlayLandmarks(
  image: Image,
  landmarks: Landmarks,
  schema: LandmarkSchema,
  scale: number = 1,
): Image {
  const result = resizeArea(image, image.width * scale, image.height * scale);
  const unit = Math.max(result.width, result.height) / 256;
  drawFace(
    result,
    landmarks.map((px) => rescale(px, scale)),
    schema,
    Math.max(0.6, unit),
    Math.max(1, 2 * unit),
  );
  return result;
}

/**
 * Draws the landmarks of several faces over a picture, lines as wide as suits the size of each face.
 *
 * @param image The picture; it is not changed.
 * @param faces `[P, 2]` each, pixels of the picture.
 * @param schema Their schema.
 * @param longest_px Longer side of the result at most: a larger picture is made smaller.
 * @returns A new image.
 */
export function overlayFaces(
  image: Image,
  faces: readonly Landmarks[],
  schema: LandmarkSchema,
  longest_px: number = Infinity,
): Image {
  const scale = Math.min(1, longest_px / Math.max(image.width, image.height));
  const size = (length: number) => Math.max(1, Math.round(length * scale));
  const result = scale < 1
    ? resizeArea(image, size(image.width), size(image.height))
    : { ...image, data: image.data.slice() };
  for (const face of faces) {
    const placed = face.map((px) => rescale(px, scale));
    const { width, height } = boundingBox(placed);
    const unit = Math.max(width, height) / 160;
    drawFace(result, placed, schema, Math.max(0.6, unit), Math.max(1, 2 * unit));
  }
  return result;
}

/**
 * The contours as the `d` of an SVG path, to a tenth of a pixel.
 *
 * @param landmarks `[P, 2]`, pixels; 0 is the centre of the first pixel.
 * @param schema Their schema.
 * @returns Commands `M`, `L` and `Z`.
 */
export function contourPath(landmarks: ArrayLike<number>, { contours }: LandmarkSchema): string {
  const at = (point: number) => pointAt(landmarks, point).map((px) => roundTo(px, 1)).join(" ");
  return contours.map(({ points, closed }) => `M${points.map(at).join("L")}${closed ? "Z" : ""}`).join("");
}

/** A letter each, then its 7 rows of 5 bits in base 32, the leftmost pixel being the highest bit. */
const FONT =
  "0ehjlphe 14c4444e 2eh1248v 3v2421he 426aiv22 5vgu11he 668guhhe 7v124888 8ehhehhe 9ehhf12c Aehhhvhh Buhhuhhu " +
  "Cehggghe Dsihhhis Evgguggv Fvgguggg Gehgnhhf Hhhhvhhh Ie44444e J72222ic Khikokih Lggggggv Mhrllhhh Nhhpljhh " +
  "Oehhhhhe Puhhuggg Qehhhlid Ruhhukih Sfgge11u Tv444444 Uhhhhhhe Vhhhhha4 Whhhllla Xhha4ahh Yhhha444 Zv1248gv " +
  "-000v000 _000000v .00000cc :0cc0cc0 /01248g0 %op248j3 +044v440 =00v0v00 (2488842 )8422248 ,0000c48 #aavavaa";
const GLYPHS = new Map(FONT.split(" ").map((glyph) => [glyph.slice(0, 1), glyph.slice(1)]));

/** Width of a letter and the gap after it, pixels at scale 1. */
export const LETTER_PX = 6;

/**
 * Writes capitals, digits and `-_.:/%+=(),#`, 7 pixels high at scale 1; other letters leave a gap.
 *
 * @param image The image to write on.
 * @param text A line.
 * @param x Left edge, whole pixels from 0.
 * @param y Upper edge.
 * @param scale Whole pixels for one of the font's.
 * @param colour Its colour.
 */
export function drawText(image: Image, text: string, x: number, y: number, scale: number, colour: Colour): void {
  for (const [i, letter] of [...text.toUpperCase()].entries()) {
    const rows = GLYPHS.get(letter);
    if (!rows) continue; // a space, or a letter that the font lacks
    for (let row = 0; row < 7 * scale; row++) {
      const bits = parseInt(rows.charAt(Math.floor(row / scale)), 32);
      for (let column = 0; column < 5 * scale; column++) {
        const px = x + i * LETTER_PX * scale + column, py = y + row;
        const set = bits >> (4 - Math.floor(column / scale)) & 1;
        if (set && px < image.width && py < image.height) blend(image.data, (py * image.width + px) * 3, colour, 1);
      }
    }
  }
}

/** Layout of a contact sheet. */
export interface SheetOptions {
  /** A line under each image: letters, digits and `-_.:/%+=(),#`; cut where it is too long. */
  labels?: readonly string[];
  /** Side of a cell; by default that of the largest image. */
  cell_px?: number;
}

/**
 * Puts images side by side on a dark sheet.
 *
 * @param images Of any size; larger ones than a cell are made smaller, small ones a whole number of times as large.
 * @param columns Images in a row.
 * @param options See {@linkcode SheetOptions}.
 * @returns The sheet.
 * @throws {RangeError} If there is no image.
 */
export function contactSheet(images: readonly Image[], columns: number, options: SheetOptions = {}): Image {
  if (images.length === 0) throw new RangeError("Cannot make a contact sheet of 0 images");
  const { labels, cell_px = Math.max(...images.map(({ width, height }) => Math.max(width, height))) } = options;
  const GAP = 2, scale = Math.max(1, Math.round(cell_px / 160));
  const used = Math.min(columns, images.length);
  const rowHeight = cell_px + GAP + (labels ? 9 * scale : 0);
  const sheet = createImage(
    used * (cell_px + GAP) + GAP,
    Math.ceil(images.length / used) * rowHeight + GAP,
    [24, 24, 24],
  );
  images.forEach((original, i) => {
    const fit = cell_px / Math.max(original.width, original.height);
    const factor = fit < 1 ? fit : Math.floor(fit);
    const width = Math.max(1, Math.round(original.width * factor));
    const height = Math.max(1, Math.round(original.height * factor));
    const image = factor === 1 ? original : resizeArea(original, width, height);
    const x = GAP + (i % used) * (cell_px + GAP), y = GAP + Math.floor(i / used) * rowHeight;
    for (let row = 0; row < image.height; row++) {
      const line = image.data.subarray(row * image.width * 3, (row + 1) * image.width * 3);
      sheet.data.set(line, ((y + row) * sheet.width + x) * 3);
    }
    const label = labels?.[i]?.slice(0, Math.floor((cell_px + 1) / (LETTER_PX * scale)));
    if (label) drawText(sheet, label, x, y + cell_px + scale, scale, [220, 220, 220]);
  });
  return sheet;
}
