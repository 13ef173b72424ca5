import {
  apply,
  dims,
  elements,
  type Op,
  sameShape,
  type Shape,
  showShape,
  texels,
  type Value,
} from "../engine/graph.ts";
import source from "../shaders/sum.wgsl" with { type: "text" };
import { reader, sumOver, tabulate } from "./_reference.ts";
import { columnsOf, tiledKernel, WORKGROUP } from "./_sum_tiled.ts";
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
    kernel({ inputs: [x], outputs: [y], attrs: { parts } }, { tiled }) {
      const { A, B } = dims(x, "A B ...");
      const [C4, step] = [texels(x.shape.slice(2)), B / parts];
      const names = { entry: "forward", reads: ["x"], writes: ["y"], fusable: ["x"] };
      if (!tiled || step < LEAST_ROWS || texels(y.shape) >= BUSY) {
        const ints = { B, S: parts, C4, step };
        return { ...names, source, label: "shaders/sum.wgsl", ints, threads: texels(y.shape) };
      }
      return tiledKernel([{ blocks: A * parts * Math.ceil(C4 / columnsOf(C4)), C4, step }]);
    },
  },
  decompose({ inputs: [x], attrs: { parts } }, _, { tiled, keepComposite }) {
    return tiled && !keepComposite ? [sumInPasses(summed(x), parts)] : null;
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
/** Rows from which on a workgroup sums them together. */
const LEAST_ROWS = 2;
/** Rows that an invocation of the tiled kernel sums in one pass. */
const MOST_LOADS = 64;

/** Partial sums to make first of each part, where one pass would have few workgroups with long loops. */
function passesFor(x: Value, parts: number): number {
  const { A, B } = dims(x, "A B ...");
  const [step, C4] = [B / parts, texels(x.shape.slice(2))];
  const columns = columnsOf(C4);
  const busy = Math.ceil(BUSY / WORKGROUP / (A * parts * Math.ceil(C4 / columns)));
  return step <= MOST_LOADS * WORKGROUP / columns || busy <= 1
    ? 1
    : largestDivisor(step, Math.min(Math.ceil(step / 128), 2 * busy));
}

/** The value whose rows a sum adds up when those of `x` are sums themselves: hardware takes both sums in one. */
function summed(x: Value): Value {
  let from = x;
  while (from.node.op?.lowering.kind === "view") [from] = from.node.inputs as readonly [Value];
  const { op, inputs: [rows] } = from.node;
  if (op?.name !== sumOp.name || !rows) return x;
  const [inner, own] = [rows.shape.slice(2), x.shape.slice(2)];
  if (texels(inner) !== texels(own) || elements(inner) !== elements(own)) return x;
  const { A } = dims(x, "A B ...");
  return summed(reshape(rows, [A, elements(rows.shape) / elements(own) / A, ...own]));
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
