import {
  apply,
  dims,
  elements,
  extent,
  type Op,
  sameShape,
  type Shape,
  showShape,
  texels,
  type Value,
} from "../engine/graph.ts";
import source from "../shaders/sum.wgsl" with { type: "text" };
import { reader, sumOver, tabulate } from "./_reference.ts";
import { expandTo } from "./expand.ts";
import { affine } from "./affine.ts";
import { reshape } from "./reshape.ts";
import { sumLast } from "./sum_last.ts";

/** Attributes of {@linkcode sumOp}: how many partial sums to leave; a divisor of the rows. */
export type SumAttrs = { readonly parts: number };

/** `y[a, s, ...] = sum over the s-th part of b of x[a, b, ...]`; with one part, the sum over the second dimension. */
export const sumOp: Op<SumAttrs, 1> = {
  name: "sum",
  bound: "memory",
  shapes: ([x], { parts }) => {
    if (x.length < 3) {
      throw new TypeError(`Cannot sum ${showShape(x)} over its second dimension: [A, B, ...] is expected`);
    }
    const { A, B } = dims(x, "A B ...");
    if (B % parts) throw new TypeError(`Cannot sum ${B} rows in ${parts} parts: the parts differ in length`);
    return [[A, parts, ...x.slice(2)]];
  },
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [x], outputs: [y], attrs: { parts } }) => ({
      source,
      label: "shaders/sum.wgsl",
      entry: "forward",
      reads: ["x"],
      writes: ["y"],
      fusable: ["x"],
      ints: { B: extent(x, 1), S: parts, C4: texels(x.shape.slice(2)), step: extent(x, 1) / parts },
      threads: texels(y.shape),
    }),
  },
  decompose({ inputs: [x], attrs: { parts } }, _, target) {
    return target.tiled && !target.keepComposite && passesFor(x, parts) > 1 ? [sumInPasses(x, parts)] : null;
  },
  gradient: ({ inputs: [x], attrs: { parts } }, [dy]) => {
    const { A, B } = dims(x, "A B ...");
    const inner = x.shape.slice(2);
    const repeated = expandTo(reshape(dy, [A, parts, 1, ...inner]), [A, parts, B / parts, ...inner]);
    return [reshape(repeated, x.shape)];
  },
  flops: ({ inputs: [x] }) => elements(x.shape),
  reference([x], { parts }) {
    const { A, B } = dims(x, "A B ...");
    const [inner, step] = [x.shape.slice(2), B / parts];
    const X = reader(x, [A, B, elements(inner)]);
    const { data } = tabulate([A, parts, elements(inner)], (a, s, c) => sumOver([step], (b) => X(a, s * step + b, c)));
    return [{ shape: [A, parts, ...inner], data }];
  },
};

/** Invocations that keep a hardware GPU busy. */
const BUSY = 1 << 15;

/** Partial sums to make first of each part, where one pass would have few invocations with long loops. */
function passesFor(x: Value, parts: number): number {
  const { A, B } = dims(x, "A B ...");
  const [step, threads] = [B / parts, A * parts * texels(x.shape.slice(2))];
  if (step < 64 || threads >= BUSY) return 1;
  return largestDivisor(step, Math.min(Math.ceil(step / 16), Math.ceil(BUSY / threads)));
}

/**
 * Sums `[A, B, ...]` in parts of B by as many passes as give a hardware GPU enough to do side by side.
 *
 * @returns `[A, parts, ...]`.
 */
export function sumInPasses(x: Value, parts: number): Value {
  const more = passesFor(x, parts);
  return more === 1 ? apply(sumOp, [x], { parts }) : sumInPasses(apply(sumOp, [x], { parts: parts * more }), parts);
}

/**
 * Sums `[A, B, ...]` over B: in one pass, or in two when one would leave too few invocations for a GPU.
 *
 * @returns `[A, 1, ...]`.
 */
export function sumMiddle(x: Value): Value {
  const { A, B } = dims(x, "A B ...");
  if (B === 1) return x;
  const wanted = Math.min(Math.ceil(B / 16), Math.ceil(1024 / (A * texels(x.shape.slice(2)))));
  const parts = largestDivisor(B, wanted);
  return apply(sumOp, [parts > 1 ? apply(sumOp, [x], { parts }) : x], { parts: 1 });
}

/** Largest divisor of `n` up to `most`. */
export function largestDivisor(n: number, most: number): number {
  for (let k = most; k > 1; k--) if (n % k === 0) return k;
  return 1;
}

/**
 * Sums `x` over the dimensions that broadcasting `shape` to its shape repeats: the gradient of broadcasting.
 *
 * @returns A value of shape `shape`.
 */
export function sumTo(x: Value, shape: Shape): Value {
  if (sameShape(x.shape, shape)) return x;
  const wanted = [...Array(x.shape.length - shape.length).fill(1), ...shape] as number[];
  let y = wanted.at(-1) === 1 ? sumLast(x) : x;
  for (let d = x.shape.length - 2; d >= 0; d--) {
    if (wanted[d] === y.shape[d]) continue;
    // Neighbouring dimensions go together: [N, H, W, C] to [C] is one sum.
    let first = d;
    while (first > 0 && wanted[first - 1] !== y.shape[first - 1]) first--;
    const [outer, summed, inner] = [y.shape.slice(0, first), y.shape.slice(first, d + 1), y.shape.slice(d + 1)];
    const total = sumMiddle(reshape(y, [elements(outer), elements(summed), ...inner]));
    y = reshape(total, [...outer, ...summed.map(() => 1), ...inner]);
    d = first;
  }
  return reshape(y, shape);
}

/** Sum of all elements, `[1]`. */
export function sum(x: Value): Value {
  return sumTo(x, [1]);
}

/** Mean of all elements, `[1]`. */
export function mean(x: Value): Value {
  return affine(sum(x), 1 / elements(x.shape));
}
