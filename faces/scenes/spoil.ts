/**
 * Images of faces made into images of none, with the same colours, lines and textures: what a finder must not take for
 * faces.
 *
 * @module
 */

import { pointAt } from "../geometry.ts";
import type { Image } from "../data/image.ts";
import { boundingBox, type Landmarks } from "../landmarks.ts";
import { between, type Draw, wholeBetween } from "./canvas.ts";

/** Copies of an image's pixels from elsewhere in it; places beyond its borders are those at the borders. */
function rearranged({ width, height, data }: Image, from: (x: number, y: number, out: Float64Array) => void): Image {
  const out = new Uint8Array(data.length);
  const at = new Float64Array(2), right = width - 1, bottom = height - 1;
  for (let y = 0, o = 0; y < height; y++) {
    for (let x = 0; x < width; x++, o += 3) {
      from(x, y, at);
      const column = Math.max(0, Math.min(right, Math.floor(at[0]! + 0.5)));
      const row = Math.max(0, Math.min(bottom, Math.floor(at[1]! + 0.5)));
      const k = (row * width + column) * 3;
      out[o] = data[k]!;
      out[o + 1] = data[k + 1]!;
      out[o + 2] = data[k + 2]!;
    }
  }
  return { width, height, data: out };
}

/** Exchanges cells of a grid, each turned by a multiple of 90 degrees. */
function shuffled(image: Image, draw: Draw): Image {
  const cells = wholeBetween(draw, 2, 5), side = image.width / cells;
  const order = Array.from({ length: cells * cells }, (_, k) => k);
  // No cell stays at its place (Sattolo 1986).
  for (let k = order.length - 1; k > 0; k--) {
    const j = Math.floor(k * draw.uniform());
    [order[k], order[j]] = [order[j]!, order[k]!];
  }
  const turns = order.map(() => wholeBetween(draw, 0, 3));
  return rearranged(image, (x, y, out) => {
    const column = Math.min(cells - 1, Math.floor(x / side)), row = Math.min(cells - 1, Math.floor(y / side));
    const k = row * cells + column, source = order[k]!;
    const u = x - (column + 0.5) * side + 0.5, v = y - (row + 0.5) * side + 0.5;
    const turn = turns[k]!, along = turn % 2 === 0 ? u : -v, across = turn % 2 === 0 ? v : u;
    const sign = turn < 2 ? 1 : -1;
    out[0] = (source % cells + 0.5) * side - 0.5 + sign * along;
    out[1] = (Math.floor(source / cells) + 0.5) * side - 0.5 + sign * across;
  });
}

/** Turns the middle of the image about itself, the more the nearer. */
function swirled(image: Image, draw: Draw, [cx, cy]: readonly [number, number], radius: number): Image {
  const most = between(draw, 2.5, 6) * (draw.uniform() < 0.5 ? -1 : 1);
  return rearranged(image, (x, y, out) => {
    const dx = x - cx, dy = y - cy;
    const angle = most * Math.max(0, 1 - Math.sqrt(dx * dx + dy * dy) / radius);
    const cos = Math.cos(angle), sin = Math.sin(angle);
    out[0] = cx + dx * cos - dy * sin;
    out[1] = cy + dx * sin + dy * cos;
  });
}

/** A window of the image with few of the landmarks, and not those in the middle, blown up; the whole if there is none. */
function zoomed(image: Image, draw: Draw, landmarks: Landmarks): Image | null {
  const [nx, ny] = pointAt(landmarks, NOSE_TIP);
  for (let attempt = 0; attempt < 8; attempt++) {
    const side = between(draw, 0.18, 0.45) * image.width;
    const left = between(draw, 0, image.width - side), top = between(draw, 0, image.height - side);
    const inside = (x: number, y: number) => x > left && x < left + side && y > top && y < top + side;
    let count = 0;
    for (let p = 0; p < landmarks.length / 2; p++) if (inside(...pointAt(landmarks, p))) count++;
    if (count > 16 || inside(nx, ny)) continue;
    const step = side / image.width;
    return rearranged(image, (x, y, out) => {
      out[0] = left + x * step;
      out[1] = top + y * step;
    });
  }
  return null;
}

const NOSE_TIP = 30;

/** Paints the middle of the face over with the colours around it. */
function emptied(image: Image, landmarks: Landmarks): Image {
  const { width, data } = image;
  const { x, y, width: w, height: h } = boundingBox(landmarks.subarray(17 * 2));
  const [cx, cy, a, b] = [x + w / 2, y + h / 2, w * 0.62, h * 0.62];
  const out = data.slice();
  const clip = (value: number) => Math.max(0, Math.min(width - 1, Math.round(value)));
  // Sums of three channels and of the weights.
  const sums = new Float64Array(4);
  const add = (px: number, py: number, farness: number) => {
    const k = (clip(py) * width + clip(px)) * 3, weight = Math.max(0.02, 2 - farness);
    for (let c = 0; c < 3; c++) sums[c]! += weight * data[k + c]!;
    sums[3]! += weight;
  };
  for (let row = 0; row < image.height; row++) {
    for (let column = 0; column < width; column++) {
      const u = (column - cx) / a, v = (row - cy) / b, r = Math.sqrt(u * u + v * v);
      if (r >= 1) continue;
      // The mean of four places on the ellipse, by their nearness along both axes.
      const s = Math.sqrt(Math.max(0, 1 - v * v)), t = Math.sqrt(Math.max(0, 1 - u * u));
      sums.fill(0);
      add(cx - s * a, row, s - u);
      add(cx + s * a, row, s + u);
      add(column, cy - t * b, t - v);
      add(column, cy + t * b, t + v);
      const soft = Math.min(1, (1 - r) * 6);
      const o = (row * width + column) * 3;
      for (let c = 0; c < 3; c++) out[o + c] = data[o + c]! * (1 - soft) + sums[c]! / sums[3]! * soft;
    }
  }
  return { ...image, data: out };
}

/**
 * An image in which no face is left.
 *
 * @param image A face, square.
 * @param landmarks `[68, 2]`.
 */
export function spoil(image: Image, landmarks: Landmarks, draw: Draw): Image {
  const kind = draw.uniform();
  const { x, y, width, height } = boundingBox(landmarks);
  if (kind < 0.28) return zoomed(image, draw, landmarks) ?? shuffled(image, draw);
  if (kind < 0.52) return shuffled(image, draw);
  if (kind < 0.68) return swirled(image, draw, [x + width / 2, y + height / 2], 0.85 * Math.max(width, height));
  return emptied(image, landmarks);
}
