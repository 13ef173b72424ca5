/**
 * Pre- and post-processing of pictures in ONNX's own nodes: smaller copies and turned squares of a picture before a network, and
 * places in the picture after it. So a file takes a picture and gives faces, and a program around it stays short.
 *
 * Numbers are f32 here and f64 in `faces/data`, which rounds a byte of a crop in another way now and then.
 *
 * @module
 */

import type { LandmarkSchema } from "../../faces/schema.ts";
import { CROP_SCALE } from "../../faces/landmarks.ts";
import { mouthOf } from "../../faces/place.ts";
import { LEAST_DOUBT } from "../finder/evidence.ts";
import { FLOAT, type OnnxWriter } from "./onnx_ops.ts";

/** A tensor by name, or a number. */
type Operand = string | number;

const INT64 = 7;

/** Writes nodes whose operands may be numbers; scalars have one element, and broadcast. */
class Formulas {
  constructor(readonly w: OnnxWriter) {}

  /** A node. */
  of(type: string, ...operands: readonly Operand[]): string {
    return this.w.emit(type, operands.map((x) => typeof x === "number" ? this.w.floats([x], [1]) : x));
  }

  /** Tensors one after the other along an axis. */
  concat(axis: number, ...parts: readonly string[]): string {
    return this.w.emit("Concat", parts, { axis });
  }

  /** Inserts axes of one element. */
  unsqueeze(x: string, ...axes: readonly number[]): string {
    return this.w.emit("Unsqueeze", [x, this.w.ints(axes)]);
  }

  /** Sum over axes, which go. */
  sum(x: string, ...axes: readonly number[]): string {
    return this.w.emit("ReduceSum", [x, this.w.ints(axes)], { keepdims: 0 });
  }

  /** Whole numbers as floats. */
  float(x: string): string {
    return this.w.emit("Cast", [x], { to: FLOAT });
  }

  /** Floats as whole numbers. */
  whole(x: string): string {
    return this.w.emit("Cast", [x], { to: INT64 });
  }

  /** Extent of a tensor along an axis, as a float. */
  extent(x: string, axis: number): string {
    return this.float(this.w.emit("Gather", [this.w.emit("Shape", [x]), this.w.ints([axis])]));
  }

  /** 0, 1, 2 ... up to a number. */
  range(count: string): string {
    const scalar = (x: Operand) => this.w.emit("Squeeze", [typeof x === "string" ? x : this.w.floats([x], [1])]);
    return this.w.emit("Range", [scalar(0), scalar(count), scalar(1)]);
  }

  /** Bytes of means: the nearest whole numbers, from a half up. */
  rounded(x: string): string {
    return this.of("Floor", this.of("Add", x, 0.5));
  }

  /** Indices within an extent: those beyond its ends are its ends. */
  clipped(x: string, extent: string): string {
    return this.of("Max", this.of("Min", x, this.of("Sub", extent, 1)), 0);
  }

  /** `1 - |x|` where it is above 0. */
  triangle(x: string): string {
    return this.of("Relu", this.of("Sub", 1, this.of("Abs", x)));
  }

  /** Angle of a vector, radians from -pi to pi. */
  atan2(y: string, x: string): string {
    const half = this.of("Atan", this.of("Div", y, x));
    const turn = this.of("Where", this.of("Less", y, 0), -Math.PI, Math.PI);
    return this.of("Where", this.of("Less", x, 0), this.of("Add", half, turn), half);
  }

  /** Matrix that turns rows of points by an angle, clockwise. */
  turn(cos: string, sin: string): string {
    return this.w.emit("Reshape", [this.concat(0, cos, sin, this.of("Neg", sin), cos), this.w.ints([2, 2])]);
  }
}

/** Pixels of an image as a network takes them, -1 to 1, `[1, h, w, 3]`. */
const normalised = (f: Formulas, bytes: string) => f.unsqueeze(f.of("Sub", f.of("Div", bytes, 127.5), 1), 0);

/**
 * A copy of another size, as `resizeArea()` and `enlarge()` make it.
 *
 * @param picture `[h, w, 3]`, bytes as floats.
 * @param size `[2]`, rows and columns of the copy.
 * @returns `[rows, columns, 3]`.
 */
function resized(f: Formulas, picture: string, size: string): string {
  const { w } = f;
  const [rows = "", columns = ""] = w.split(size, 0, [1, 1]);
  const high = resampled(f, picture, 0, rows);
  return f.rounded(resampled(f, high, 1, columns));
}

