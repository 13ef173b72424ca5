/**
 * The turned square of a face before a detector, and its landmarks in the picture after it, in ONNX's own nodes.
 *
 * Numbers are f32 here and f64 in `faces/data`, so a byte of a crop is rounded differently now and then.
 *
 * @module
 */

import { CROP_SCALE } from "../../faces/landmarks.ts";
import { mouthOf } from "../../faces/place.ts";
import type { LandmarkSchema } from "../../faces/schema.ts";
import { LEAST_DOUBT } from "../finder/evidence.ts";
import { Formulas, normalised } from "./onnx_formulas.ts";
import type { OnnxWriter } from "./onnx_ops.ts";

/** Most halvings of a picture. Its parts are cut at multiples of `ALIGNED`, so that their halves are those of the whole picture. */
const HALVINGS = 5, ALIGNED = 2 ** HALVINGS;

/** The square of a face in a picture, cut out by {@linkcode squareOf}. */
export interface CutSquare {
  /** `[1, size_px, size_px, 3]`, -1 to 1. */
  readonly images: string;
  /** `[1]` each: the face's place in the picture, and the side of the square. */
  readonly x: string;
  readonly y: string;
  readonly side: string;
  readonly angle: string;
  readonly square: string;
}

/**
 * The turned square of a face, as `cropTurned()` cuts it.
 *
 * @param picture `[h, w, 3]`, bytes as floats.
 * @param place `[4]`, x, y, side and angle of the face, see `FacePlace`.
 * @param size_px Side of the result.
 */
export function squareOf(w: OnnxWriter, picture: string, place: string, size_px: number): CutSquare {
  const f = new Formulas(w);
  const [x = "", y = "", side = "", angle = ""] = w.split(place, 0, [1, 1, 1, 1]);
  const square = f.of("Mul", side, CROP_SCALE);
  const [cos, sin] = [f.of("Cos", angle), f.of("Sin", angle)];
  const { left, top, levels } = pyramidAround(f, picture, [x, y], f.of("Add", f.of("Mul", square, 0.75), 2));
  const halvings = f.of("Floor", f.of("Div", f.of("Log", f.of("Div", square, 2 * size_px)), Math.LN2));
  const level = f.of("Max", f.of("Min", halvings, HALVINGS), 0);
  const image = w.emit("SequenceAt", [w.emit("SequenceConstruct", levels), w.emit("Squeeze", [f.whole(level)])]);
  // Places of the square's pixels in it, [size, size].
  const factor = f.of("Pow", 2, level), scale = f.of("Div", square, f.of("Mul", factor, size_px));
  const shrinks = f.of("Less", 1, scale);
  const steps = Array.from({ length: size_px }, (_, k) => k - (size_px - 1) / 2);
  const [u, v] = [w.floats(steps, [1, size_px]), w.floats(steps, [size_px, 1])].map((step) => f.of("Mul", step, scale));
  const inImage = (at: string, from: string, offset: string) =>
    f.of("Add", f.of("Sub", f.of("Div", f.of("Add", f.of("Sub", at, from), 0.5), factor), 0.5), offset);
  const px = inImage(x, left, f.of("Sub", f.of("Mul", u!, cos), f.of("Mul", v!, sin)));
  const py = inImage(y, top, f.of("Add", f.of("Mul", u!, sin), f.of("Mul", v!, cos)));
  const means = meansAround(f, image, [px, py], { cos, sin, scale, shrinks });
  return { images: normalised(f, f.rounded(means)), x, y, side, angle, square };
}

/**
 * The part of a picture around a point, and copies of it of half the size, a quarter and so on.
 *
 * @param reach Half the side of the part, at least.
 * @returns `levels`, from the largest; `left` and `top`, the part's corner in the picture.
 */
function pyramidAround(
  f: Formulas,
  picture: string,
  [x, y]: readonly [string, string],
  reach: string,
): { left: string; top: string; levels: string[] } {
  const multiple = (type: "Floor" | "Ceil", at: string) => f.of("Mul", f.of(type, f.of("Div", at, ALIGNED)), ALIGNED);
  const span = (at: string, axis: number) => {
    const extent = f.extent(picture, axis);
    const from = multiple("Floor", f.clipped(f.of("Sub", at, reach), extent));
    const to = f.of("Max", multiple("Ceil", f.of("Add", at, reach)), f.of("Add", from, ALIGNED));
    return { from, to: f.of("Min", to, extent) };
  };
  const [rows, columns] = [span(y, 0), span(x, 1)];
  const bounds = (end: "from" | "to") => f.whole(f.concat(0, rows[end], columns[end]));
  const levels = [f.w.emit("Slice", [picture, bounds("from"), bounds("to"), f.w.ints([0, 1])])];
  for (let k = 0; k < HALVINGS; k++) levels.push(halved(f, levels[k]!));
  return { left: columns.from, top: rows.from, levels };
}

