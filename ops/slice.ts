import { apply, elements, type Op, type Shape, showShape, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/slice.wgsl" with { type: "text" };

/** Attributes of {@linkcode sliceOp}: a window of `size` along `axis` from `start`, which may be negative. */
export type SliceAttrs = { readonly axis: number; readonly start: number; readonly size: number };

/** A window along one dimension, with zeros where it leaves the tensor: a slice, or a padding; each is the other's gradient. */
export const sliceOp: Op<SliceAttrs> = {
  name: "slice",
  bound: "memory",
  shapes: ([x], { axis, size }) => {
    if (!(axis >= 0 && axis < x!.length)) {
      throw new TypeError(`Cannot slice ${showShape(x!)} along dimension ${axis}: it has ${x!.length} dimensions`);
    }
    return [x!.map((n, d) => d === axis ? size : n)];
  },
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [x], outputs: [y], attrs: { axis, start, size } }) => ({
      source,
      label: "shaders/slice.wgsl",
      entry: "forward",
      reads: ["x"],
      writes: ["y"],
      ints: { A: Math.ceil(x!.shape[axis]! / 4), B: Math.ceil(size / 4), start },
      threads: texels(y!.shape),
    }),
  },
  gradient: ({ inputs: [x], attrs: { axis, start } }, [dy]) => [
    window(dy!, { axis, start: -start, size: x!.shape[axis]! }),
  ],
  flops: () => 0,
  reference([x], { axis, start, size }) {
    const [A, inner] = [x!.shape[axis]!, elements(x!.shape.slice(axis + 1))];
    const shape: Shape = x!.shape.map((n, d) => d === axis ? size : n);
    const data = Float64Array.from({ length: elements(shape) }, (_, e) => {
      const [o, k, i] = [Math.floor(e / inner / size), Math.floor(e / inner) % size + start, e % inner];
      return k >= 0 && k < A ? x!.data[(o * A + k) * inner + i]! : 0;
    });
    return [{ shape, data }];
  },
};

/** The same in whole texels: the planner makes it an address in whatever uses it, so that it needs no pass of its own. */
export const sliceTexelsOp: Op<SliceAttrs> = {
  ...sliceOp,
  name: "slice_texels",
  lowering: {
    kind: "window",
    window: ({ inputs: [x], attrs: { axis, start, size } }) => {
      const innermost = axis === x!.shape.length - 1;
      const inner = innermost ? 1 : texels(x!.shape.slice(axis + 1));
      const [A, B, first] = innermost
        ? [Math.ceil(x!.shape[axis]! / 4), Math.ceil(size / 4), start / 4]
        : [x!.shape[axis]!, size, start];
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
  return before + after === 0 ? x : window(x, { axis, start: -before, size: x.shape[axis]! + before + after });
}
