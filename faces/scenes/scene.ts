/**
 * Scenes: pictures with any number of rendered faces, of any size and angle, in clutter, with the places of the faces.
 *
 * Composed from images of single faces, much faster than drawn: faces are cut out as heads, pictures, panels and
 * medallions, turned, mirrored, hidden and cut off, among things that are no faces and parts of images that are none.
 *
 * @module
 */

import { blur } from "../data/blur.ts";
import { applyGamma, recolour } from "../data/recolour.ts";
import type { Faces } from "../data/dataset.ts";
import { compress, lowerResolution, posterise } from "../data/degrade.ts";
import type { Image } from "../data/image.ts";
import { pointAt } from "../geometry.ts";
import {
  type Affine,
  boundingBox,
  composeAffine,
  invertAffine,
  type Landmarks,
  mirrorLandmarks,
  similarity,
  transformLandmarks,
} from "../landmarks.ts";
import { faceAngle, type FacePlace, facePlace } from "../place.ts";
import {
  between,
  type Bounds,
  type Canvas,
  createCanvas,
  type Draw,
  fill,
  logBetween,
  type Shape,
  wholeBetween,
} from "./canvas.ts";
import { drawPaint, drawRound, drawThing } from "./clutter.ts";
import { spoil } from "./spoil.ts";

/** A face of a scene. */
export interface SceneFace extends FacePlace {
  /** Share of its landmarks that are seen. */
  readonly visible: number;
  /** False for a face that is neither found nor missed: smaller than 11 pixels, hidden by more than a half, or its centre beyond the picture. */
  readonly counts: boolean;
}

/** A scene. */
export interface Scene {
  /** `[side, side, 3]`, -1 to 1. */
  readonly pixels: Float32Array;
  /** Its faces. */
  readonly faces: readonly SceneFace[];
}

/** Options of {@linkcode composeScene}. */
export interface SceneOptions {
  /** Side of the scene, pixels. */
  readonly side: number;
  /** Share of scenes without a face; by default 0.12. */
  readonly empty?: number;
  /** False for scenes without parts of faces, and faces that were made into none; by default true. */
  readonly spoilt?: boolean;
}

/** Side of the smallest face that counts, pixels. */
const LEAST_FACE_PX = 11;
/** Sides of faces that fill much of the picture, parts of its shorter side; and of the largest, pixels. */
const LARGE_FACE = [0.3, 1.1] as const, LARGEST_FACE_PX = 190;
/** Share of a face that must be seen for it to count. */
const LEAST_VISIBLE = 0.5;

/** A face to paste. */
interface Source {
  readonly image: Image;
  readonly landmarks: Landmarks;
}

function pick({ images, landmarks, size_px, schema }: Faces, draw: Draw): Source {
  const bytes = size_px * size_px * 3, stride = 2 * schema.count;
  const k = Math.floor(draw.uniform() * images.length / bytes);
  return {
    image: { width: size_px, height: size_px, data: images.subarray(k * bytes, (k + 1) * bytes) },
    landmarks: landmarks.subarray(k * stride, (k + 1) * stride),
  };
}

/** An angle: two in three are of any kind, so that what a face shows decides it and not what is usual. */
function drawAngle(draw: Draw): number {
  const kind = draw.uniform();
  if (kind < 0.2) return 0.2 * draw.normal();
  if (kind < 0.35) return 0.6 * draw.normal();
  return between(draw, -Math.PI, Math.PI);
}

/** Outline by which an image is cut out, in its own pixels. */
interface Cut {
  readonly shape: Shape;
  /** Width of the soft edge, pixels of the image. */
  readonly feather: number;
  /** Thickness of a frame around it, pixels of the image; 0 for none. */
  readonly frame: number;
}