/**
 * Weighted means of an image's pixels around points: over turned squares of a side of `scale` pixels where that `shrinks`, or
 * between the nearest pixels.
 *
 * @param points Columns and rows, `[size, size]` each.
 * @returns `[size, size, 3]`.
 */
function meansAround(
  f: Formulas,
  image: string,
  [px, py]: readonly [string, string],
  { cos, sin, scale, shrinks }: Readonly<Record<"cos" | "sin" | "scale" | "shrinks", string>>,
): string {
  // The pixels around each, [size, size, taps], and their weights, [size, size, taps, taps].
  const widest = f.of("Mul", scale, f.of("Add", f.of("Abs", cos), f.of("Abs", sin)));
  const radius = f.of("Where", shrinks, widest, 1);
  const taps = f.range(f.of("Add", f.of("Mul", f.of("Ceil", radius), 2), 1));
  const around = (at: string) => f.of("Add", f.unsqueeze(f.of("Ceil", f.of("Sub", at, radius)), 2), taps);
  const [qx, qy] = [around(px), around(py)];
  const [dx, dy] = [
    f.unsqueeze(f.of("Sub", qx, f.unsqueeze(px, 2)), 2),
    f.unsqueeze(f.of("Sub", qy, f.unsqueeze(py, 2)), 3),
  ];
  const [along, across] = [
    f.of("Where", shrinks, f.of("Div", cos, scale), 1),
    f.of("Where", shrinks, f.of("Div", sin, scale), 0),
  ];
  const wide = f.triangle(f.of("Add", f.of("Mul", dx, along), f.of("Mul", dy, across)));
  const high = f.triangle(f.of("Sub", f.of("Mul", dy, along), f.of("Mul", dx, across)));
  const weights = f.of("Mul", wide, high);
  const [height, width] = [f.extent(image, 0), f.extent(image, 1)];
  const row = f.of("Mul", f.unsqueeze(f.clipped(qy, height), 3), width);
  const at = f.whole(f.of("Add", row, f.unsqueeze(f.clipped(qx, width), 2)));
  const pixels = f.w.emit("Gather", [f.w.emit("Reshape", [image, f.w.ints([-1, 3])]), at]);
  const total = f.sum(f.of("Mul", pixels, f.unsqueeze(weights, 4)), 2, 3);
  return f.of("Div", total, f.unsqueeze(f.sum(weights, 2, 3), 2));
}

/** A copy of half the size; an odd last row or column counts twice. */
function halved(f: Formulas, image: string): string {
  const sums = [0, 1].reduce((x, axis) => {
    const extent = f.extent(x, axis), first = f.of("Mul", f.range(f.of("Ceil", f.of("Div", extent, 2))), 2);
    const every = (at: string) => f.w.emit("Gather", [x, f.whole(f.clipped(at, extent))], { axis });
    return f.of("Add", every(first), every(f.of("Add", first, 1)));
  }, image);
  return f.rounded(f.of("Div", sums, 4));
}

/** A detector, and the part of its square's side and the angle, radians, by which a last pass moves and turns a face at most. */
interface Passes {
  readonly size_px: number;
  readonly schema: LandmarkSchema;
  readonly shift: number;
  readonly turn: number;
}

/**
 * The landmarks of a square in the picture, and the face's place by them.
 *
 * @param found `landmarks`, `[1, P, 2]`, pixels of the square, `covariance`, `[1, P, 3]`, xx, yy and xy of the heatmaps, and
 *   `features`, `[1, D]`, if the network has them.
 * @returns `landmarks`, `[P, 2]`, and `uncertainty`, `[P]`, pixels of the picture; `next`, `[4]`, the place of the next pass;
 *   `settled`, `[1]`, 1 if it is nearly the one before; `evidence`, `[1 + D]`, what `pairScore()` multiplies by the factors of the
 *   doubt and of the features: logarithms of the mean spread, parts of the square's side, and of 1 and each feature.
 */
