/**
 * Contents of pictures beside faces: grounds, ornaments, folds, hands, round things and text.
 *
 * @module
 */

import type { Image } from "../data/image.ts";
import {
  between,
  type Bounds,
  type Canvas,
  type Draw,
  fill,
  logBetween,
  oneOf,
  type Paint,
  type Shape,
  wholeBetween,
} from "./canvas.ts";

type Rgb = readonly [number, number, number];

/** A colour; half of them are pale, dark or of little saturation. */
function drawColour(draw: Draw): Rgb {
  const grey = between(draw, -1, 1), vivid = draw.uniform() < 0.5 ? 0.25 : 1;
  const channel = () => Math.max(-1, Math.min(1, grey + between(draw, -0.8, 0.8) * vivid));
  return [channel(), channel(), channel()];
}

/** A colour of skin, as painters have it too. */
function skinColour(draw: Draw): Rgb {
  const light = between(draw, -0.5, 0.8);
  return [light + between(draw, 0, 0.25), light - between(draw, 0, 0.25), light - between(draw, 0.1, 0.6)];
}

function plain([r, g, b]: Rgb): Paint {
  return (_y, from, to, out) => {
    for (let o = 3 * from; o < 3 * to; o += 3) {
      out[o] = r;
      out[o + 1] = g;
      out[o + 2] = b;
    }
  };
}

/** Mix of two colours by shares, which may be beyond 0 and 1 and are written to where the pixels' red goes. */
function mixed([r, g, b]: Rgb, [r1, g1, b1]: Rgb, shares: Paint): Paint {
  return (y, from, to, out) => {
    shares(y, from, to, out);
    for (let o = 3 * from; o < 3 * to; o += 3) {
      const t = Math.max(0, Math.min(1, out[o]!));
      out[o] = r + (r1 - r) * t;
      out[o + 1] = g + (g1 - g) * t;
      out[o + 2] = b + (b1 - b) * t;
    }
  };
}

