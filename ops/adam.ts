import { elements, type F64, type Op, sameShape, showShape, texels, type Value } from "../engine/graph.ts";
import source from "../shaders/adam.wgsl" with { type: "text" };
import { reader } from "./_reference.ts";

/** Attributes of {@linkcode adamOp}: a moving average of the parameter too; weight decay as an L2 term of the gradient. */
export type AdamAttrs = { readonly ema: boolean; readonly l2: boolean };

/**
 * The numbers of one step, in the order of the `hyper` input: here, in the shader and in `adamHyper` of optimizer.ts
 * they go by these names only.
 */
export const HYPER = [
  "lr",
  "beta1",
  "beta2",
  "eps",
  "weight_decay",
  /** Corrections of the bias of the moments, `1 / (1 - beta^(step + 1))`. */
  "m_correction",
  "v_correction",
  "grad_scale",
  /** One minus the decay of each average: taken in f64, as in f32 1 - 0.999 is wrong by one part in 80,000. */
  "m_rate",
  "v_rate",
  "ema_rate",
] as const;

/** The numbers of one step by name. */
export type Hyper = Readonly<Record<typeof HYPER[number], number>>;

/** Reads the numbers of a step by name, as the shader's `hyper()` does. */
function hyperOf({ data }: F64): Hyper {
  return Object.fromEntries(HYPER.map((name, k) => [name, data[k]])) as Hyper;
}

/** WGSL of `hyper() -> Hyper`, which loads all numbers of a step. */
function hyperSource(): string {
  const fields = HYPER.map((name) => `${name}: f32`).join(", ");
  const loads = Array.from({ length: Math.ceil(HYPER.length / 4) }, (_, t) => `let t${t} = ld_hyper(${t});`).join(" ");
  const values = HYPER.map((_, k) => `t${Math.floor(k / 4)}[${k % 4}]`).join(", ");
  return `struct Hyper { ${fields} }\nfn hyper() -> Hyper { ${loads} return Hyper(${values}); }`;
}

const names = (ema: boolean) => ema ? ["p", "m", "v", "ema"] : ["p", "m", "v"];

/** The inputs by name: the last is there where an average is kept. */
function named<T>(inputs: readonly T[]) {
  const [p, g, m, v, hyper, ema] = inputs as readonly [T, T, T, T, T, T?];
  return { p, g, m, v, hyper, ema };
}

/**
 * One step of Adam or AdamW on one tensor: parameter, gradient, first and second moment, hyper-parameters (and moving
 * average) give the new parameter, moments (and average).
 */
export const adamOp: Op<AdamAttrs, number, number> = {
  name: "adam",
  bound: "memory",
  shapes: (inputs, { ema }) => {
    const { p, g, m, v, hyper, ema: average } = named(inputs);
    const state = ema ? [g, m, v, average] : [g, m, v];
    if (!state.every((s) => s && sameShape(s, p)) || elements(hyper) !== HYPER.length) {
      throw new TypeError(
        `Cannot apply adam to ${[p, ...state, hyper].map((s) => showShape(s ?? [])).join(", ")}: ` +
          `all must be ${showShape(p)}, the last [${HYPER.length}]`,
      );
    }
    return names(ema).map(() => p);
  },
  lowering: {
    kind: "kernel",
    kernel: ({ inputs, attrs: { ema, l2 } }) => ({
      source: `${source}\n${hyperSource()}`,
      label: "shaders/adam.wgsl",
      entry: "forward",
      reads: ["p", "g", "m", "v", "hyper", ...(ema ? ["ema"] : [])],
      writes: names(ema).map((name) => `${name}_new`),
      fusable: ["g"],
      constants: { E: Number(ema), L2: Number(l2) },
      threads: texels(named(inputs).p.shape),
    }),
  },
  flops: ({ inputs, attrs: { ema } }) => (ema ? 16 : 13) * elements(named(inputs).p.shape),
  reference(inputs, { ema, l2 }) {
    const { p, g, m, v, hyper, ema: average } = named(inputs);
    const h = hyperOf(hyper);
    const flat = (x: F64) => reader(x, [x.data.length]);
    const [P, G, M, V, E] = [flat(p), flat(g), flat(m), flat(v), flat(average ?? p)];
    const grad = (k: number) => h.grad_scale * G(k) + (l2 ? h.weight_decay * P(k) : 0);
    const first = (k: number) => h.beta1 * M(k) + h.m_rate * grad(k);
    const second = (k: number) => h.beta2 * V(k) + h.v_rate * grad(k) ** 2;
    const next = (k: number) =>
      P(k) * (l2 ? 1 : 1 - h.lr * h.weight_decay) -
      h.lr * h.m_correction * first(k) / (Math.sqrt(h.v_correction * second(k)) + h.eps);
    const blended = (k: number) => E(k) + h.ema_rate * (next(k) - E(k));
    return [next, first, second, ...(ema ? [blended] : [])].map((f) => ({ ...p, data: p.data.map((_, k) => f(k)) }));
  },
};

/**
 * One step of Adam on one tensor; `adamUpdates` of optimizer.ts does it for a whole model.
 *
 * @param hyper The numbers of {@linkcode HYPER}, from `adamHyper`.
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
): { readonly p: Value; readonly m: Value; readonly v: Value; readonly ema?: Value } {
  const next = p.graph.apply(adamOp, [p, g, m, v, hyper, ...(ema ? [ema] : [])], { ema: ema !== undefined, l2 });
  const [new_p, new_m, new_v, new_ema] = next as readonly [Value, Value, Value, Value?];
  return { p: new_p, m: new_m, v: new_v, ...(new_ema ? { ema: new_ema } : {}) };
}