/** Means along an axis: of what each new pixel covers, or between the two nearest where there are more new ones. */
function resampled(f: Formulas, x: string, axis: 0 | 1, count: string): string {
  const extent = f.extent(x, axis), ratio = f.of("Div", extent, count), half = f.of("Div", ratio, 2);
  const middle = f.of("Sub", f.of("Mul", f.of("Add", f.range(count), 0.5), ratio), 0.5);
  const first = f.of("Floor", f.of("Sub", f.of("Sub", middle, half), 0.5));
  const taps = f.of("Add", f.unsqueeze(first, 1), f.range(f.of("Add", f.of("Floor", ratio), 4)));
  const off = f.of("Sub", taps, f.unsqueeze(middle, 1));
  const [upper, lower] = [
    f.of("Min", f.of("Add", off, 0.5), half),
    f.of("Max", f.of("Sub", off, 0.5), f.of("Neg", half)),
  ];
  const covered = f.of("Relu", f.of("Sub", upper, lower));
  const shares = f.of("Where", f.of("Less", ratio, 1), f.triangle(off), covered);
  const weights = f.of("Div", shares, f.unsqueeze(f.sum(shares, 1), 1));
  const pixels = f.w.emit("Gather", [x, f.whole(f.clipped(taps, extent))], { axis });
  // [count, taps, columns, 3] or [rows, count, taps, 3].
  const weighted = f.of("Mul", pixels, axis === 0 ? f.unsqueeze(weights, 2, 3) : f.unsqueeze(weights, 2));
  return f.sum(weighted, axis + 1);
}

/**
 * The network's input for a copy of a picture.
 *
 * @param picture `[h, w, 3]`, bytes as floats.
 * @param size `[2]`, rows and columns of the copy.
 * @param multiple What the sides of the network's images are multiples of; grey stands beyond the copy.
 */
export function copyOf(
  w: OnnxWriter,
  picture: string,
  size: string,
  multiple: number,
): { copy: string; images: string } {
  const f = new Formulas(w);
  const copy = resized(f, picture, size);
  const beyond = f.of("Sub", f.of("Mul", f.of("Ceil", f.of("Div", size, multiple)), multiple), size);
  const none = w.ints([0]);
  const pads = f.concat(0, none, none, none, none, none, f.whole(beyond), none);
  return { copy, images: w.emit("Pad", [normalised(f, copy), pads]) };
}

/** A finder's outputs, and which faces its file gives. */
interface Reading {
  /** Extent of a cell, pixels. */
  readonly cell_px: number;
  /** Side of a face whose logarithm is 0, pixels. */
  readonly reference_px: number;
  /** Map from logits to scores. */
  readonly slope: number;
  /** See `slope`. */
  readonly shift: number;
  /** Least score. */
  readonly least_score: number;
}

/**
 * Faces in the cells of a finder, as `readCells()` reads them.
 *
 * @param cells `[1, h, w, 6]`.
 * @param size `[2]`, rows and columns of the copy that was searched.
 * @param whole `[2]`, rows and columns of the picture.
 * @param sides `[2]`, sides of the smallest and the largest face, pixels of the copy.
 * @returns `[N, 5]`, score, x, y, side and angle in pixels of the picture.
 */
