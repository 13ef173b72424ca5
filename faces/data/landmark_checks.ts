/**
 * Checks of the landmarks of a set: mistakes that each face alone would hide, as it still looks like a face to a program.
 *
 * @module
 */
import { pointAt } from "../geometry.ts";
import { boundingBox, type Landmarks, meanPoint } from "../landmarks.ts";
import type { Origin } from "../pts.ts";
import type { LandmarkSchema } from "../schema.ts";
import { someOf } from "./folder_files.ts";
import type { ImageHeader } from "./image_header.ts";
import type { Note, NoteCode } from "./index_file.ts";

/** A face of a set, with its image. */
export interface CheckedFace {
  /** Path of the image. */
  readonly file: string;
  /** `[P, 2]`, pixels, counted from 0. */
  readonly landmarks: Landmarks;
  /** Header of the image. */
  readonly header: Pick<ImageHeader, "width" | "height" | "orientation">;
}

/** Mistakes in the landmarks of a face, with their explanations. */
const FAULTS = {
  landmarks_mirrored:
    "are mirrored: the left eye is on the right; an image that is mirrored needs its landmarks renumbered",
  landmarks_swapped: "have x and y swapped",
  landmarks_planar: "look like all x before all y, or all y before all x, where x and y are expected in turn",
  landmarks_bottom_up: "have y counted from the bottom of the image",
  landmarks_on_side: "lie on their side",
  landmarks_upside_down: "stand on their heads",
} as const satisfies Partial<Record<NoteCode, string>>;

/** A mistake in the landmarks of a face. */
export type Fault = keyof typeof FAULTS;

/** Direction from the left to the right eye corner, and from the eyes to the mouth, as shares of the longer side. */
interface Pose {
  readonly eyes: readonly [x: number, y: number];
  readonly down: readonly [x: number, y: number];
  /** Sine of the angle between the two: 1 for an upright face from the front, below 0 for a mirrored one. */
  readonly sine: number;
}

function poseOf(landmarks: ArrayLike<number>, { normalisers, regions }: LandmarkSchema): Pose | undefined {
  const { left, right } = normalisers.interocular;
  const { width, height } = boundingBox(landmarks);
  const side = Math.max(width, height);
  const between = (from: readonly number[], to: readonly number[]) => {
    const [[x0, y0], [x1, y1]] = [meanPoint(landmarks, from), meanPoint(landmarks, to)];
    return [(x1 - x0) / side, (y1 - y0) / side] as const;
  };
  const eyes = between(left, right), down = between(regions["eyes"] ?? [], regions["mouth"] ?? []);
  const lengths = [Math.hypot(...eyes), Math.hypot(...down)] as const;
  // A face from the side, or no face.
  const LEAST = 0.12;
  if (!(Math.min(...lengths) > LEAST)) return undefined;
  return { eyes, down, sine: (eyes[0] * down[1] - eyes[1] * down[0]) / (lengths[0] * lengths[1]) };
}

/** Sine above which a face is one, and below whose negative it is a mirrored one. */
const SURE = 0.5;

/**
 * Finds a mistake in the landmarks of a face.
 *
 * @param landmarks `[P, 2]`.
 * @param schema Their schema.
 * @returns The mistake, undefined if there is none or the face is seen too much from the side.
 */
export function faultOf(landmarks: Landmarks, schema: LandmarkSchema): Fault | undefined {
  if (isPlanar(landmarks, schema)) return "landmarks_planar";
  const pose = poseOf(landmarks, schema);
  if (!pose || Math.abs(pose.sine) < SURE) return undefined;
  const { eyes: [ex, ey], down: [dx, dy], sine } = pose;
  if (sine < 0) {
    if (Math.abs(ey) > Math.abs(ex)) return ey > 0 && dx > 0 ? "landmarks_swapped" : "landmarks_mirrored";
    return ex > 0 && dy < 0 ? "landmarks_bottom_up" : "landmarks_mirrored";
  }
  const turned = Math.abs(Math.atan2(ey, ex)) * 180 / Math.PI;
  return turned > 135 ? "landmarks_upside_down" : turned > 60 ? "landmarks_on_side" : undefined;
}

/**
 * True if pairs of following numbers are alike, and halves of the list make a face. The correlation of x and y was at most
 * 0.43 on 1,782 photographs, drawings and paintings, and at least 0.79 where all x came first.
 */
