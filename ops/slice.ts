import { apply, elements, type Op, type Shape, showShape, texels, type Value } from "../runtime/graph.ts";
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
    kernel: ({ inputs: [x], outputs: [y], attrs: { axis, start, size } }) => {
      const innermost = axis === x!.shape.length - 1;
      const extent = x!.shape[axis]!;
      const common = {
        source,
        label: "shaders/slice.wgsl",
        reads: ["x"],
        writes: ["y"],
        threads: texels(y!.shape),
      };
      const A4 = Math.ceil(extent / 4);
      const B4 = Math.ceil(size / 4);
      if (innermost && start % 4) return { ...common, entry: "shifted", ints: { A: A4, B: B4, start, inner: 1 } };
      // The padding lanes of a fused expression are not zero, so they must not become part of the result.
      const inside = start >= 0 && start + size <= extent;
      return {
        ...common,
        entry: "blocks",
        ...(!innermost || inside ? { fusable: ["x"] } : {}),
        ints: innermost
          ? { A: A4, B: B4, start: start / 4, inner: 1 }
          : { A: extent, B: size, start, inner: texels(x!.shape.slice(axis + 1)) },
      };
    },
  },
  gradient: ({ inputs: [x], attrs: { axis, start } }, [dy]) => [
    apply(sliceOp, [dy!], { axis, start: -start, size: x!.shape[axis]! }),
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

/**
 * Elements `start` to `start + size` of one dimension.
 *
 * @throws {RangeError} If they are not all there.
 */
export function slice(x: Value, axis: number, start: number, size: number): Value {
  if (start < 0 || size < 1 || start + size > (x.shape[axis] ?? 0)) {
    throw new RangeError(`Cannot slice ${showShape(x.shape)} along dimension ${axis}: ${start} + ${size} is outside`);
  }
  return size === x.shape[axis] ? x : apply(sliceOp, [x], { axis, start, size });
}

/** Puts zeros before and after the elements of one dimension. */
export function pad(x: Value, axis: number, before: number, after: number): Value {
  return before + after === 0
    ? x
    : apply(sliceOp, [x], { axis, start: -before, size: x.shape[axis]! + before + after });
}