export function facesInCells(
  w: OnnxWriter,
  cells: string,
  [size, whole, sides]: readonly [size: string, whole: string, sides: string],
  { cell_px, reference_px, slope, shift, least_score }: Reading,
): string {
  const f = new Formulas(w);
  const least = (Math.log(least_score / (1 - least_score)) - shift) / slope;
  const logits = w.emit("Transpose", [w.split(cells, 3, [1, 5])[0]!], { perm: [0, 3, 1, 2] });
  const best = w.emit("MaxPool", [logits], { kernel_shape: [3, 3], strides: [1, 1], pads: [1, 1, 1, 1] });
  const peaks = w.emit("NonZero", [f.of("And", f.of("Equal", logits, best), f.of("Greater", logits, least))]);
  const [, , row = "", column = ""] = w.split(f.float(peaks), 0, [1, 1, 1, 1]);
  const at = f.whole(f.of("Add", f.of("Mul", row, f.extent(cells, 2)), column));
  const values = w.emit("Gather", [
    w.emit("Reshape", [cells, w.ints([-1, 6])]),
    w.emit("Reshape", [at, w.ints([-1])]),
  ]);
  const [logit = "", dx = "", dy = "", log = "", sin = "", cos = ""] = w.split(values, 1, [1, 1, 1, 1, 1, 1]);
  const score = f.of("Sigmoid", f.of("Add", f.of("Mul", logit, slope), shift));
  const side = f.of("Mul", f.of("Exp", log), reference_px);
  // From the copy to the picture.
  const [height = "", width = ""] = w.split(whole, 0, [1, 1]);
  const ratios = f.of("Div", whole, size), [down = "", across = ""] = w.split(ratios, 0, [1, 1]);
  const inPicture = (index: string, offset: string, ratio: string) => {
    const along = f.of("Add", f.of("Add", w.emit("Reshape", [index, w.ints([-1, 1])]), 0.5), offset);
    return f.of("Sub", f.of("Mul", f.of("Mul", along, cell_px), ratio), 0.5);
  };
  const [x, y] = [inPicture(column, dx, across), inPicture(row, dy, down)];
  const within = (at: string, extent: string) =>
    f.of("And", f.of("Greater", at, -0.5), f.of("Less", at, f.of("Sub", extent, 0.5)));
  const [smallest = "", largest = ""] = w.split(sides, 0, [1, 1]);
  const beyond = f.of("Or", f.of("Less", side, smallest), f.of("Greater", side, largest));
  const wanted = f.of("And", f.of("And", within(x, width), within(y, height)), f.of("Not", beyond));
  const large = f.of("Mul", side, f.of("Sqrt", f.of("Mul", across, down)));
  const faces = f.concat(1, score, x, y, large, f.atan2(sin, cos));
  return w.emit("Compress", [faces, w.emit("Reshape", [wanted, w.ints([-1])])], { axis: 0 });
}

/** Rounds of {@linkcode kept}: faces that hide each other in a longer chain are more than pictures have. */
const ROUNDS = 16;

/**
 * One of several faces at a place, as `suppress()` leaves it.
 *
 * @param faces `[N, 5]`, see {@linkcode facesInCells}.
 * @param most Overlap of two circles over their union, and over the smaller one, up to which they are two faces.
 * @returns `[M, 5]`, from the greatest score to the least.
 */
export function keptOf(w: OnnxWriter, faces: string, most: { same: number; within: number }): string {
  const f = new Formulas(w);
  const count = w.emit("Gather", [w.emit("Shape", [faces]), w.ints([0])]);
  const order = w.order(w.emit("Reshape", [w.split(faces, 1, [1, 4])[0]!, w.ints([-1])]), count);
  const sorted = w.emit("Gather", [faces, order]);
  const [, x = "", y = "", side = ""] = w.split(sorted, 1, [1, 1, 1, 1, 1]);
  const other = (column: string) => w.emit("Transpose", [column], { perm: [1, 0] });
  // Areas over pi.
  const [r, dx, dy] = [f.of("Div", side, 2), f.of("Sub", x, other(x)), f.of("Sub", y, other(y))], s = other(r);
  const square = (x: string) => f.of("Mul", x, x);
  const d = f.of("Max", f.of("Sqrt", f.of("Add", square(dx), square(dy))), 1e-6);
  const chord = f.of("Div", f.of("Sub", f.of("Add", square(d), square(r)), square(s)), f.of("Mul", d, 2));
  const segment = (r: string, x: string) => {
    const cos = f.of("Max", f.of("Min", f.of("Div", x, r), 1), -1);
    const root = f.of("Sqrt", f.of("Relu", f.of("Sub", square(r), square(x))));
    return f.of("Sub", f.of("Mul", square(r), f.of("Acos", cos)), f.of("Mul", x, root));
  };
  const lens = f.of("Div", f.of("Add", segment(r, chord), segment(s, f.of("Sub", d, chord))), Math.PI);
  const smaller = square(f.of("Min", r, s));
  const contained = f.of("Not", f.of("Greater", d, f.of("Abs", f.of("Sub", r, s))));
  const apart = f.of("Not", f.of("Less", d, f.of("Add", r, s)));
  const both = f.of("Where", apart, 0, f.of("Where", contained, smaller, lens));
  const union = f.of("Sub", f.of("Add", square(r), square(s)), both);
  const overlaps = f.of(
    "Or",
    f.of("Greater", both, f.of("Mul", union, most.same)),
    f.of("Greater", both, f.of("Mul", smaller, most.within)),
  );
  // Those before a face, which are surer, hide it unless they are hidden.
  const index = f.range(f.float(count));
  const before = f.of("Less", f.unsqueeze(index, 0), f.unsqueeze(index, 1));
  const hides = f.float(f.of("And", overlaps, before));
  let kept = f.of("Add", f.of("Mul", r, 0), 1);
  for (let k = 0; k < ROUNDS; k++) kept = f.of("Relu", f.of("Sub", 1, w.emit("MatMul", [hides, kept])));
  return w.emit("Compress", [sorted, w.emit("Reshape", [f.of("Greater", kept, 0.5), w.ints([-1])])], { axis: 0 });
}