function isPlanar(landmarks: Landmarks, schema: LandmarkSchema): boolean {
  const LEAST = 0.65;
  if (!(correlation(landmarks) > LEAST)) return false;
  const { count } = schema;
  return [[0, count], [count, 0]].some(([x = 0, y = 0]) => {
    const pairs = Float32Array.from(landmarks, (_, k) => landmarks[(k % 2 ? y : x) + (k >> 1)] ?? NaN);
    return (poseOf(pairs, schema)?.sine ?? 0) > SURE && correlation(pairs) < LEAST;
  });
}

/** Correlation of x and y. */
function correlation(landmarks: Landmarks): number {
  const count = landmarks.length / 2;
  let sx = 0, sy = 0, sxx = 0, syy = 0, sxy = 0;
  for (let p = 0; p < count; p++) {
    const [x, y] = pointAt(landmarks, p);
    sx += x, sy += y, sxx += x * x, syy += y * y, sxy += x * y;
  }
  return (count * sxy - sx * sy) / Math.sqrt((count * sxx - sx * sx) * (count * syy - sy * sy));
}

/**
 * Checks the faces of a set.
 *
 * @param faces The faces.
 * @param schema Schema of their landmarks.
 * @param origin Coordinate of the centre of the first pixel that the files were read with.
 * @returns Notes that name the files.
 */
export function checkLandmarks(faces: readonly CheckedFace[], schema: LandmarkSchema, origin: Origin): Note[] {
  const notes: Note[] = [];
  const add = (code: NoteCode, found: readonly CheckedFace[], what: string) => {
    if (found.length === 0) return;
    const files = found.map(({ file }) => file);
    const subject = `landmarks of ${files.length} of ${faces.length} ${faces.length === 1 ? "face" : "faces"}`;
    notes.push({ code, message: `${subject} ${what}: ${someOf(files)}`, files });
  };
  const byFault = Map.groupBy(faces, ({ landmarks }) => faultOf(landmarks, schema));
  for (const [code, what] of Object.entries(FAULTS) as [Fault, string][]) {
    const stored = code === "landmarks_on_side" || code === "landmarks_upside_down";
    const found = Map.groupBy(byFault.get(code) ?? [], ({ header }) => stored && header.orientation !== 1);
    add(code, found.get(false) ?? [], what);
    add(code, found.get(true) ?? [], `${what} in images that EXIF data turn: they seem to be of the stored pixels`);
  }
  add(
    "landmarks_outside",
    faces.filter(isOutside),
    "are to a fifth or more outside of the image: is it of another size?",
  );
  const files = faces.map(({ file }) => file);
  if (origin !== 1 && counts(faces, 1)) {
    notes.push({
      code: "landmarks_origin",
      message: "coordinates go from 1 to the size of the image: they seem to count from 1, which origin: 1 says",
      files,
    });
  } else if (origin === 1 && counts(faces, -1)) {
    notes.push({
      code: "landmarks_origin",
      message: "coordinates go from 0 to the size of the image less 1: they seem to count from 0, which origin: 0 says",
      files,
    });
  }
  return notes;
}

function isOutside({ landmarks, header: { width, height } }: CheckedFace): boolean {
  const count = landmarks.length / 2;
  let outside = 0;
  for (let p = 0; p < count; p++) {
    const [x, y] = pointAt(landmarks, p);
    if (x < -0.5 || y < -0.5 || x > width - 0.5 || y > height - 0.5) outside++;
  }
  return outside >= count / 5;
}

/**
 * True if tools that keep landmarks in the image kept them in one that is shifted by a pixel: none leaves it, and some lie
 * on its last edge.
 */
function counts(faces: readonly CheckedFace[], shift: 1 | -1): boolean {
  const LEAST = 3, NEAR = 1e-3;
  let edges = 0;
  for (const { landmarks, header: { width, height } } of faces) {
    for (const [k, px] of landmarks.entries()) {
      const last = (k % 2 ? height : width) - 1 + shift;
      if (px < shift - NEAR || px > last + NEAR) return false;
      // The edge that lies outside of the image as it was read.
      if (Math.abs(px - (shift > 0 ? last : shift)) < NEAR) edges++;
    }
  }
  return edges >= LEAST;
}