/** Smooth noise from 0 to 1 on a lattice of a spacing in pixels; a weight of it is added to the pixels' red. */
function noise(draw: Draw, spacing: number, weight = 1): Paint {
  const seed = Math.floor(draw.uniform() * 0x7fffffff);
  const value = (i: number, j: number) => {
    let h = Math.imul(i, 0x27d4eb2d) ^ Math.imul(j, 0x165667b1) ^ seed;
    h = Math.imul(h ^ (h >>> 15), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    return ((h ^ (h >>> 16)) >>> 0) / 4294967296;
  };
  return (y, from, to, out) => {
    const v = y / spacing, j = Math.floor(v), b = v - j;
    const t = b * b * (3 - 2 * b);
    for (let x = from; x < to;) {
      const i = Math.floor(x / spacing);
      const p = value(i, j), q = value(i + 1, j), r = value(i, j + 1), s = value(i + 1, j + 1);
      // The pixels of one cell of the lattice.
      for (let u = x / spacing; x < to && u < i + 1; u = ++x / spacing) {
        const a = u - i, smooth = a * a * (3 - 2 * a);
        const top = p + (q - p) * smooth, bottom = r + (s - r) * smooth;
        out[3 * x]! += weight * (top + (bottom - top) * t);
      }
    }
  };
}

/** A part of an image without the face, blown up or shrunk and mirrored at its borders. */
function patch(draw: Draw, { width, height, data }: Image, reach: number): Paint {
  const part = between(draw, 0.15, 0.35);
  // In a corner, where hair, clothes and grounds are.
  const left = draw.uniform() < 0.5 ? 0 : 1 - part, top = draw.uniform() < 0.5 ? 0 : 1 - part;
  const step = logBetween(draw, 0.25, 1) * part * width / reach;
  const [w, h] = [Math.max(2, Math.floor(part * width)), Math.max(2, Math.floor(part * height))];
  const fold = (at: number, length: number) => {
    const k = Math.abs(Math.floor(at)) % (2 * length);
    return k < length ? k : 2 * length - 1 - k;
  };
  return (y, from, to, out) => {
    const row = Math.min(height - 1, Math.floor(top * height) + fold(y * step, h));
    for (let x = from; x < to; x++) {
      const column = Math.min(width - 1, Math.floor(left * width) + fold(x * step, w));
      for (let c = 0, k = (row * width + column) * 3; c < 3; c++) out[3 * x + c] = data[k + c]! / 127.5 - 1;
    }
  };
}

/**
 * A ground or filling.
 *
 * @param reach Size of what is filled, pixels.
 * @param images To take textures from.
 */
export function drawPaint(draw: Draw, reach: number, image: Image): Paint {
  const [a, b] = [drawColour(draw), drawColour(draw)];
  const angle = between(draw, 0, Math.PI), cos = Math.cos(angle), sin = Math.sin(angle);
  const kind = draw.uniform();
  if (kind < 0.2) return plain(a);
  if (kind < 0.38) {
    const length = between(draw, 0.7, 3) * reach, middle = between(draw, -0.5, 1);
    return mixed(a, b, (y, from, to, out) => {
      for (let x = from; x < to; x++) out[3 * x] = (x * cos + y * sin) / length + middle;
    });
  }
  if (kind < 0.62) {
    const spacing = logBetween(draw, 3, Math.max(6, reach));
    const octaves = [noise(draw, spacing, 0.55), noise(draw, spacing / 2.3, 0.3), noise(draw, spacing / 5.1, 0.15)];
    const contrast = logBetween(draw, 0.7, 6);
    return mixed(a, b, (y, from, to, out) => {
      out.fill(0, 3 * from, 3 * to);
      for (const octave of octaves) octave(y, from, to, out);
      for (let x = from; x < to; x++) out[3 * x] = 0.5 + (out[3 * x]! - 0.5) * contrast;
    });
  }
  if (kind < 0.76) { // stripes, or folds where they are soft and bent
    const wave = logBetween(draw, 3, Math.max(6, reach / 2)), hard = logBetween(draw, 0.5, 8);
    const bent = noise(draw, wave * 3), bend = draw.uniform() < 0.6 ? between(draw, 0, 6) : 0;
    return mixed(a, b, (y, from, to, out) => {
      out.fill(0, 3 * from, 3 * to);
      if (bend > 0) bent(y, from, to, out);
      for (let x = from; x < to; x++) {
        const phase = (x * cos + y * sin) * 2 * Math.PI / wave + bend * out[3 * x]!;
        out[3 * x] = 0.5 + hard * Math.sin(phase) / 2;
      }
    });
  }
  if (kind < 0.86) { // dots and checks
    const wave = logBetween(draw, 2.5, Math.max(5, reach / 3)) / Math.PI, hard = logBetween(draw, 0.7, 6);
    const level = between(draw, -0.6, 0.6);
    return mixed(a, b, (y, from, to, out) => {
      for (let x = from; x < to; x++) {
        const u = (x * cos + y * sin) / wave, v = (y * cos - x * sin) / wave;
        out[3 * x] = 0.5 + hard * (Math.sin(u) * Math.sin(v) + level);
      }
    });
  }
  return patch(draw, image, reach);
}

const ellipse = (x: number, y: number, a: number, b: number, angle: number): Shape => {
  const cos = Math.cos(angle), sin = Math.sin(angle);
  return (px, py) => {
    const u = (px - x) * cos + (py - y) * sin, v = (py - y) * cos - (px - x) * sin;
    return (Math.sqrt((u / a) ** 2 + (v / b) ** 2) - 1) * Math.min(a, b);
  };
};

const rectangle = (x: number, y: number, a: number, b: number, angle: number): Shape => {
  const cos = Math.cos(angle), sin = Math.sin(angle);
  return (px, py) => {
    const u = (px - x) * cos + (py - y) * sin, v = (py - y) * cos - (px - x) * sin;
    return Math.max(Math.abs(u) - a, Math.abs(v) - b);
  };
};

/** A stroke with round ends. */
const capsule = (x0: number, y0: number, x1: number, y1: number, radius: number): Shape => {
  const dx = x1 - x0, dy = y1 - y0, squared = dx * dx + dy * dy || 1;
  return (x, y) => {
    const t = Math.max(0, Math.min(1, ((x - x0) * dx + (y - y0) * dy) / squared));
    const u = x - x0 - t * dx, v = y - y0 - t * dy;
    return Math.sqrt(u * u + v * v) - radius;
  };
};

/** A flower, star or cog of `petals`. */
const rosette =
  (x: number, y: number, radius: number, petals: number, depth: number, angle: number): Shape => (px, py) => {
    const u = px - x, v = py - y;
    const petal = depth * Math.cos(petals * (Math.atan2(v, u) - angle));
    return Math.sqrt(u * u + v * v) - radius * (1 + petal) / (1 + depth);
  };

const ring = (shape: Shape, thickness: number): Shape => (x, y) => Math.abs(shape(x, y)) - thickness;

/** A stroke from a place in a direction. */
function stroke(
  canvas: Canvas,
  from: readonly [number, number],
  angle: number,
  length: number,
  radius: number,
  paint: Paint,
  owner: number,
): void {
  const [x, y] = from, [x1, y1] = [x + Math.cos(angle) * length, y + Math.sin(angle) * length];
  const bounds = { x: (x + x1) / 2, y: (y + y1) / 2, reach: length / 2 + radius + 1 };
  fill(canvas, bounds, capsule(x, y, x1, y1, radius), paint, { owner });
}

/** A hand: a palm and fingers, most of the colour of skin, some with an outline. */
function drawHand(canvas: Canvas, draw: Draw, { x, y, reach }: Bounds, owner: number): void {
  const skin = draw.uniform() < 0.75 ? skinColour(draw) : drawColour(draw);
  const shade: Rgb = [skin[0] - 0.35, skin[1] - 0.35, skin[2] - 0.35];
  const angle = between(draw, 0, 2 * Math.PI), spread = between(draw, 0.08, 0.3);
  const palm = reach * between(draw, 0.35, 0.5), thick = palm * between(draw, 0.2, 0.28);
  const light = plain(skin), dark = plain(shade);
  const outline = draw.uniform() < 0.5 ? Math.max(1, thick * 0.25) : 0;
  const part = (grow: number, paint: Paint) => {
    for (let finger = 0; finger < 5; finger++) {
      const at = angle + (finger - 2) * spread * (finger === 4 ? 2 : 1);
      const root: [number, number] = [x + Math.cos(at) * palm * 0.6, y + Math.sin(at) * palm * 0.6];
      stroke(canvas, root, at, palm * (finger === 4 ? 0.9 : 1.5), thick + grow, paint, owner);
    }
    const shape = ellipse(x, y, palm + grow, palm * 0.85 + grow, angle);
    fill(canvas, { x, y, reach: palm + grow + 1 }, shape, paint, { owner });
  };
  if (outline) part(outline, dark);
  part(0, light);
}

/** Lines of letters: a few strokes each. */
function drawText(canvas: Canvas, draw: Draw, { x, y, reach }: Bounds, owner: number): void {
  const height = logBetween(draw, 3, Math.max(4, reach / 2)), paint = plain(drawColour(draw));
  const lines = wholeBetween(draw, 1, 5), angle = draw.uniform() < 0.8 ? 0 : between(draw, -0.6, 0.6);
  const cos = Math.cos(angle), sin = Math.sin(angle), thin = Math.max(0.4, height * between(draw, 0.06, 0.14));
  const letters = Math.min(14, Math.floor(2 * reach / (height * 0.75)));
  for (let line = 0; line < lines; line++) {
    for (let letter = 0; letter < letters; letter++) {
      if (draw.uniform() < 0.15) continue; // between words
      const u = -reach + letter * height * 0.75, v = (line - lines / 2) * height * 1.5;
      for (let k = wholeBetween(draw, 1, 3); k > 0; k--) {
        const [du, dv] = [between(draw, 0, 0.4) * height, between(draw, -0.5, 0.3) * height];
        const from: [number, number] = [x + (u + du) * cos - (v + dv) * sin, y + (u + du) * sin + (v + dv) * cos];
        const direction = oneOf(draw, [0, Math.PI / 2, 1, -1]);
        stroke(canvas, from, angle + direction, between(draw, 0.25, 0.7) * height, thin, paint, owner);
      }
    }
  }
}

/** Curved lines beside each other, as of cloth, hair or hatching. */
function drawFolds(canvas: Canvas, draw: Draw, { x, y, reach }: Bounds, owner: number): void {
  const paint = plain(drawColour(draw)), count = wholeBetween(draw, 3, 9), angle = between(draw, 0, 2 * Math.PI);
  const turn = between(draw, -0.5, 0.5), thin = logBetween(draw, 0.5, Math.max(0.8, reach / 12));
  for (let line = 0; line < count; line++) {
    const off = (line / count - 0.5) * 2 * reach;
    let [px, py, at] = [x - Math.sin(angle) * off, y + Math.cos(angle) * off, angle + between(draw, -0.2, 0.2)];
    for (let k = 0; k < 4; k++) {
      stroke(canvas, [px, py], at, reach * 0.35, thin, paint, owner);
      px += Math.cos(at) * reach * 0.35;
      py += Math.sin(at) * reach * 0.35;
      at += turn;
    }
  }
}

/**
 * Paints a round thing lit from a side, as knees, balls, mugs, bags and the backs of heads are, most with something on it.
 *
 * @param bounds About where and how large.
 * @param image To take textures from.
 * @param owner Its number.
 */
export function drawRound(
  canvas: Canvas,
  draw: Draw,
  { x, y, reach }: Bounds,
  image: Image,
  owner: number,
): void {
  const angle = between(draw, 0, 2 * Math.PI), cos = Math.cos(angle), sin = Math.sin(angle);
  const [a, b] = [reach * between(draw, 0.6, 1), reach * between(draw, 0.6, 1)];
  // Parts of the half axes, along and across.
  const along = (px: number, py: number) => ((px - x) * cos + (py - y) * sin) / a;
  const across = (px: number, py: number) => ((py - y) * cos - (px - x) * sin) / b;
  const angular = draw.uniform() < 0.3;
  const outline: Shape = (px, py) => {
    const u = along(px, py) ** 2, v = across(px, py) ** 2;
    return ((angular ? Math.sqrt(Math.sqrt(u * u + v * v)) : Math.sqrt(u + v)) - 1) * Math.min(a, b);
  };
  const feather = draw.uniform() < 0.7 ? 1 : between(draw, 1, 1 + 0.3 * reach);
  // Corners of angular ones lie further out.
  const area = { x, y, reach: (angular ? 1.2 : 1) * reach + feather / 2 + 1 };
  const skin = draw.uniform() < 0.55;
  if (draw.uniform() < 0.25) { // a handle
    const handle = ring(ellipse(x + cos * a, y + sin * a, 0.45 * a, 0.55 * b, angle), Math.max(0.7, 0.09 * reach));
    fill(canvas, { ...area, reach: 1.6 * reach + 1 }, handle, plain(drawColour(draw)), { owner });
  }
  const base = skin ? plain(skinColour(draw)) : drawPaint(draw, reach, image);
  const light = between(draw, 0, 2 * Math.PI), [lx, ly] = [Math.cos(light), Math.sin(light)];
  const [depth, tilt] = [between(draw, 0.1, 1.1), between(draw, 0.2, 1)];
  const lit: Paint = (py, from, to, out) => {
    base(py, from, to, out);
    for (let px = from; px < to; px++) {
      const u = along(px, py), v = across(px, py);
      const shade = depth * (Math.sqrt(Math.max(0, 1 - u * u - v * v)) + tilt * (u * lx + v * ly) - 0.7);
      for (let o = 3 * px; o < 3 * px + 3; o++) out[o] = Math.max(-1, Math.min(1, out[o]! + shade));
    }
  };
  fill(canvas, area, outline, lit, { owner, feather });
  if (draw.uniform() < 0.45) { // hair, a hat, a lid
    const level = between(draw, -0.7, 0.5), bent = between(draw, -0.4, 0.8), paint = drawPaint(draw, reach, image);
    const cap: Shape = (px, py) => Math.max(outline(px, py), (across(px, py) - level - bent * along(px, py) ** 2) * b);
    fill(canvas, area, cap, paint, { owner, steepness: Infinity });
  }
  // Buttons, holes, seams, folds: at random, so that they are seldom where eyes and a mouth would be.
  const marks = draw.uniform() < 0.4 ? 0 : wholeBetween(draw, 1, 6), mark = plain(drawColour(draw));
  const fine = logBetween(draw, 0.04, 0.16) * reach;
  for (let k = 0; k < marks; k++) {
    const far = 0.75 * Math.sqrt(draw.uniform()) * Math.min(a, b), at = between(draw, 0, 2 * Math.PI);
    const from: [number, number] = [x + far * Math.cos(at), y + far * Math.sin(at)];
    const long = draw.uniform() < 0.5 ? 0.5 : between(draw, 0.1, 0.7) * reach;
    stroke(canvas, from, between(draw, 0, 2 * Math.PI), long, Math.max(0.5, fine), mark, owner);
  }
}

/**
 * Paints one thing that is no face.
 *
 * @param bounds About where and how large.
 * @param image To take textures from.
 * @param owner Its number.
 */
export function drawThing(canvas: Canvas, draw: Draw, bounds: Bounds, image: Image, owner: number): void {
  const { x, y, reach } = bounds;
  const kind = draw.uniform();
  if (kind < 0.1) return drawHand(canvas, draw, bounds, owner);
  if (kind < 0.2) return drawText(canvas, draw, bounds, owner);
  if (kind < 0.28) return drawFolds(canvas, draw, bounds, owner);
  if (kind < 0.44) return drawRound(canvas, draw, bounds, image, owner);
  const paint = drawPaint(draw, reach, image), angle = between(draw, 0, Math.PI);
  const feather = draw.uniform() < 0.8 ? 1 : logBetween(draw, 1, 1 + reach);
  const b = reach * logBetween(draw, 0.15, 1);
  let shape: Shape;
  let far = reach + feather / 2 + 1, steepness = 1;
  if (kind < 0.58) shape = ellipse(x, y, reach, b, angle);
  else if (kind < 0.76) {
    shape = rectangle(x, y, reach, b, draw.uniform() < 0.6 ? 0 : angle);
    far += (Math.SQRT2 - 1) * reach;
  } else if (kind < 0.86) {
    const length = reach * 0.9;
    const [u, v] = [Math.cos(angle) * length, Math.sin(angle) * length];
    shape = capsule(x - u, y - v, x + u, y + v, reach * between(draw, 0.02, 0.1) + 0.5);
  } else {
    shape = rosette(x, y, reach, wholeBetween(draw, 3, 12), between(draw, 0, 0.45), angle);
    steepness = Infinity;
  }
  if (draw.uniform() < 0.2) {
    const thickness = Math.max(0.6, reach * between(draw, 0.02, 0.12));
    shape = ring(shape, thickness);
    far += thickness;
  }
  fill(canvas, { x, y, reach: far }, shape, paint, { owner, feather, steepness });
  // Circles in circles and outlines, as ornaments have them.
  for (let k = 0; k < 2 && draw.uniform() < 0.25; k++) {
    const within = shape, line = plain(drawColour(draw)), depth = between(draw, 0, 0.6) * b;
    const inner: Shape = ring((px, py) => within(px, py) + depth, Math.max(0.5, reach * 0.03));
    fill(canvas, { x, y, reach: far }, inner, line, { owner, steepness });
  }
}