/** Halvings of a picture at most, and what its parts are cut at multiples of, so that halves are those of the whole. */
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
  // The part of the picture around it.
  const reach = f.of("Add", f.of("Mul", square, 0.75), 2);
  const multiple = (type: "Floor" | "Ceil", at: string) => f.of("Mul", f.of(type, f.of("Div", at, ALIGNED)), ALIGNED);
  const span = (at: string, axis: number) => {
    const extent = f.extent(picture, axis);
    const from = multiple("Floor", f.clipped(f.of("Sub", at, reach), extent));
    const to = f.of("Max", multiple("Ceil", f.of("Add", at, reach)), f.of("Add", from, ALIGNED));
    return { from, to: f.of("Min", to, extent) };
  };
  const [rows, columns] = [span(y, 0), span(x, 1)];
  const bounds = (end: "from" | "to") => f.whole(f.concat(0, rows[end], columns[end]));
  const levels = [w.emit("Slice", [picture, bounds("from"), bounds("to"), w.ints([0, 1])])];
  for (let k = 0; k < HALVINGS; k++) levels.push(halved(f, levels[k]!));
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
  const px = inImage(x, columns.from, f.of("Sub", f.of("Mul", u!, cos), f.of("Mul", v!, sin)));
  const py = inImage(y, rows.from, f.of("Add", f.of("Mul", u!, sin), f.of("Mul", v!, cos)));
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
  const pixels = w.emit("Gather", [w.emit("Reshape", [image, w.ints([-1, 3])]), at]);
  const total = f.sum(f.of("Mul", pixels, f.unsqueeze(weights, 4)), 2, 3);
  const means = f.of("Div", total, f.unsqueeze(f.sum(weights, 2, 3), 2));
  return { images: normalised(f, f.rounded(means)), x, y, side, angle, square };
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
  const { count: P, normalisers: { interpupil: { left, right } } } = schema;
  const scale = f.of("Div", cut.square, size_px);
  const turn = (angle: string) => f.turn(f.of("Cos", angle), f.of("Sin", angle));
  const product = (a: string, b: string) => w.emit("MatMul", [a, b]);
  const inSquare = f.of("Sub", w.emit("Reshape", [landmarks, w.ints([P, 2])]), (size_px - 1) / 2);
  const centre = f.unsqueeze(f.concat(0, cut.x, cut.y), 0);
  const points = f.of("Add", product(f.of("Mul", inSquare, scale), turn(cut.angle)), centre);
  // Means of the eyes and the mouth, see faceAngle().
  const means = [left, right, mouthOf(schema)].flatMap((those) =>
    Array.from({ length: P }, (_, p) => those.includes(p) ? 1 / those.length : 0)
  );
  const middles = w.emit("Reshape", [product(w.floats(means, [3, P]), points), w.ints([6])]);
  const [lx = "", ly = "", rx = "", ry = "", mx = "", my = ""] = w.split(middles, 0, [1, 1, 1, 1, 1, 1]);
  const below = (mouth: string, a: string, b: string) => f.of("Sub", mouth, f.of("Div", f.of("Add", a, b), 2));
  const across = f.of("Sub", below(mx, lx, rx), f.of("Sub", ry, ly));
  const down = f.of("Add", below(my, ly, ry), f.of("Sub", rx, lx));
  const angle = f.atan2(f.of("Neg", across), down);
  const upright = product(points, turn(f.of("Neg", angle)));
  const [low, high] = ["ReduceMin", "ReduceMax"].map((type) => w.emit(type, [upright], { axes: [0], keepdims: 1 }));
  const middle = product(f.of("Div", f.of("Add", low!, high!), 2), turn(angle));
  const [x = "", y = ""] = w.split(w.emit("Reshape", [middle, w.ints([2])]), 0, [1, 1]);
  const longer = w.emit("ReduceMax", [f.of("Sub", high!, low!)], { axes: [1], keepdims: 0 });
  const far = (a: string, b: string) => f.of("Abs", f.of("Sub", a, b));
  const resized = f.of("Mul", far(longer, cut.side), CROP_SCALE);
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
    next: f.concat(0, x, y, longer, angle),
    settled: f.float(same),
    evidence: features === undefined
      ? doubt
      : f.concat(0, doubt, w.emit("Reshape", [f.of("Log", f.of("Add", features, 1)), w.ints([-1])])),
  };
}
