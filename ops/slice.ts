import { apply, extent, type Op, showShape, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/slice.wgsl" with { type: "text" };
import { around, reader, tabulate } from "./_reference.ts";

/** Attributes of {@linkcode sliceOp}: a window of `size` along `axis` from `start`, which may be negative. */
export type SliceAttrs = { readonly axis: number; readonly start: number; readonly size: number };

/** A window along one dimension, with zeros where it leaves the tensor: a slice, or a padding; each is the other's gradient. */
export const sliceOp: Op<SliceAttrs, 1> = {
  name: "slice",
  bound: "memory",
  f16: () => "follows",
  shapes: ([x], { axis, size }) => {
    if (!(axis >= 0 && axis < x.length)) {
      throw new TypeError(`Cannot slice ${showShape(x)} along dimension ${axis}: it has ${x.length} dimensions`);
    }
    return [x.map((n, d) => d === axis ? size : n)];
  },
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [x], outputs: [y], attrs: { axis, start, size } }) => ({
      source,
      label: "shaders/slice.wgsl",
      entry: "forward",
      reads: ["x"],
      writes: ["y"],
      ints: { A: Math.ceil(extent(x, axis) / 4), B: Math.ceil(size / 4), start },
      threads: texels(y.shape),
    }),
  },
  gradient: ({ inputs: [x], attrs: { axis, start } }, [dy]) => [
    window(dy, { axis, start: -start, size: extent(x, axis) }),
  ],
  flops: () => 0,
  reference([x], { axis, start, size }) {
    const [outer, A, inner] = around(x.shape, axis);
    const X = reader(x, [outer, A, inner]);
    const { data } = tabulate([outer, size, inner], (o, k, i) => X(o, k + start, i));
    return [{ shape: x.shape.map((n, d) => d === axis ? size : n), data }];
  },
};

/** The same in whole texels: the planner fuses it into the addresses of its users, so that it needs no pass of its own. */
export const sliceTexelsOp: Op<SliceAttrs, 1> = {
  ...sliceOp,
  name: "slice_texels",
  lowering: {
    kind: "window",
    window: ({ inputs: [x], attrs: { axis, start, size } }) => {
      const innermost = axis === x.shape.length - 1;
      const inner = innermost ? 1 : texels(x.shape.slice(axis + 1));
      const [A, B, first] = innermost
        ? [Math.ceil(extent(x, axis) / 4), Math.ceil(size / 4), start / 4]
        : [extent(x, axis), size, start];
      return { period: B * inner, skip: (A - B) * inner, offset: first * inner, extent: A * inner };
    },
  },
};

function window(x: Value, attrs: SliceAttrs): Value {
  const whole = attrs.axis < x.shape.length - 1 || attrs.start % 4 === 0;
  return apply(whole ? sliceTexelsOp : sliceOp, [x], attrs);
}

/**
 * Elements `start` to `start + size` of one dimension.
 *
 * @throws {RangeError} If they are not all there.
 */
export function slice(x: Value, axis: number, start: number, size: number): Value {
  if (start < 0 || size < 1 || start + size > (x.shape[axis] ?? 0)) {
    throw new RangeError(`Cannot slice ${showShape(x.shape)} along dimension ${axis}: ${start} + ${size} is outside`);
  }
  return size === x.shape[axis] ? x : window(x, { axis, start, size });
}

/** Puts zeros before and after the elements of one dimension. */
export function pad(x: Value, axis: number, before: number, after: number): Value {
  return before + after === 0 ? x : window(x, { axis, start: -before, size: extent(x, axis) + before + after });
}
