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
  composeAffine,
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
import { drawCut, paste } from "./paste.ts";
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
interface Source extends Pick<Faces, "schema"> {
  readonly image: Image;
  readonly landmarks: Landmarks;
}

/** Draws one face of a list. */
function drawSource({ images, landmarks, size_px, schema }: Faces, draw: Draw): Source {
  const bytes = size_px * size_px * 3, stride = 2 * schema.count;
  const k = Math.floor(draw.uniform() * images.length / bytes);
  return {
    schema,
    image: { width: size_px, height: size_px, data: images.subarray(k * bytes, (k + 1) * bytes) },
    landmarks: landmarks.subarray(k * stride, (k + 1) * stride),
  };
}

/** Draws an angle: two in three are uniform, so that a network reads the angle from the face and not from what is usual. */
function drawAngle(draw: Draw): number {
  const kind = draw.uniform();
  if (kind < 0.2) return 0.2 * draw.normal();
  if (kind < 0.35) return 0.6 * draw.normal();
  return between(draw, -Math.PI, Math.PI);
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
function placed({ image, landmarks, schema }: Source, affine: Affine): Landmarks {
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

/** Share of the heads with a body, and of the things that are no faces which are round and no spoilt faces. */
const BODY = 0.3, ROUND = 0.35;
/** Share of the faces with a thing before them. */
const OCCLUDED = 0.2;

/** A face on the canvas. */
interface PastedFace {
  /** Pixels of the canvas. */
  readonly landmarks: Landmarks;
  /** Its number there. */
  readonly owner: number;
}

/** A canvas on which things are painted one over the other, each of the next number. */
class Composition {
  readonly canvas: Canvas;
  #owner = 0;

  constructor(
    private readonly faces: readonly Faces[],
    private readonly weights: readonly number[],
    private readonly draw: Draw,
    private readonly side: number,
  ) {
    this.canvas = createCanvas(side);
  }

  #drawSource(): Source {
    let at = this.draw.uniform() * this.weights.reduce((a, b) => a + b, 0);
    const list = Math.max(0, this.weights.findIndex((weight) => (at -= weight) < 0));
    return drawSource(this.faces[list]!, this.draw);
  }

  /** Draws an image whose parts give a thing its colours. */
  #drawTexture(): Image {
    return this.#drawSource().image;
  }

  paintBackground(): void {
    const { canvas, draw, side } = this, whole: Bounds = { x: side / 2, y: side / 2, reach: side };
    fill(canvas, whole, () => -Infinity, drawPaint(draw, side, this.#drawTexture()), { owner: 0 });
  }

  #paintThing(bounds: Bounds): void {
    drawThing(this.canvas, this.draw, bounds, this.#drawTexture(), ++this.#owner);
  }

  /** Paints things anywhere. */
  paintThings(count: number, smallest: number, largest: number): void {
    const { draw, side } = this;
    for (let k = 0; k < count; k++) {
      const [x, y] = [draw.uniform() * side, draw.uniform() * side];
      this.#paintThing({ x, y, reach: logBetween(draw, smallest, largest) * side });
    }
  }

  #paintBody({ x, y, side: size }: Spot, angle: number): void {
    const { draw } = this, far = size * between(draw, 0.9, 1.4), reach = size * between(draw, 0.7, 1.2);
    const [cx, cy] = [x - Math.sin(angle) * far, y + Math.cos(angle) * far];
    const shape: Shape = (px, py) => Math.sqrt((px - cx) ** 2 + (py - cy) ** 2) - reach;
    const paint = drawPaint(draw, reach, this.#drawTexture());
    fill(this.canvas, { x: cx, y: cy, reach }, shape, paint, { owner: ++this.#owner });
  }

  /** Paints a thing that is no face: a round one, or if `spoilt` a face that was made into none. */
  paintOther(spot: Spot, spoilt: boolean): void {
    const { canvas, draw } = this;
    if (draw.uniform() < BODY) this.#paintBody(spot, drawAngle(draw));
    if (draw.uniform() < ROUND || !spoilt) {
      drawRound(canvas, draw, { ...spot, reach: 0.65 * spot.side }, this.#drawTexture(), ++this.#owner);
      return;
    }
    const source = this.#drawSource(), { image, landmarks } = source;
    const affine = drawPlacement(draw, source, spot);
    const cut = drawCut(draw, image.width, landmarks);
    paste(canvas, draw, spoil(image, landmarks, draw), affine, cut, ++this.#owner);
  }

  paintFace(spot: Spot): PastedFace {
    const { canvas, draw } = this, source = this.#drawSource(), { image } = source;
    const affine = drawPlacement(draw, source, spot);
    const landmarks = placed(source, affine);
    if (draw.uniform() < BODY) this.#paintBody(spot, faceAngle(landmarks));
    paste(canvas, draw, image, affine, drawCut(draw, image.width, source.landmarks), ++this.#owner);
    return { landmarks, owner: this.#owner };
  }

  /** Paints a thing that hides a part of a face. */
  paintOccluder({ x, y, side }: Spot): void {
    const { draw } = this, angle = between(draw, 0, 2 * Math.PI), far = side * between(draw, 0.25, 0.65);
    const reach = side * between(draw, 0.15, 0.45);
    this.#paintThing({ x: x + Math.cos(angle) * far, y: y + Math.sin(angle) * far, reach });
  }
}

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
  { side, empty = 0.12, spoilt = true }: SceneOptions,
): Scene {
  const extent = drawExtent(draw, side);
  const composition = new Composition(faces, weights, draw, side), { canvas } = composition;
  composition.paintBackground();
  const busy = draw.uniform();
  composition.paintThings(Math.floor(16 * busy * busy), 0.03, 0.6);
  const spots = drawSpots(draw, extent, empty);
  for (const spot of spots.others) composition.paintOther(spot, spoilt);
  const pasted = spots.faces.map((spot) => composition.paintFace(spot));
  for (const spot of spots.faces) if (draw.uniform() < OCCLUDED) composition.paintOccluder(spot);
  composition.paintThings(Math.floor(4 * draw.uniform() ** 2), 0.02, 0.12);
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
