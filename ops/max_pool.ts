import { apply, dims, elements, type F64, type Op, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/max_pool.wgsl" with { type: "text" };
import { accumulator, reader, tabulate } from "./_reference.ts";
import { maxPoolGrad } from "./max_pool_grad.ts";

/** Attributes of {@linkcode maxPoolOp}: side of the window, step between windows, pixels of padding on every side. */
export type PoolAttrs = { readonly kernel: number; readonly stride: number; readonly padding: number };

/** Sizes of input and result of a pooling, as the shaders name them; `disjoint` windows share no pixel and leave none out. */
export function poolSizes(x: readonly number[], { kernel, stride, padding }: PoolAttrs) {
  const { N, H, W, C } = dims(x, "N H W C");
  const size = (n: number) => Math.floor((n + 2 * padding - kernel) / stride) + 1;
  const [HO, WO] = [size(H), size(W)];
  const disjoint = kernel === stride && padding === 0 && HO * kernel === H && WO * kernel === W && kernel <= 4;
  return { N, H, W, C, HO, WO, C4: Math.ceil(C / 4), K: kernel, S: stride, pad: padding, disjoint };
}

/** Visits every element of the result with the value and the position of the first maximum of its window. */
export function eachMaximum(
  x: F64,
  attrs: PoolAttrs,
  visit: (found: { n: number; h: number; w: number; c: number; i: number; j: number; value: number }) => void,
): void {
  const { H, W, C, HO, WO, N, K, S, pad } = poolSizes(x.shape, attrs);
  const X = reader(x);
  tabulate([N, HO, WO, C], (n, h, w, c) => {
    let best = { n, h, w, c, i: -1, j: -1, value: -Infinity };
    for (let i = Math.max(0, h * S - pad); i < Math.min(H, h * S - pad + K); i++) {
      for (let j = Math.max(0, w * S - pad); j < Math.min(W, w * S - pad + K); j++) {
        const value = X(n, i, j, c);
        if (value > best.value) best = { ...best, i, j, value };
      }
    }
    visit(best);
    return best.value;
  });
}

/** `y[n, h, w] = max over the window of x`; padding never wins. */
export const maxPoolOp: Op<PoolAttrs, 1> = {
  name: "max_pool",
  bound: "memory",
  f16: () => "follows",
  shapes: ([x], attrs) => {
    const { N, HO, WO, C } = poolSizes(x, attrs);
    return [[N, HO, WO, C]];
  },
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [x], outputs: [y], attrs }) => {
      const { H, W, HO, WO, C4, K, S, pad, disjoint } = poolSizes(x.shape, attrs);
      return {
        source,
        label: "shaders/max_pool.wgsl",
        entry: disjoint ? "disjoint" : "forward",
        reads: ["x"],
        writes: ["y"],
        constants: { D: disjoint ? K : 1 },
        ...(K <= S ? { fusable: ["x"] } : {}),
        ints: { H, W, HO, WO, C4, K, S, pad },
        threads: texels(y.shape),
      };
    },
  },
  gradient: ({ inputs: [x], attrs }, [dy]) => [maxPoolGrad(x, dy, attrs)],
  flops: ({ outputs: [y], attrs: { kernel } }) => kernel ** 2 * elements(y.shape),
  reference([x], attrs) {
    const { N, HO, WO, C } = poolSizes(x.shape, attrs);
    const { sum: y, add } = accumulator([N, HO, WO, C]);
    eachMaximum(x, attrs, ({ n, h, w, c, value }) => add(value, n, h, w, c));
    return [y];
  },
};

/**
 * Largest value of each window.
 *
 * @param x `[N, H, W, C]`.
 * @param options `kernel` (2), the side of the window; `stride` (the kernel); `padding` (0), less than the kernel.
 * @returns `[N, HO, WO, C]`.
 */
export function maxPool(x: Value, options: { kernel?: number; stride?: number; padding?: number } = {}): Value {
  const { kernel = 2, stride = kernel, padding = 0 } = options;
  return apply(maxPoolOp, [x], { kernel, stride, padding });
}
