import { elements, type Op, sameShape, showShape, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/adam.wgsl" with { type: "text" };

/** Attributes of {@linkcode adamOp}: a moving average of the parameter too; weight decay as an L2 term of the gradient. */
export type AdamAttrs = { readonly ema: boolean; readonly l2: boolean };

/** Number of elements of the `hyper` input; `adamHyper` of optimizer.ts fills it. */
export const HYPER = 12;

const names = (ema: boolean) => ema ? ["p", "m", "v", "ema"] : ["p", "m", "v"];

/**
 * One step of Adam or AdamW on one tensor: parameter, gradient, first and second moment, hyper-parameters (and moving
 * average) give the new parameter, moments (and average).
 */
export const adamOp: Op<AdamAttrs, number, number> = {
  name: "adam",
  bound: "memory",
  shapes: ([p, g, m, v, hyper, average], { ema }) => {
    const state = ema ? [g, m, v, average] : [g, m, v];
    if (!state.every((s) => s && sameShape(s, p)) || elements(hyper) !== HYPER) {
      throw new TypeError(
        `Cannot apply adam to ${[p, ...state, hyper].map((s) => showShape(s ?? [])).join(", ")}: ` +
          `all must be ${showShape(p)}, the last [${HYPER}]`,
      );
    }
    return names(ema).map(() => p);
  },
  lowering: {
    kind: "kernel",
    kernel: ({ inputs: [p], attrs: { ema, l2 } }) => ({
      source,
      label: "shaders/adam.wgsl",
      entry: "forward",
      reads: ["p", "g", "m", "v", "hyper", ...(ema ? ["ema"] : [])],
      writes: names(ema).map((name) => `${name}_new`),
      fusable: ["g"],
      constants: { E: Number(ema), L2: Number(l2) },
      threads: texels(p.shape),
    }),
  },
  flops: ({ inputs: [p], attrs: { ema } }) => (ema ? 16 : 13) * elements(p.shape),
  reference([p, g, m, v, hyper, average], { ema, l2 }) {
    const [lr, b1, b2, eps, decay, c1, c2, scale, a1, a2, rate] = hyper.data as unknown as number[];
    const out = names(ema).map(() => ({ shape: p.shape, data: new Float64Array(p.data.length) }));
    p.data.forEach((old, k) => {
      const grad = scale * g.data[k] + (l2 ? decay * old : 0);
      const first = b1 * m.data[k] + a1 * grad;
      const second = b2 * v.data[k] + a2 * grad * grad;
      const next = old * (l2 ? 1 : 1 - lr * decay) - lr * c1 * first / (Math.sqrt(c2 * second) + eps);
      out[0].data[k] = next;
      out[1].data[k] = first;
      out[2].data[k] = second;
      if (ema) out[3].data[k] = average.data[k] + rate * (next - average.data[k]);
    });
    return out;
  },
};

/**
 * One step of Adam on one tensor; `adamUpdates` of optimizer.ts does it for a whole model.
 *
 * @param hyper `[12]`, from `adamHyper`.
 * @param ema Moving average of `p`, if one is kept.
 * @returns New `p`, `m`, `v` and, with `ema`, its new value.
 */
export function adam(
  { p, g, m, v, hyper, ema }: {
    readonly p: Value;
    readonly g: Value;
    readonly m: Value;
    readonly v: Value;
    readonly hyper: Value;
    readonly ema?: Value;
  },
  l2 = false,
): readonly Value[] {
  return p.graph.apply(adamOp, [p, g, m, v, hyper, ...(ema ? [ema] : [])], { ema: ema !== undefined, l2 });
}
