/**
 * The one way to test an op: forward against its f64 reference, backward against central differences of it.
 *
 * @module
 */

import assert from "node:assert";
import { add } from "../ops/add.ts";
import { gradients } from "../ops/autodiff.ts";
import { mul } from "../ops/mul.ts";
import { sum } from "../ops/sum.ts";
import {
  type Attrs,
  type Candidate,
  elements,
  type F64,
  Graph,
  type Op,
  type Shape,
  type Value,
} from "../engine/graph.ts";
import { Executable } from "../engine/executable.ts";
import { showCandidate } from "../engine/tuning/select.ts";
import type { Precision } from "../engine/plan/precision.ts";
import { gpuTest, TILED } from "./gpu.ts";

/** One case: shapes of the inputs, attributes, and how the inputs are filled. */
export interface Case<A> {
  readonly shapes: readonly Shape[];
  readonly attrs: A;
  /** Values of an input by element number; default: spread over about -1.5 to 1.5 without repeating. */
  readonly fill?: (input: number, element: number) => number;
  /** Inputs that have a gradient to check; default: all. */
  readonly wrt?: readonly number[];
}

/** Tolerances, relative to the largest magnitude of each tensor. */
export interface Tolerance {
  readonly tol?: number;
  readonly gradTol?: number;
  /** Also runs forward with kernels that tile in workgroup memory: the ops' own, or each of these candidates. */
  readonly tiled?: boolean | readonly Candidate[];
  /** Number formats of what lies between inputs and outputs; f32 when not given. */
  readonly precision?: Precision;
}

/** A deterministic spread of numbers without structure that a wrong index could hide behind. */
export function spreadNumbers(input: number, element: number): number {
  const x = Math.sin((element + 1) * 12.9898 + (input + 1) * 78.233) * 43758.5453;
  return (x - Math.floor(x)) * 3 - 1.5;
}

function close(name: string, got: ArrayLike<number>, want: ArrayLike<number>, tol: number) {
  let scale = 1e-6;
  for (let k = 0; k < want.length; k++) scale = Math.max(scale, Math.abs(want[k]!));
  let worst = 0;
  let at = 0;
  for (let k = 0; k < want.length; k++) {
    const error = Math.abs(got[k]! - want[k]!) / scale;
    if (!(error <= worst)) [worst, at] = [error, k];
  }
  assert.equal(got.length, want.length, `${name}: number of elements`);
  assert.ok(worst <= tol, `${name}: element ${at} is ${got[at]}, expected ${want[at]}; error ${worst} is over ${tol}`);
}

/** A computation to check: a function of symbolic tensors, and the same in f64. */
export interface Checked<A> {
  readonly name: string;
  /** Outputs on the GPU. */
  compute(inputs: readonly Value[], attrs: A): readonly Value[];
  /** Outputs by plain loops. */
  reference(inputs: readonly F64[], attrs: A): readonly F64[];
  /** False to check no gradient; true when not given. */
  readonly differentiable?: boolean;
}

/** Registers the tests of {@linkcode check} for an op. */
export function checkOp<A extends Attrs, I extends number, O extends number>(
  checked: Op<A, I, O>,
  cases: readonly Case<A>[],
  tolerance: Tolerance = {},
): void {
  const op: Op<A, number, number> = checked;
  check(
    {
      name: op.name,
      compute: (inputs, attrs) => graphOf(inputs).apply(op, inputs, attrs),
      reference: (inputs, attrs) => op.reference(inputs, attrs),
      differentiable: op.gradient !== undefined,
    },
    cases,
    tolerance,
  );
}

/** The graph of some values. */
function graphOf([value]: readonly Value[]): Graph {
  if (!value) throw new TypeError("Cannot find a graph: no inputs are given");
  return value.graph;
}

/**
 * Registers tests of an op or of a composition of ops: `name() matches the reference` and `name() has the right gradient`,
 * over all cases.
 *
 * The gradient is that of `sum(y * r)` with fixed random `r`, so that every element of every output counts.
 */
