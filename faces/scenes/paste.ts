/**
 * Pastes images on a canvas: cut out as heads, panels, pictures and medallions, in any size and turned by any angle.
 *
 * @module
 */

import type { Image } from "../data/image.ts";
import { type Affine, boundingBox, invertAffine, type Landmarks, transformLandmarks } from "../landmarks.ts";
import { faceAngle } from "../place.ts";
import { between, type Bounds, type Canvas, type Draw, fill, type Shape } from "./canvas.ts";

/** Outline by which an image is cut out, in its own pixels. */
export interface Cut {
  /** Distance to the outline. */
  readonly shape: Shape;
  /** Width of the soft edge, pixels of the image. */
  readonly feather: number;
  /** Thickness of a frame around it, pixels of the image; 0 for none. */
  readonly frame: number;
}

/**
 * Draws the outline by which a face is cut out: the head alone, soft or sharp; or a panel, picture or medallion with what is
 * around the head.
 *
 * @param side_px Side of its image.
 * @param landmarks Its landmarks there.
 */
export function drawCut(draw: Draw, side_px: number, landmarks: Landmarks): Cut {
  const { x, y, width, height } = boundingBox(landmarks);
  const side = Math.max(width, height), middle = (side_px - 1) / 2, half = side_px / 2 - 1;
  const border: Shape = (u, v) => Math.max(Math.abs(u - middle), Math.abs(v - middle)) - half;
  const kind = draw.uniform();
  if (kind < 0.5) {
    const [a, b] = [side * between(draw, 0.58, 0.85), side * between(draw, 0.66, 0.95)];
    const angle = faceAngle(landmarks), cos = Math.cos(angle), sin = Math.sin(angle);
    // The forehead and the hair lie above the landmarks.
    const up = between(draw, 0.02, 0.2) * side;
    const [cx, cy] = [x + width / 2 + sin * up, y + height / 2 - cos * up];
    const power = draw.uniform() < 0.7 ? 2 : 4;
    const feather = side * (draw.uniform() < 0.4 ? 0.03 : between(draw, 0.05, 0.4));
    return {
      shape: (px, py) => {
        const u = ((px - cx) * cos + (py - cy) * sin) / a, v = ((py - cy) * cos - (px - cx) * sin) / b;
        const squares = power === 2 ? u * u + v * v : Math.sqrt(u ** 4 + v ** 4);
        const head = (Math.sqrt(squares) - 1) * Math.min(a, b);
        return Math.max(head, border(px, py)) + feather / 2;
      },
      feather,
      frame: 0,
    };
  }
  const frame = draw.uniform() < 0.4 ? between(draw, 1, 7) : 0;
  const feather = draw.uniform() < 0.75 ? 1 : between(draw, 2, 12);
  if (kind < 0.68) { // an oval
    const [a, b] = [half * between(draw, 0.75, 1), half * between(draw, 0.85, 1)];
    const shape: Shape = (u, v) =>
      (Math.sqrt(((u - middle) / a) ** 2 + ((v - middle) / b) ** 2) - 1) * Math.min(a, b) + feather / 2;
    return { shape, feather, frame };
  }
  // A rectangle with at least a little around the landmarks.
  const margin = 0.04 * side;
  const low = (least: number) => between(draw, 0, Math.max(0, least - margin));
  const high = (most: number) => side_px - 1 - between(draw, 0, Math.max(0, side_px - 1 - most - margin));
  const tight = draw.uniform() < 0.5;
  const [left, top] = tight ? [low(x), low(y)] : [1, 1];
  const [right, bottom] = tight ? [high(x + width), high(y + height)] : [side_px - 2, side_px - 2];
  const [cx, cy, a, b] = [(left + right) / 2, (top + bottom) / 2, (right - left) / 2, (bottom - top) / 2];
  const shape: Shape = (u, v) => Math.max(Math.abs(u - cx) - a, Math.abs(v - cy) - b) + feather / 2;
  return { shape, feather, frame };
}