export function landmarksInPicture(
  w: OnnxWriter,
  cut: CutSquare,
  { landmarks = "", covariance = "", features }: Readonly<Record<string, string>>,
  { size_px, schema, ...most }: Passes,
): Record<"landmarks" | "uncertainty" | "next" | "settled" | "evidence", string> {
  const f = new Formulas(w);
  const { count: P } = schema, scale = f.of("Div", cut.square, size_px);
  const inSquare = f.of("Sub", w.emit("Reshape", [landmarks, w.ints([P, 2])]), (size_px - 1) / 2);
  const centre = f.unsqueeze(f.concat(0, cut.x, cut.y), 0);
  const points = f.of("Add", f.turned(f.of("Mul", inSquare, scale), cut.angle), centre);
  const { x, y, side, angle } = placeOf(f, points, schema);
  const far = (a: string, b: string) => f.of("Abs", f.of("Sub", a, b));
  const resized = f.of("Mul", far(side, cut.side), CROP_SCALE);
  const shift = f.of("Max", f.of("Max", far(x, cut.x), far(y, cut.y)), resized);
  const off = f.of("Sub", angle, cut.angle), turned = f.of("Abs", f.atan2(f.of("Sin", off), f.of("Cos", off)));
  const same = f.of("And", f.of("Less", shift, f.of("Mul", cut.square, most.shift)), f.of("Less", turned, most.turn));
  const [xx = "", yy = ""] = w.split(w.emit("Reshape", [covariance, w.ints([P, 3])]), 1, [1, 1, 1]);
  const spread = f.of("Sqrt", f.of("Relu", f.of("Add", xx, yy)));
  const meanSpread = w.emit("Reshape", [w.emit("ReduceMean", [spread], { axes: [0] }), w.ints([1])]);
  const doubt = f.of("Log", f.of("Max", f.of("Div", meanSpread, size_px), LEAST_DOUBT));
  return {
    landmarks: points,
    uncertainty: w.emit("Reshape", [f.of("Mul", spread, scale), w.ints([P])]),
    next: f.concat(0, x, y, side, angle),
    settled: f.float(same),
    evidence: features === undefined
      ? doubt
      : f.concat(0, doubt, w.emit("Reshape", [f.of("Log", f.of("Add", features, 1)), w.ints([-1])])),
  };
}

/**
 * The place of a face, as `facePlace()` takes it from its landmarks.
 *
 * @param points `[P, 2]`, pixels.
 * @returns `[1]` each.
 */
function placeOf(
  f: Formulas,
  points: string,
  schema: LandmarkSchema,
): Record<"x" | "y" | "side" | "angle", string> {
  const { w } = f, { count, normalisers: { interpupil: { left, right } } } = schema;
  // Means of the eyes and the mouth, see faceAngle().
  const means = [left, right, mouthOf(schema)].flatMap((those) =>
    Array.from({ length: count }, (_, p) => those.includes(p) ? 1 / those.length : 0)
  );
  const middles = w.emit("Reshape", [w.emit("MatMul", [w.floats(means, [3, count]), points]), w.ints([6])]);
  const [lx = "", ly = "", rx = "", ry = "", mx = "", my = ""] = w.split(middles, 0, [1, 1, 1, 1, 1, 1]);
  const below = (mouth: string, a: string, b: string) => f.of("Sub", mouth, f.of("Div", f.of("Add", a, b), 2));
  const across = f.of("Sub", below(mx, lx, rx), f.of("Sub", ry, ly));
  const down = f.of("Add", below(my, ly, ry), f.of("Sub", rx, lx));
  const angle = f.atan2(f.of("Neg", across), down);
  const upright = f.turned(points, f.of("Neg", angle));
  const [low, high] = ["ReduceMin", "ReduceMax"].map((type) => w.emit(type, [upright], { axes: [0], keepdims: 1 }));
  const middle = f.turned(f.of("Div", f.of("Add", low!, high!), 2), angle);
  const [x = "", y = ""] = w.split(w.emit("Reshape", [middle, w.ints([2])]), 0, [1, 1]);
  const longer = w.emit("ReduceMax", [f.of("Sub", high!, low!)], { axes: [1], keepdims: 0 });
  return { x, y, side: longer, angle };
}