export function check<A>(
  { name: checked, compute, reference, differentiable = true }: Checked<A>,
  cases: readonly Case<A>[],
  { tol = 1e-5, gradTol = 1e-4, tiled = false, precision = "f32" }: Tolerance = {},
): void {
  const filled = (c: Case<A>) =>
    c.shapes.map((shape, input): F64 => ({
      shape,
      data: Float64Array.from({ length: elements(shape) }, (_, k) => Math.fround((c.fill ?? spreadNumbers)(input, k))),
    }));
  const variants = [
    { name: "", options: {} },
    ...(tiled === true ? [{ TILED: 1 }] : tiled || []).map((candidate) => ({
      name: `, in tiles (${showCandidate(candidate)})`,
      options: { ...TILED, candidate },
    })),
  ];
  for (const { name, options } of variants) {
    gpuTest(`${checked}() matches the reference${name}`, async (device) => {
      for (const c of cases) {
        const inputs = filled(c);
        const graph = new Graph();
        const values = inputs.map((x, k) => graph.input(`x${k}`, x.shape));
        const outputs = compute(values, c.attrs);
        const exe = new Executable(device, {
          outputs: Object.fromEntries(outputs.map((v, k) => [`y${k}`, v])),
          precision,
        });
        exe.run(Object.fromEntries(inputs.map((x, k) => [`x${k}`, Float32Array.from(x.data)])));
        const want = reference(inputs, c.attrs);
        for (const [k, y] of want.entries()) {
          assert.deepEqual(outputs[k]!.shape, y.shape, "shape");
          close(`${JSON.stringify(c.shapes)} ${JSON.stringify(c.attrs)} y${k}`, await exe.read(`y${k}`), y.data, tol);
        }
        exe.destroy();
      }
    }, options);
  }

  if (!differentiable) return;
  gpuTest(`${checked}() has the right gradient`, async (device) => {
    for (const c of cases) {
      const inputs = filled(c);
      const wrt = c.wrt ?? inputs.map((_, k) => k);
      const graph = new Graph();
      const values = inputs.map((x, k) => graph.input(`x${k}`, x.shape));
      const outputs = compute(values, c.attrs);
      const weights = outputs.map((y, k) =>
        Float32Array.from({ length: elements(y.shape) }, (_, i) => spreadNumbers(50 + k, i))
      );
      const loss = outputs.map((y, k) => sum(mul(y, graph.constant(weights[k]!, y.shape)))).reduce((a, b) => add(a, b));
      const grads = gradients(loss, wrt.map((k) => values[k]!));
      const exe = new Executable(device, {
        outputs: Object.fromEntries(grads.map((v, k) => [`g${k}`, v])),
        precision,
      });
      exe.run(Object.fromEntries(inputs.map((x, k) => [`x${k}`, Float32Array.from(x.data)])));
      const value = (xs: readonly F64[]) =>
        reference(xs, c.attrs).reduce(
          (total, y, k) => y.data.reduce((t, v, i) => t + v * weights[k]![i]!, total),
          0,
        );
      for (const [k, input] of wrt.entries()) {
        const got = await exe.read(`g${k}`);
        // All elements of small inputs, a spread of those of large ones.
        const count = got.length;
        const picked = [
          ...new Set(
            Array.from({ length: Math.min(count, 48) }, (_, j) => Math.floor((j * count) / Math.min(count, 48))),
          ),
        ];
        const want = picked.map((element) => {
          const data = inputs[input]!.data;
          const x = data[element]!;
          const h = 1e-4 * Math.max(1, Math.abs(x));
          data[element] = x + h;
          const up = value(inputs);
          data[element] = x - h;
          const down = value(inputs);
          data[element] = x;
          return (up - down) / (2 * h);
        });
        close(
          `${JSON.stringify(c.shapes)} ${JSON.stringify(c.attrs)} dx${input}`,
          picked.map((e) => got[e]!),
          want,
          gradTol,
        );
      }
      exe.destroy();
    }
  });
}
