/**
 * Smaller copies of a picture and the faces that a finder finds in them, in ONNX's own nodes: a file takes a picture and gives
 * faces, so that a program around it stays short.
 *
 * Numbers are f32 here and f64 in `faces/data`, so a byte of a copy is rounded differently now and then.
 *
 * @module
 */

import { Formulas, normalised } from "./onnx_formulas.ts";
import type { OnnxWriter } from "./onnx_ops.ts";

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
 * @param multiple The sides of the network's images are multiples of it; beyond the copy they are grey.
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

/** Overlap of two circles over their union, and over the smaller one. */
interface MostOverlap {
  readonly same: number;
  readonly within: number;
}

/** True for pairs of circles that overlap more; they have radii `r` and `s`, and centres that are `dx` and `dy` apart. */
function overlapsOf(
  f: Formulas,
  [r, s]: readonly [string, string],
  [dx, dy]: readonly [string, string],
  most: MostOverlap,
): string {
  // Areas over pi.
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
  return f.of(
    "Or",
    f.of("Greater", both, f.of("Mul", union, most.same)),
    f.of("Greater", both, f.of("Mul", smaller, most.within)),
  );
}

/** Rounds of {@linkcode keptOf}: faces that hide each other in a longer chain are more than pictures have. */
const ROUNDS = 16;

/**
 * One of several faces at a place, as `suppress()` leaves it.
 *
 * @param faces `[N, 5]`, see {@linkcode facesInCells}.
 * @param most Overlap up to which two circles are two faces.
 * @returns `[M, 5]`, from the greatest score to the least.
 */
export function keptOf(w: OnnxWriter, faces: string, most: MostOverlap): string {
  const f = new Formulas(w);
  const count = w.emit("Gather", [w.emit("Shape", [faces]), w.ints([0])]);
  const order = w.order(w.emit("Reshape", [w.split(faces, 1, [1, 4])[0]!, w.ints([-1])]), count);
  const sorted = w.emit("Gather", [faces, order]);
  const [, x = "", y = "", side = ""] = w.split(sorted, 1, [1, 1, 1, 1, 1]);
  const other = (column: string) => w.emit("Transpose", [column], { perm: [1, 0] });
  const [r, dx, dy] = [f.of("Div", side, 2), f.of("Sub", x, other(x)), f.of("Sub", y, other(y))];
  const overlaps = overlapsOf(f, [r, other(r)], [dx, dy], most);
  // Those before a face, which are surer, hide it unless they are hidden.
  const index = f.range(f.float(count));
  const before = f.of("Less", f.unsqueeze(index, 0), f.unsqueeze(index, 1));
  const hides = f.float(f.of("And", overlaps, before));
  let kept = f.of("Add", f.of("Mul", r, 0), 1);
  for (let k = 0; k < ROUNDS; k++) kept = f.of("Relu", f.of("Sub", 1, w.emit("MatMul", [hides, kept])));
  return w.emit("Compress", [sorted, w.emit("Reshape", [f.of("Greater", kept, 0.5), w.ints([-1])])], { axis: 0 });
}