/** Changes the colour of one thing's pixel, so that the things of a scene differ. */
function drawTone(draw: Draw): (colours: Float64Array, at: number) => void {
  if (draw.uniform() < 0.5) return () => {};
  const gain = Math.exp(0.3 * draw.normal()),
    shift = 0.2 * draw.normal(),
    tint = [0, 0, 0].map(() => 0.1 * draw.normal());
  const saturation = draw.uniform() < 0.3 ? 0 : Math.exp(0.3 * draw.normal());
  return (colours, at) => {
    const grey = 0.299 * colours[at]! + 0.587 * colours[at + 1]! + 0.114 * colours[at + 2]!;
    for (let c = 0; c < 3; c++) {
      const value = (grey + (colours[at + c]! - grey) * saturation) * gain + shift + tint[c]!;
      colours[at + c] = Math.max(-1, Math.min(1, value));
    }
  };
}

/** A copy of half the size; each pixel is the mean of four. */
function halved({ width, height, data }: Image): Image {
  const [columns, rows] = [width >> 1, height >> 1];
  const out = new Uint8Array(columns * rows * 3);
  for (let row = 0, o = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const k = (2 * row * width + 2 * column) * 3, below = k + width * 3;
      for (let c = 0; c < 3; c++, o++) {
        out[o] = (data[k + c]! + data[k + 3 + c]! + data[below + c]! + data[below + 3 + c]! + 2) >> 2;
      }
    }
  }
  return { width: columns, height: rows, data: out };
}

/**
 * Pastes an image.
 *
 * @param affine From its pixels to those of the canvas.
 * @param owner Its number on the canvas.
 */
export function paste(canvas: Canvas, draw: Draw, image: Image, affine: Affine, cut: Cut, owner: number): void {
  const [a, b, , d, e] = affine;
  const scale = Math.sqrt(Math.abs(a * e - b * d));
  // A smaller copy where pixels would be skipped.
  let small = image;
  for (let halvings = Math.floor(Math.log2(1 / scale)); halvings > 0 && small.width >= 16; halvings--) {
    small = halved(small);
  }
  const side = small.width, ratio = side / image.width;
  const [ua, ub, uc, va, vb, vc] = invertAffine(affine);
  const tone = drawTone(draw);
  const { data } = small;
  const colour = [between(draw, -1, 1), between(draw, -1, 1), between(draw, -1, 1)];
  const last = side - 1;
  const corners = transformLandmarks(
    Float32Array.of(0, 0, image.width - 1, 0, 0, image.height - 1, image.width - 1, image.height - 1),
    affine,
  );
  const { x, y, width, height } = boundingBox(corners);
  const bounds: Bounds = { x: x + width / 2, y: y + height / 2, reach: Math.max(width, height) / 2 };
  const shape: Shape = (px, py) => cut.shape(ua * px + ub * py + uc, va * px + vb * py + vc) * scale;
  fill(canvas, bounds, shape, (py, from, to, out) => {
    for (let px = from, o = 3 * from; px < to; px++, o += 3) {
      const u = ua * px + ub * py + uc, v = va * px + vb * py + vc;
      if (cut.frame && cut.shape(u, v) > -cut.frame) {
        out.set(colour, o);
        continue;
      }
      const su = Math.max(0, Math.min(last, (u + 0.5) * ratio - 0.5)),
        sv = Math.max(0, Math.min(last, (v + 0.5) * ratio - 0.5));
      const u0 = Math.floor(su), v0 = Math.floor(sv), fu = su - u0, fv = sv - v0;
      const p = (v0 * side + u0) * 3, r = v0 < last ? p + side * 3 : p, right = u0 < last ? 3 : 0;
      for (let c = 0; c < 3; c++) {
        const upper = data[p + c]! * (1 - fu) + data[p + right + c]! * fu;
        const lower = data[r + c]! * (1 - fu) + data[r + right + c]! * fu;
        out[o + c] = (upper * (1 - fv) + lower * fv) / 127.5 - 1;
      }
      tone(out, o);
    }
  }, { owner, feather: Math.max(1, cut.feather * scale), steepness: Math.hypot(ua, ub, va, vb) * scale });
}