/** The head alone, soft or sharp; or a panel, picture or medallion with what is around it. */
function drawCut(draw: Draw, side_px: number, landmarks: Landmarks): Cut {
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
 */
function paste(canvas: Canvas, draw: Draw, image: Image, affine: Affine, cut: Cut, owner: number): void {
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

/** A place for a face. */
interface Spot {
  readonly x: number;
  readonly y: number;
  readonly side: number;
}

/** Width and height of a picture on the canvas, pixels. */
interface Extent {
  readonly width: number;
  readonly height: number;
}

/** Share of the scenes that are smaller than the canvas. */
const SMALLER = 0.3;

/** Most scenes fill the canvas; others leave grey beyond the right and the lower border, as a finder fills pictures up. */
function drawExtent(draw: Draw, side: number): Extent {
  const part = () => Math.round(side * between(draw, 0.45, 1));
  return draw.uniform() < SMALLER ? { width: part(), height: part() } : { width: side, height: side };
}

/** Places for the things of a scene, faces and others: one large, some, or many that are small; few overlap far. */
function drawSpots(draw: Draw, { width, height }: Extent, empty: number): { faces: Spot[]; others: Spot[] } {
  const side = Math.min(width, height);
  const kind = draw.uniform();
  const share = (kind - empty) / (1 - empty);
  const large = share >= 0 && share < 0.3;
  const [count, low, high] = share < 0
    ? [0, 12, 60]
    : large
    ? [1, ...LARGE_FACE.map((part) => Math.min(part * side, LARGEST_FACE_PX)) as [number, number]]
    : share < 0.7
    ? [wholeBetween(draw, 1, 4), 16, 0.4 * side]
    : [wholeBetween(draw, 3, 12), 11, 0.2 * side];
  const spots: Spot[] = [];
  const place = (low: number, high: number): Spot | null => {
    for (let attempt = 0; attempt < 10; attempt++) {
      const size = (large ? between : logBetween)(draw, Math.min(low, high), Math.max(low, high));
      // Centres may lie beyond the border by a little, so that faces are cut off; most large ones are not.
      const margin = between(draw, -0.1, 0.45) * size;
      const at = (length: number) => between(draw, Math.min(margin, length / 2), length - Math.min(margin, length / 2));
      const spot = { x: at(width), y: at(height), side: size };
      const free = spots.every((other) => Math.hypot(other.x - spot.x, other.y - spot.y) > 0.42 * (other.side + size));
      if (free || draw.uniform() < 0.02) return spot;
    }
    return null;
  };
  const some = (count: number, low: number, high: number): Spot[] =>
    Array.from({ length: count }, () => {
      const spot = place(low, high);
      if (spot) spots.push(spot);
      return spot;
    }).filter((spot) => spot !== null);
  const faces = some(count, low, high);
  const others = some(draw.uniform() < 0.25 ? 0 : wholeBetween(draw, 1, share < 0 ? 7 : 4), 12, 0.5 * side);
  return { faces, others };
}

/** The image's place on the canvas: turned to `angle`, mirrored or not, a little stretched. */
function drawPlacement(draw: Draw, { image, landmarks }: Source, { x, y, side }: Spot): Affine {
  const from = facePlace(landmarks);
  const flip: Affine = draw.uniform() < 0.5 ? [-1, 0, image.width - 1, 0, 1, 0] : [1, 0, 0, 0, 1, 0];
  const [cx, cy] = pointAt(transformLandmarks(Float32Array.of(from.x, from.y), flip), 0);
  const wide = Math.exp(0.07 * draw.normal());
  const centred: Affine = [wide, 0, -cx * wide, 0, 1 / wide, -cy / wide];
  const own = flip[0] < 0 ? -from.angle : from.angle;
  const move = similarity([0, 0], side / from.side, drawAngle(draw) - own, [x, y]);
  return composeAffine(move, composeAffine(centred, flip));
}

/** Landmarks on the canvas. */
function placed({ image, landmarks }: Source, schema: Faces["schema"], affine: Affine): Landmarks {
  const [a, b, , d, e] = affine;
  // A mirrored face has its left and right exchanged.
  if (a * e - b * d > 0) return transformLandmarks(landmarks, affine);
  const unmirror: Affine = [-1, 0, image.width - 1, 0, 1, 0];
  return transformLandmarks(mirrorLandmarks(landmarks, schema, image.width), composeAffine(affine, unmirror));
}

/** Share of landmarks at pixels that show the thing of a number. */
function visibleShare({ side, owners }: Canvas, landmarks: Landmarks, owner: number): number {
  let seen = 0;
  for (let p = 0; p < landmarks.length / 2; p++) {
    const [x, y] = pointAt(landmarks, p).map(Math.round) as [number, number];
    if (x >= 0 && y >= 0 && x < side && y < side && owners[y * side + x] === owner) seen++;
  }
  return seen / (landmarks.length / 2);
}

/** Shares of scenes with each change at the end. */
const FINISH = { blur: 0.2, gamma: 0.3, posterise: 0.06, low_res: 0.15, jpeg: 0.25 };

/** Changes of the whole scene: tones, noise, resolution, compression. */
function finish({ side, pixels }: Canvas, draw: Draw): void {
  const some = (share: number) => draw.uniform() < share;
  if (some(FINISH.blur)) blur(pixels, side, between(draw, 0.2, 1.2));
  if (some(FINISH.gamma)) applyGamma(pixels, Math.exp(0.35 * Math.max(-2, Math.min(2, draw.normal()))));
  recolour(pixels, draw, { colour: 0.25, grey: 0.15, noise: 0.04 });
  if (some(FINISH.posterise)) posterise(pixels, draw);
  if (some(FINISH.low_res)) {
    lowerResolution(pixels, side, {
      uniform: () => 0.5 * draw.uniform(),
      normal: () => draw.normal(),
    });
  }
  if (some(FINISH.jpeg)) compress(pixels, side, draw);
}

/** Shares of faces, and of what is none, with a body; and of what is none that are round things and no spoilt faces. */
const BODY = 0.3, ROUND = 0.35;

/**
 * Composes a scene.
 *
 * @param faces Images of single faces with 68 landmarks, square; one of the lists is chosen for each face, by `weights`.
 * @param weights Weight of each list, in any unit.
 * @param draw The scene is a function of its numbers.
 */
export function composeScene(
  faces: readonly Faces[],
  weights: readonly number[],
  draw: Draw,
  options: SceneOptions,
): Scene {
  const { side, empty = 0.12, spoilt = true } = options;
  const extent = drawExtent(draw, side);
  const total = weights.reduce((a, b) => a + b, 0);
  const sourceList = (): Faces => {
    let at = draw.uniform() * total;
    return faces[Math.max(0, weights.findIndex((weight) => (at -= weight) < 0))]!;
  };
  const texture = (): Image => pick(sourceList(), draw).image;
  const canvas = createCanvas(side);
  const whole: Bounds = { x: side / 2, y: side / 2, reach: side };
  fill(canvas, whole, () => -Infinity, drawPaint(draw, side, texture()), { owner: 0 });
  let owner = 0;
  const thing = (bounds: Bounds) => drawThing(canvas, draw, bounds, texture(), ++owner);
  const anywhere = (low: number, high: number): Bounds => ({
    x: draw.uniform() * side,
    y: draw.uniform() * side,
    reach: logBetween(draw, low, high) * side,
  });
  const busy = draw.uniform();
  for (let k = Math.floor(16 * busy * busy); k > 0; k--) thing(anywhere(0.03, 0.6));

  const { faces: spots, others } = drawSpots(draw, extent, empty);
  const pasted: { landmarks: Landmarks; owner: number; spot: Spot }[] = [];
  const body = ({ x, y, side: size }: Spot, angle: number) => {
    const far = size * between(draw, 0.9, 1.4), reach = size * between(draw, 0.7, 1.2);
    const [cx, cy] = [x - Math.sin(angle) * far, y + Math.cos(angle) * far];
    const shape: Shape = (px, py) => Math.sqrt((px - cx) ** 2 + (py - cy) ** 2) - reach;
    fill(canvas, { x: cx, y: cy, reach }, shape, drawPaint(draw, reach, texture()), { owner: ++owner });
  };
  for (const spot of others) {
    if (draw.uniform() < BODY) body(spot, drawAngle(draw));
    if (draw.uniform() < ROUND || !spoilt) {
      drawRound(canvas, draw, { ...spot, reach: 0.65 * spot.side }, texture(), ++owner);
      continue;
    }
    const source = pick(sourceList(), draw);
    const affine = drawPlacement(draw, source, spot);
    const cut = drawCut(draw, source.image.width, source.landmarks);
    paste(canvas, draw, spoil(source.image, source.landmarks, draw), affine, cut, ++owner);
  }
  for (const spot of spots) {
    const list = sourceList();
    const source = pick(list, draw);
    const affine = drawPlacement(draw, source, spot);
    const landmarks = placed(source, list.schema, affine);
    if (draw.uniform() < BODY) body(spot, faceAngle(landmarks));
    paste(canvas, draw, source.image, affine, drawCut(draw, source.image.width, source.landmarks), ++owner);
    pasted.push({ landmarks, owner, spot });
  }
  // Things in front: some hide a part of a face.
  for (const { spot } of pasted) {
    if (draw.uniform() >= 0.2) continue;
    const angle = between(draw, 0, 2 * Math.PI), far = spot.side * between(draw, 0.25, 0.65);
    thing({
      x: spot.x + Math.cos(angle) * far,
      y: spot.y + Math.sin(angle) * far,
      reach: spot.side * between(draw, 0.15, 0.45),
    });
  }
  for (let k = Math.floor(4 * draw.uniform() ** 2); k > 0; k--) thing(anywhere(0.02, 0.12));
  finish(canvas, draw);
  addMargin(canvas, extent);

  const found = pasted.map(({ landmarks, owner }): SceneFace => {
    const place = facePlace(landmarks), visible = visibleShare(canvas, landmarks, owner);
    const centred = Math.min(place.x, place.y) >= 0 && place.x <= extent.width - 1 && place.y <= extent.height - 1;
    return { ...place, visible, counts: centred && visible >= LEAST_VISIBLE && place.side >= LEAST_FACE_PX };
  });
  return { pixels: canvas.pixels, faces: found.filter(({ visible }) => visible > 0) };
}

/** Number of a pixel beyond the picture. */
const BEYOND = -1;

/** Grey beyond the right and the lower border of a picture that is smaller than the canvas. */
function addMargin({ side, pixels, owners }: Canvas, { width, height }: Extent): void {
  for (let y = 0; y < side; y++) {
    const from = y < height ? width : 0;
    pixels.fill(0, (y * side + from) * 3, (y + 1) * side * 3);
    owners.fill(BEYOND, y * side + from, (y + 1) * side);
  }
}

/** A scene as an image. */
export function sceneImage({ pixels }: Pick<Scene, "pixels">, side: number): Image {
  const data = new Uint8Array(pixels.length);
  for (let k = 0; k < data.length; k++) data[k] = Math.round((pixels[k]! + 1) * 127.5);
  return { width: side, height: side, data };
}
