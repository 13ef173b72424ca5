import { apply, dims, elements, type F64, type Op, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/max_pool.wgsl" with { type: "text" };
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

/** Visits every element of the result with the position of the first maximum of its window. */
export function eachMaximum(x: F64, attrs: PoolAttrs, visit: (to: number, from: number) => void): void {
  const { N, H, W, C, HO, WO, K, S, pad } = poolSizes(x.shape, attrs);
  for (let to = 0; to < N * HO * WO * C; to++) {
    const [c, w, h, n] = [to % C, Math.floor(to / C) % WO, Math.floor(to / C / WO) % HO, Math.floor(to / C / WO / HO)];
    let best = -1;
    for (let k = 0; k < K * K; k++) {
      const [i, j] = [h * S - pad + Math.floor(k / K), w * S - pad + k % K];
      if (i < 0 || i >= H || j < 0 || j >= W) continue;
      const at = ((n * H + i) * W + j) * C + c;
      if (best < 0 || x.data[at] > x.data[best]) best = at;
    }
    visit(to, best);
  }
}

/** `y[n, h, w] = max over the window of x`; padding never wins. */
export const maxPoolOp: Op<PoolAttrs, 1> = {
  name: "max_pool",
  bound: "memory",
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
    const data = new Float64Array(N * HO * WO * C);
    eachMaximum(x, attrs, (to, from) => data[to] = x.data[from]);
    return [{ shape: [N, HO, WO, C], data }];
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
