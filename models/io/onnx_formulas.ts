/**
 * Formulas in ONNX's nodes.
 *
 * @module
 */

import { FLOAT, type OnnxWriter } from "./onnx_ops.ts";

/** A tensor by name, or a number. */
type Operand = string | number;

const INT64 = 7;

/** Writes nodes whose operands may be numbers; scalars have one element, and broadcast. */
export class Formulas {
  /** Takes the writer of the file. */
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

  /** Rows of points, `[n, 2]`, turned by an angle, clockwise. */
  turned(points: string, angle: string): string {
    const cos = this.of("Cos", angle), sin = this.of("Sin", angle);
    const matrix = this.w.emit("Reshape", [this.concat(0, cos, sin, this.of("Neg", sin), cos), this.w.ints([2, 2])]);
    return this.w.emit("MatMul", [points, matrix]);
  }
}

/** Pixels of an image as a network takes them, -1 to 1, `[1, h, w, 3]`. */
export const normalised = (f: Formulas, bytes: string): string =>
  f.unsqueeze(f.of("Sub", f.of("Div", bytes, 127.5), 1), 0);
