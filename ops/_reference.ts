/**
 * Tensors by coordinates, for the f64 references of ops: each reads like its formula, with plain loops and no strides.
 *
 * @module
 */

import { elements, extent, type F64, type Shape } from "../engine/graph.ts";

/** Reads the element at up to five coordinates, outermost first; an element outside the tensor is 0, as padding is. */
export type Reader = (a: number, b?: number, c?: number, d?: number, e?: number) => number;

/** Adds to the element at up to five coordinates. */
export type Adder = (value: number, a: number, b?: number, c?: number, d?: number, e?: number) => void;

/** A function that reads a tensor of up to five dimensions; `shape` in place of its own, of as many elements. */
export function reader({ shape: own, data }: F64, shape: Shape = own): Reader {
  const [A = 1, B = 1, C = 1, D = 1, E = 1] = shape;
  return (a, b = 0, c = 0, d = 0, e = 0) =>
    a < 0 || a >= A || b < 0 || b >= B || c < 0 || c >= C || d < 0 || d >= D || e < 0 || e >= E
      ? 0
      : data[(((a * B + b) * C + c) * D + d) * E + e] ?? 0;
}

/** The tensor whose element at coordinates is the value of `f` there; up to five dimensions. */
export function tabulate(shape: Shape, f: (a: number, b: number, c: number, d: number, e: number) => number): F64 {
  const [A = 1, B = 1, C = 1, D = 1, E = 1] = shape;
  const data = new Float64Array(elements(shape));
  let at = 0;
  for (let a = 0; a < A; a++) {
    for (let b = 0; b < B; b++) {
      for (let c = 0; c < C; c++) {
        for (let d = 0; d < D; d++) {
          for (let e = 0; e < E; e++) data[at++] = f(a, b, c, d, e);
        }
      }
    }
  }
  return { shape, data };
}

/** A tensor of zeros and a function that adds to its elements, for references that go through the inputs. */
export function accumulator(shape: Shape): { readonly sum: F64; readonly add: Adder } {
  const [, B = 1, C = 1, D = 1, E = 1] = shape;
  const data = new Float64Array(elements(shape));
  return {
    sum: { shape, data },
    add(value, a, b = 0, c = 0, d = 0, e = 0) {
      const at = (((a * B + b) * C + c) * D + d) * E + e;
      data[at] = (data[at] ?? 0) + value;
    },
  };
}

/** Visits the elements of a tensor of up to five dimensions with their coordinates. */
export function eachElement(
  { shape, data }: F64,
  visit: (value: number, a: number, b: number, c: number, d: number, e: number) => void,
): void {
  const [, B = 1, C = 1, D = 1, E = 1] = shape;
  const position = (at: number, inner: number, size: number) => Math.floor(at / inner) % size;
  data.forEach((value, at) =>
    visit(
      value,
      Math.floor(at / (B * C * D * E)),
      position(at, C * D * E, B),
      position(at, D * E, C),
      position(at, E, D),
      at % E,
    )
  );
}

/** The sum of `term` over all coordinates below `extents`, of up to three dimensions. */
export function sumOver(
  [A, B = 1, C = 1]: readonly [number, number?, number?],
  term: (a: number, b: number, c: number) => number,
): number {
  let sum = 0;
  for (let a = 0; a < A; a++) {
    for (let b = 0; b < B; b++) {
      for (let c = 0; c < C; c++) sum += term(a, b, c);
    }
  }
  return sum;
}

/** A shape as three extents: the dimensions outside `axis`, that one, and those inside it. */
export function around(shape: Shape, axis: number): readonly [outer: number, size: number, inner: number] {
  return [elements(shape.slice(0, axis)), extent(shape, axis), elements(shape.slice(axis + 1))];
}

/** Rows of the innermost dimension, in order. */
export function rowsOf({ shape, data }: F64): Float64Array[] {
  const width = shape.at(-1) ?? 1;
  return Array.from({ length: data.length / width }, (_, r) => data.subarray(r * width, (r + 1) * width));
}

/** The tensor whose rows of the innermost dimension these are, in order. */
export function fromRows(shape: Shape, rows: readonly ArrayLike<number>[]): F64 {
  const data = new Float64Array(elements(shape));
  const width = shape.at(-1) ?? 1;
  rows.forEach((row, r) => data.set(row, r * width));
  return { shape, data };
}
